"""Trials that begin with a checkpoint's weights and with frozen layers, alone and in stacks."""

from __future__ import annotations

import pickle
from itertools import chain
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from fallline import InputError, compare, optim, rule
from fallline.optim import recipes
from fallline.problems import Problem, derive, generator
from fallline.rules import get
from fallline.training import Execution, Snapshots, Trial, evaluate, train
from fallline.training.alone import Alone
from tests.training.stopping import stop_every, train_in_pieces


def network(classes: int = 3) -> nn.Module:
    # a bias before a batch norm would learn from rounding errors
    return nn.Sequential(nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, classes))


@pytest.fixture
def problem() -> Problem:
    """90 examples of three classes in five features."""
    x = torch.randn(150, 5, generator=torch.Generator().manual_seed(0))
    splits = [(x[a:b], (x[a:b, 0] > 0).long() + (x[a:b, 1] > 0)) for a, b in ((0, 90), (90, 120), (120, 150))]
    return Problem(network, *splits, batch_size=10, epochs=3)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of a network of five classes, with running statistics that no batch here has."""
    torch.manual_seed(5)
    state = network(5).state_dict()
    state["1.running_mean"], state["1.running_var"] = torch.linspace(-1, 1, 8), torch.linspace(0.5, 2, 8)
    save_file(state, tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors"


def trained(problem: Problem, width: int) -> tuple[list[list[float]], list[dict[str, torch.Tensor]]]:
    """The validation losses of two seeds of two rules, and their weights at the end."""
    names = "momentum", "adamw"
    trials = [Trial(get(name), {"lr": 0.05}, seed, "tuned") for name in names for seed in range(2)]
    taken: dict[int, dict[str, torch.Tensor]] = {}
    last = problem.follow().steps
    snapshots = Snapshots(frozenset([last]), lambda index, step, weights: taken.update({index: weights}))
    given = {"execution": Execution(width=width), "snapshots": snapshots}
    outcomes = dict(chain.from_iterable(train(problem, trials, **given)))
    each = range(len(trials))
    return [[p.valid_loss for p in outcomes[k].curve] + [outcomes[k].test_loss] for k in each], [taken[k] for k in each]


def test_what_is_frozen_stays_with_its_statistics_alone_and_in_stacks(problem, checkpoint, monkeypatch):
    begun = problem.transferred(checkpoint, freeze=["0", "1"])
    alone, weights = trained(begun, 1)
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together, stacked = trained(begun, 4)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    start = begun.build(0).state_dict()
    for each in [*weights, *stacked]:
        assert all(torch.equal(each[name], start[name]) for name in start if name[0] in "01" and "tracked" not in name)
        assert not torch.equal(each["3.weight"], start["3.weight"])


def test_statistics_of_what_is_not_frozen_go_on_learning(problem, checkpoint, monkeypatch):
    begun = problem.transferred(checkpoint, freeze="0")
    alone, weights = trained(begun, 1)
    monkeypatch.delattr(Alone, "begin")
    together, _ = trained(begun, 4)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)
    assert not torch.equal(weights[0]["1.running_mean"], begun.build(0).get_buffer("1.running_mean"))


def test_every_seed_begins_with_the_weights_and_a_head_of_its_own(problem, checkpoint):
    begun = problem.transferred(checkpoint)
    first, second = (dict(begun.build(seed).named_parameters()) for seed in range(2))
    assert torch.equal(first["0.weight"], second["0.weight"])
    assert torch.equal(first["3.weight"], problem.build(0).get_parameter("3.weight"))
    assert not torch.equal(first["3.weight"], second["3.weight"])
    assert any("The head stays fresh" in note for note in begun.notes)
    checkpoint.unlink()
    assert torch.equal(pickle.loads(pickle.dumps(begun.start)) and begun.build(2)[0].weight, first["0.weight"])


def test_how_it_begins_is_part_of_what_a_problem_is(problem, checkpoint):
    freezes = ["", "0", "0,1"]
    begun = {problem.transferred(checkpoint, freeze=freeze).fingerprint for freeze in freezes}
    assert len({problem.fingerprint, problem.transferred(freeze="0").fingerprint, *begun}) == 5
    back = problem.transferred(checkpoint, freeze="0").transferred()
    assert (back.fingerprint, back.notes) == (problem.fingerprint, problem.notes)
    assert problem.transferred(freeze="0").parameters_count < problem.parameters_count


def test_layers_thaw_and_learn_at_rates_of_their_own(problem, tmp_path, monkeypatch):
    begun = problem.transferred(unfreeze_every=1, layer_factor=2.0)
    losses, _ = trained(begun, 1)
    model = problem.build(1)
    optimizer = optim.AdamW(recipes.discriminative(model, 0.05, 2.0))
    unfreezing, found = recipes.Unfreezing(model), [evaluate(model, problem, problem.valid).loss]
    for epoch in range(3):
        unfreezing.step(epoch)
        order = generator(derive(1, "order", epoch + 1))
        for x, y in problem.train.batches(10, torch.device("cpu"), order):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        found.append(evaluate(model, problem, problem.valid).loss)
    assert losses[3][:4] == pytest.approx(found, rel=1e-5)
    assert trained(begun, 4)[0] == losses  # one by one too
    stop_every(7, monkeypatch)
    finished = train_in_pieces(begun, [Trial(get("adamw"), {"lr": 0.05}, 1, "tuned")], tmp_path, execution=Execution())
    assert [p.valid_loss for p in finished[0].curve] == losses[3][:4]


@rule
def without_lr(p, g, *, t, rate=0.1):
    """No learning rate by that name."""
    return p - rate * g


def test_rates_by_layer_need_a_rate(problem):
    with pytest.raises(InputError, match="without_lr has no learning rate"):
        compare(problem.transferred(layer_factor=2.0), ["sgd", without_lr], progress=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights": "nothing.pt"}, "there is no checkpoint"),
        ({"weights": 3}, "weights must be the file or directory"),
        ({"freeze": "encoder"}, "freeze has 'encoder', which names nothing"),
        ({"freeze": "*"}, "nothing is left to learn"),
        ({"head": "skip"}, "give weights"),
        ({"unfreeze_every": 0}, "unfreeze_every must be a whole number of at least 1"),
        ({"layer_factor": 0.5}, "layer_factor must be a number, at least 1"),
    ],
)
def test_what_cannot_begin_is_told_before_any_training(problem, given, said):
    with pytest.raises(InputError, match=said):
        problem.transferred(**given)


def test_a_checkpoint_that_does_not_fit_is_told(problem, tmp_path):
    save_file({"0.weight": torch.zeros(7, 5)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not fit the model"):
        problem.transferred(tmp_path / "other.safetensors")
