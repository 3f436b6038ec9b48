"""A problem as its user sees it: what goes in, what is held out, what a fresh model is, what identifies it."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from fallline.problems import Arrays, Metric, Problem, Stream


def test_arrays_lists_tensors_and_datasets_are_the_same_examples(examples, net):
    x, y = examples
    forms = (
        (x, y),
        [x, y],
        (x.double().numpy(), y.numpy().astype(np.uint16)),
        (x.numpy()[::-1].astype(">f8")[::-1], y.numpy().astype(np.int32)),
        (x.tolist(), y.tolist()),
        (list(x), list(y)),
        TensorDataset(x, y),
        Subset(Subset(TensorDataset(x.flip(0), y.flip(0)), range(99, -1, -1)), range(100)),
    )
    made = [Problem(net, form, form, form) for form in forms]
    for problem in made:
        assert isinstance(problem.train, Arrays)
        assert problem.train.x.dtype is torch.float32
        assert problem.train.y.dtype is torch.int64
        assert torch.equal(problem.train.x, x)
        assert torch.equal(problem.train.y, y)
    assert len({problem.fingerprint for problem in made}) == 1


def test_an_array_may_be_changed_after_the_problem_is_made(examples, net):
    x = examples[0].numpy().copy()
    problem = Problem(net, (x, examples[1]))
    before = problem.train.x.clone()
    x[:] = 0
    assert torch.equal(problem.train.x, before)


def test_missing_splits_are_held_out_of_train_and_the_notes_say_so(examples, net):
    problem = Problem(net, examples)
    assert problem.sizes == {"train": 65, "valid": 20, "test": 15}
    rows = torch.cat([part.x for part in (problem.train, problem.valid, problem.test)])
    assert sorted(rows.tolist()) == sorted(examples[0].tolist())
    assert "20 of the 100 training examples" in problem.notes[0]
    assert "15 of the 100 training examples" in problem.notes[1]
    assert torch.equal(Problem(net, examples).valid.x, problem.valid.x)
    assert not torch.equal(Problem(net, examples, split_seed=1).valid.x, problem.valid.x)


def test_given_splits_are_kept_and_need_no_note(examples, net):
    problem = Problem(net, examples, valid=examples, test=examples)
    assert problem.sizes == {"train": 100, "valid": 100, "test": 100}
    assert problem.notes == []
    assert Problem(net, examples, valid=examples).sizes == {"train": 85, "valid": 100, "test": 15}


def test_initial_weights_are_those_of_pytorch_after_the_seed(examples, net):
    problem = Problem(net, examples)
    torch.manual_seed(3)
    expected = net().state_dict()
    for name, value in problem.build(3).state_dict().items():
        assert torch.equal(value, expected[name])
    assert not torch.equal(problem.build(4).layers[0].weight, problem.build(3).layers[0].weight)


def test_making_and_building_leave_the_random_state_alone(examples, net):
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Problem(net, examples).build(7)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_a_module_is_copied_for_each_trial_and_keeps_its_weights(examples, net):
    model = net()
    problem = Problem(model, examples)
    first, second = problem.build(0), problem.build(1)
    assert first is not second
    assert first is not model
    assert torch.equal(first.layers[0].weight, second.layers[0].weight)
    assert any("weights that the model was given with" in note for note in problem.notes)
    assert problem.model is model
    assert all(p.grad is None for p in model.parameters())


def test_lazy_modules_learn_their_shapes(examples):
    problem = Problem(lambda: nn.Sequential(nn.LazyLinear(5), nn.Linear(5, 4)), examples)
    assert problem.parameters_count == 3 * 5 + 5 + 5 * 4 + 4


def test_frozen_parameters_are_not_counted(examples):
    def model() -> nn.Module:
        made = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 4))
        return made.requires_grad_(False) and nn.Sequential(made[0], made[1].requires_grad_(True))

    assert Problem(model, examples).parameters_count == 5 * 4 + 4


class Noisy(Dataset):
    """A map-style Dataset that augments: it gives other features each time."""

    def __init__(self, x, y):
        self.x, self.targets = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index].numpy().astype(np.float64) + np.float64(torch.rand(())), int(self.targets[index])


def test_a_dataset_that_may_augment_is_asked_afresh_each_time(examples, net):
    problem = Problem(net, Noisy(*examples), batch_size=10)
    assert isinstance(problem.train, Stream)
    assert problem.sizes == {"train": 65, "valid": 20, "test": 15}
    first, again = (next(problem.valid.batches(20, torch.device("cpu"))) for _ in range(2))
    assert first[0].dtype is torch.float32
    assert first[1].dtype is torch.int64
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], again[0])
    assert Problem(net, Noisy(*examples), batch_size=10).fingerprint == problem.fingerprint


def test_every_example_comes_once_an_epoch_in_the_order_of_the_generator(examples, net):
    problem = Problem(net, examples, examples, examples, batch_size=32)
    cpu = torch.device("cpu")
    for part in (problem.train, Stream(TensorDataset(*examples))):
        batches = list(part.batches(32, cpu, torch.Generator().manual_seed(1)))
        assert [len(y) for _, y in batches] == [32, 32, 32, 4]
        seen = torch.cat([x for x, _ in batches])
        assert sorted(seen.tolist()) == sorted(examples[0].tolist())
        again = torch.cat([x for x, _ in part.batches(32, cpu, torch.Generator().manual_seed(1))])
        assert torch.equal(seen, again)
        other = torch.cat([x for x, _ in part.batches(32, cpu, torch.Generator().manual_seed(2))])
        assert not torch.equal(seen, other)


def test_the_fingerprint_tells_problems_apart_and_ignores_the_name(examples, net):
    x, y = examples
    base = Problem(net, (x, y))
    assert Problem(net, (x, y), name="other").fingerprint == base.fingerprint
    changed = x.clone()
    changed[0, 0] += 1
    others = [
        Problem(net, (changed, y)),
        Problem(net, (x, y), batch_size=16),
        Problem(net, (x, y), epochs=3),
        Problem(net, (x, y), split_seed=1),
        Problem(net, (x, y), metric="error"),
        Problem(net, (x, y), loss=nn.CrossEntropyLoss()),
        Problem(net, (x, y), loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
        Problem(net, (x, y), loss=functools.partial(F.cross_entropy, label_smoothing=0.1)),
        Problem(lambda: nn.Sequential(net(), nn.Dropout(0.1)), (x, y)),
        Problem(lambda: nn.Sequential(net(), nn.Dropout(0.2)), (x, y)),
    ]
    assert len({problem.fingerprint for problem in [base, *others]}) == len(others) + 1


def test_the_fingerprint_is_the_same_in_another_process():
    code = """
        import torch
        from functools import partial
        from torch import nn
        import torch.nn.functional as F
        from fallline.problems import Problem
        x = torch.arange(60.0).reshape(20, 3) / 60
        loss = partial(F.cross_entropy, label_smoothing=0.1)
        print(Problem(lambda: nn.Linear(3, 2), (x, torch.arange(20) % 2), loss=loss).fingerprint)
    """
    prints = {
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(prints) == 1


OUTPUTS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
LABELS = torch.tensor([0, 2, 0, 1])
TOKENS = torch.tensor([[0, 1], [1, 0]])
TOKEN_SCORES = F.one_hot(torch.tensor([[0, 1], [0, 0]]), 3).float()
LOGITS = torch.tensor([[-1.0], [0.2], [3.0], [-0.1]])
BITS = torch.tensor([0.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("name", "loss", "outputs", "targets", "expected"),
    [
        ("accuracy", F.cross_entropy, OUTPUTS, LABELS, 0.5),
        ("error", F.cross_entropy, OUTPUTS, LABELS, 0.5),
        ("accuracy", F.cross_entropy, OUTPUTS, F.one_hot(LABELS, 3).float(), 0.5),
        ("accuracy", F.cross_entropy, TOKEN_SCORES.movedim(-1, 1), TOKENS, 0.75),
        ("accuracy", F.cross_entropy, TOKEN_SCORES, TOKENS, 0.75),
        ("accuracy", F.binary_cross_entropy_with_logits, LOGITS, BITS[:, None], 0.5),
        ("accuracy", nn.BCEWithLogitsLoss(), LOGITS, BITS, 0.5),
        ("accuracy", F.binary_cross_entropy, LOGITS.sigmoid(), BITS[:, None], 0.5),
        ("accuracy", F.binary_cross_entropy_with_logits, torch.tensor([[1.0, -1.0]]), torch.ones(1, 2), 0.5),
        ("mse", F.mse_loss, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]]), 2.5),
        ("mae", F.l1_loss, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]]), 1.5),
        ("loss", F.mse_loss, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]]), 2.5),
    ],
)
def test_metrics(name, loss, outputs, targets, expected):
    from fallline.problems.metric import find_metric

    metric = find_metric(name, loss)
    assert metric.name == name
    assert metric.maximize == (name == "accuracy")
    assert metric.mean(outputs, targets) == pytest.approx(expected)


def test_a_metric_of_the_users_own(examples, net):
    of_class_0 = Metric("class_0", lambda outputs, targets: (outputs.argmax(1) == 0).float(), maximize=True)
    problem = Problem(net, examples, metric=of_class_0)
    assert problem.metric is of_class_0
    assert problem.metric.mean(OUTPUTS, LABELS) == 0.25
