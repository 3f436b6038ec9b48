"""Random numbers in a stack are those of each trial alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fallline.stacking import CannotStack, Draws, over_trials

SEEDS = [5, -3, 5, 2**40]

Drawing = Callable[[Tensor], Tensor]


def alone(function: Drawing, x: Tensor, seeds: Sequence[int], times: int = 1) -> list[Tensor]:
    """What each trial draws by itself, the last of some times."""
    found = []
    for row, seed in zip(x, seeds, strict=True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append([function(row.clone()) for _ in range(times)][-1])
    return found


def same(stacked: Tensor, expected: Sequence[Tensor]) -> bool:
    return all(torch.equal(row, one) for row, one in zip(stacked, expected, strict=True))


DRAWINGS: dict[str, Drawing] = {
    "dropout": lambda x: F.dropout(x, 0.3),
    "little dropout": lambda x: F.dropout(x, 0.01),
    "dropout of many": lambda x: F.dropout(x.repeat(40, 3), 0.5),
    "transposed dropout": lambda x: F.dropout(x.t(), 0.5),
    "dropout in place": lambda x: F.dropout(x, 0.3, inplace=True),
    "dropout after uniform numbers": lambda x: F.dropout(x + torch.rand(6), 0.3),
    "dropout of channels": lambda x: F.dropout1d(x, 0.5),
    "alpha dropout": lambda x: F.alpha_dropout(x, 0.5, training=True),
    "rand": lambda x: x + torch.rand(6),
    "randn": lambda x: x + torch.randn((5, 1)),
    "randn_like": lambda x: x + torch.randn_like(x),
    "randint": lambda x: x + torch.randint(3, (6,)),
    "randperm": lambda x: x[torch.randperm(5)],
    "normal": lambda x: torch.normal(x, 0.5),
    "bernoulli": lambda x: torch.bernoulli(x.sigmoid()),
    "in place": lambda x: torch.empty_like(x).uniform_(-1, 1) + torch.zeros_like(x).normal_(),
    "exponential in place": lambda x: x.clone().exponential_(2.0),
    "gumbel": lambda x: F.gumbel_softmax(x, hard=True),
    "multinomial": lambda x: torch.multinomial(x.softmax(-1), 2).to(x.dtype),
    "rrelu": lambda x: F.rrelu(x, training=True),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_are_bit_equal(name: str) -> None:
    function = DRAWINGS[name]
    x = torch.randn(4, 5, 6)
    draws = Draws(SEEDS)
    stacked = over_trials(function, draws=draws)
    for times in (1, 2, 3):
        assert same(stacked(x.clone()), alone(function, x, SEEDS, times))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dropout_masks_are_bit_equal(dtype: torch.dtype) -> None:
    """Over several rounds of the generator, with other numbers drawn in between."""
    x = torch.ones(4, 1999, dtype=dtype)

    def function(x: Tensor) -> Tensor:
        return F.dropout(x, 0.25) + torch.rand(1).to(dtype)

    stacked = over_trials(function, draws=Draws(SEEDS))
    for times in (1, 2, 3, 4):
        assert same(stacked(x), alone(function, x, SEEDS, times))


def test_trials_may_differ_in_their_share_of_dropout() -> None:
    """Also where they share a seed, and where a share of 0 or 1 draws nothing."""
    seeds, shares = [7, 7, 7, 8, 8], torch.tensor([0.1, 0.0, 0.1, 0.5, 1.0])
    x = torch.randn(5, 300)
    layer = nn.Dropout()

    def function(x: Tensor, p: Any) -> Tensor:
        layer.p = p
        return layer(x) + torch.rand(300)

    stacked = over_trials(function, draws=Draws(seeds))
    found = [stacked(x, shares) for _ in range(2)]
    for k, seed in enumerate(seeds):
        torch.manual_seed(seed)
        for together in found:
            layer.p = shares[k].item()
            assert torch.equal(together[k], layer(x[k]) + torch.rand(300))


def test_a_seed_that_all_share_is_drawn_once() -> None:
    draws = Draws([3] * 50)
    noise = over_trials(lambda x: x + torch.rand(4), draws=draws)(torch.zeros(50, 4))
    torch.manual_seed(3)
    assert torch.equal(noise, torch.rand(4).expand(50, 4))
    assert len(draws.streams) == 1


def test_streams_begin_anew_and_go_on_when_trials_leave() -> None:
    x = torch.zeros(4, 9)
    function = DRAWINGS["randn_like"]
    draws = Draws([1, 2, 3, 2])
    over_trials(function, draws=draws)(x)
    draws.keep([3, 0])
    assert same(over_trials(function, draws=draws)(x[:2]), alone(function, x[:2], [2, 1], 2))
    draws.reseed([9, 9])
    assert same(over_trials(function, draws=draws)(x[:2]), alone(function, x[:2], [9, 9]))


def test_streams_go_on_from_a_checkpoint() -> None:
    x = torch.ones(4, 50)
    first = Draws(SEEDS)
    function = over_trials(lambda x: F.dropout(x, 0.5), draws=first)
    function(x)
    second = Draws([0] * 4)
    second.load(first.state())
    assert torch.equal(function(x), over_trials(lambda x: F.dropout(x, 0.5), draws=second)(x))


def test_the_global_generator_is_left_as_it_was() -> None:
    before = torch.get_rng_state()
    draws = Draws(SEEDS)
    for function in DRAWINGS.values():
        over_trials(function, draws=draws)(torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_random_numbers_need_seeds() -> None:
    with pytest.raises(CannotStack, match="no trial has a seed"):
        over_trials(lambda x: F.dropout(x, 0.5))(torch.ones(2, 3))
    assert torch.equal(over_trials(lambda x: F.dropout(x, 0.5, training=False))(torch.ones(2, 3)), torch.ones(2, 3))
