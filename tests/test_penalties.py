"""Penalties of chosen weights: the term itself, and what a Problem trains with."""

from __future__ import annotations

import math
from itertools import chain

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fallline.errors import InputError
from fallline.penalties import Penalized, elastic, with_penalty
from fallline.problems import Problem, linear
from fallline.rules import get, modifiers
from fallline.training import Execution, Snapshots, Trial, train
from fallline.training.alone import Alone


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def test_the_term_is_the_elastic_nets(net):
    found = elastic(net, l1=0.3, l2=0.7, where=["*.weight"])
    expected = sum(0.3 * abs(w) + 0.35 * w * w for layer in (net[0], net[2]) for w in layer.weight.flatten().tolist())
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ([], {"0.weight", "0.bias", "2.weight", "2.bias"}),
        (["2"], {"2.weight", "2.bias"}),
        ("*.bias", {"0.bias", "2.bias"}),
    ],
)
def test_only_what_the_selectors_name_is_penalized(net, where, names):
    elastic(net, l1=1.0, where=where).backward()
    assert {name for name, p in net.named_parameters() if p.grad is not None} == names
    for name in names:
        p = net.get_parameter(name)
        torch.testing.assert_close(p.grad, p.sign())


def test_l2_is_the_weight_decay_of_torchs_sgd(net):
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.arange(5) % 3
    theirs = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    theirs.load_state_dict(net.state_dict())
    (F.cross_entropy(net(x), y) + elastic(net, l2=0.1)).backward()
    torch.optim.SGD(net.parameters(), 0.5).step()
    F.cross_entropy(theirs(x), y).backward()
    torch.optim.SGD(theirs.parameters(), 0.5, weight_decay=0.1).step()
    for a, b in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_weight_with_two_names_counts_once():
    layer = nn.Linear(3, 3, bias=False)
    tied = nn.ModuleDict({"a": layer, "b": layer})
    torch.testing.assert_close(elastic(tied, l1=1.0), layer.weight.abs().sum())
    torch.testing.assert_close(elastic(tied, l1=1.0, where=["b"]), layer.weight.abs().sum())


def test_bad_penalties_and_selectors_are_refused(net):
    with pytest.raises(InputError, match="where has 'encoder', which names nothing"):
        elastic(net, l1=1.0, where=["encoder"])
    with pytest.raises(InputError, match="l2 must be a number, at least 0; it is -1"):
        elastic(net, l2=-1)
    with pytest.raises(InputError, match="l1 must be a number"):
        Penalized(net, l1=math.nan)
    with pytest.raises(InputError, match="loss must be a function"):
        with_penalty("cross_entropy")


def test_a_penalized_model_gives_the_penalty_in_training_alone(net):
    model, x, y = Penalized(net, l1=0.1, l2=0.2, where=["0"]), torch.randn(5, 4).double(), torch.arange(5) % 3
    loss = with_penalty(F.cross_entropy)
    plain = F.cross_entropy(net(x), y)
    torch.testing.assert_close(loss(model(x), y), plain + elastic(net, l1=0.1, l2=0.2, where=["0"]))
    model.eval()
    assert torch.equal(model(x), net(x))
    torch.testing.assert_close(loss(model(x), y), plain)
    torch.testing.assert_close(loss(model(x), y, label_smoothing=0.1), F.cross_entropy(net(x), y, label_smoothing=0.1))


def problem(l2: float = 0.0, **changes) -> Problem:
    def model(l2: float = l2) -> nn.Module:
        return Penalized(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), l2=l2)

    return Problem(model, *splits(), loss=with_penalty(F.cross_entropy), batch_size=20, epochs=3, **changes)


@pytest.fixture
def plain() -> Problem:
    """The problem without a penalty."""
    return Problem(lambda: problem().model().model, *splits(), batch_size=20, epochs=3)


def splits() -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)), torch.arange(90) % 3
    return [(x[a:b], y[a:b]) for a, b in ((0, 60), (60, 75), (75, 90))]


def curves(problem: Problem, trials: list[Trial], width: int) -> list[list[float]]:
    return [valid for _, valid in points(problem, trials, width)]


def points(problem: Problem, trials: list[Trial], width: int) -> list[tuple[list[float], list[float]]]:
    """The training and the validation losses of every trial."""
    outcomes = dict(chain.from_iterable(train(problem, trials, execution=Execution(width=width))))
    each = [outcomes[k].curve for k in range(len(trials))]
    return [([p.train_loss or 0.0 for p in curve], [p.valid_loss for p in curve]) for curve in each]


def test_a_problem_trains_with_the_penalty_and_is_judged_without():
    penalized = curves(problem(0.3), [Trial(get("sgd"), {"lr": 0.5}, 0, "tuned")], 1)
    by_rule = curves(problem(), [Trial(modifiers.l2(get("sgd"), l2=0.3), {"lr": 0.5}, 0, "tuned")], 1)
    torch.testing.assert_close(penalized, by_rule, rtol=1e-5, atol=1e-6)


def test_trials_with_penalties_of_their_own_share_a_stack(monkeypatch):
    searched = problem(space={"l2": linear(0.0, 1.0)})
    trials = [Trial(get("sgd"), {"lr": 0.5}, 0, "tuned", own={"l2": l2}) for l2 in (0.0, 0.1, 0.5)]
    alone = curves(searched, trials, 1)
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together = curves(searched, trials, 3)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together[0] != together[2]


def test_a_problem_is_penalized_alone_and_in_stacks_and_tells_losses_without(plain, monkeypatch):
    trials = [Trial(get("sgd"), {"lr": 0.5}, seed, "tuned") for seed in range(2)]
    asked = plain.penalized(l2=0.3)
    alone = points(asked, trials, 1)
    torch.testing.assert_close(alone[0][1], curves(problem(0.3), trials, 1)[0], rtol=1e-5, atol=1e-6)
    by_rule = [Trial(modifiers.l2(get("sgd"), l2=0.3), {"lr": 0.5}, seed, "tuned") for seed in range(2)]
    torch.testing.assert_close(alone, points(plain, by_rule, 1), rtol=1e-5, atol=1e-6)
    monkeypatch.delattr(Alone, "begin")
    torch.testing.assert_close(points(asked, trials, 2), alone, rtol=1e-4, atol=1e-5)


def test_only_the_selected_weights_of_a_problem_are_pulled(plain):
    weights = {}
    snapshots = Snapshots(frozenset([9]), lambda index, step, taken: weights.update(taken))
    pulled = plain.penalized(l2=5.0, penalize="2.weight")
    list(train(pulled, [Trial(get("sgd"), {"lr": 0.1}, 0, "search")], snapshots=snapshots))
    assert weights["2.weight"].abs().max() < 0.1 < weights["0.weight"].abs().max()


def test_a_penalty_is_part_of_what_a_problem_is(plain):
    asked = {plain.penalized(*given).fingerprint for given in [(0.1,), (0.0, 0.1), (0.1, 0.0, "0"), (0.1, 0.0, "2")]}
    assert len({plain.fingerprint, *asked}) == 5
    assert plain.penalized(0.1).penalized().fingerprint == plain.fingerprint
    with pytest.raises(InputError, match="penalize has 'encoder', which names nothing"):
        plain.penalized(0.1, penalize="encoder")
    with pytest.raises(InputError, match="l1 must be a number, at least 0; it is -1"):
        plain.penalized(-1)
