"""A problem's own hyper-parameters: how a space is written, what it refuses, and who takes a value."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fallline.errors import InputError
from fallline.problems import Problem, choice, linear, log, when, whole
from fallline.problems.space import bare, checked_space, describe, existing, restore

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def model(width: int = 8, activation: str = "relu", slope: float = 0.01, depth: int | None = None) -> nn.Module:
    kinds = {"relu": nn.ReLU(), "tanh": nn.Tanh(), "leaky": nn.LeakyReLU(slope)}
    return nn.Sequential(nn.Linear(4, width), kinds[activation], nn.Linear(width, 2))


def noisy(x: Any, y: Any, *, noise: float = 0.0) -> Any:
    return x + noise * torch.randn_like(x), y


SPACE: dict[str, Any] = {
    "slope": when(linear(0, 0.5), activation="leaky"),
    "width": whole(4, 64, log=True),
    "activation": choice("relu", "tanh", "leaky"),
    "noise": linear(0, 0.3),
    "label_smoothing": log(1e-3, 0.2),
}
DEFAULTS = {"width": 8, "activation": "relu", "noise": 0.0, "label_smoothing": 0.0, "slope": 0.01}


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(model, (X, Y), space=SPACE, augment=noisy)


def test_defaults_are_those_of_the_functions(problem: Problem) -> None:
    assert problem.defaults == DEFAULTS
    assert problem.check({}) == DEFAULTS
    assert problem.check({"width": 32, "activation": "tanh"}) == {**DEFAULTS, "width": 32, "activation": "tanh"}


def test_each_function_gets_its_part(problem: Problem) -> None:
    own = {"width": 16, "activation": "leaky", "slope": 0.25, "noise": 0.1, "label_smoothing": 0.1}
    built = problem.build(0, own)
    assert built[0].out_features == 16
    assert built[1].negative_slope == 0.25
    outputs = built(X)
    assert problem.loss_of(own)(outputs, Y) == F.cross_entropy(outputs, Y, label_smoothing=0.1)
    assert problem.loss_of({}) is problem.loss is F.cross_entropy
    torch.manual_seed(3)
    x, y = problem.augmented(X, Y, own)
    torch.manual_seed(3)
    assert torch.equal(x, X + 0.1 * torch.randn_like(X))
    assert y is Y


def test_a_problem_without_a_space_takes_nothing() -> None:
    plain = Problem(model, (X, Y))
    assert (plain.space, plain.defaults, plain.check({})) == ({}, {}, {})
    assert plain.augmented(X, Y, {}) == (X, Y)
    with pytest.raises(InputError, match="'width' is none of the problem's own hyper-parameters: it has none"):
        plain.build(0, {"width": 3})


@pytest.mark.parametrize(
    "made",
    [
        partial(model, 8, slope=0.2),
        type("Net", (nn.Linear,), {"__init__": lambda self, width=5: nn.Linear.__init__(self, 4, 2)}),
    ],
    ids=["a partial function", "a class"],
)
def test_whatever_has_a_named_argument_can_be_searched(made: Any) -> None:
    name = "activation" if isinstance(made, partial) else "width"
    found = Problem(made, (X, Y), space={name: SPACE[name]})
    assert name in found.defaults


WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"width": 3}, r"width=3 is not allowed; allowed: whole numbers from 4 to 64 \(log\)"),
    ({"width": 8.5}, "width=8.5 is not allowed"),
    ({"width": True}, "width=True is not allowed"),
    ({"noise": float("nan")}, "noise=nan is not allowed; allowed: 0 to 0.3"),
    ({"noise": "much"}, "noise='much' is not allowed"),
    ({"activation": "elu"}, "activation='elu' is not allowed; allowed: one of 'relu', 'tanh', 'leaky'"),
    ({"slope": 0.3}, "slope=0.3 is not allowed beside the other values; .* when activation is 'leaky'"),
    ({"depth": 3}, "'depth' is none of the problem's own hyper-parameters: it has width, activation"),
]


@pytest.mark.parametrize(("own", "message"), WRONG_VALUES)
def test_a_value_that_the_space_lacks_is_refused(problem: Problem, own: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem.check(own)


WRONG_SPACES: list[tuple[Any, str]] = [
    (3, "space must be a mapping"),
    ({"width": 3}, r"space\['width'\] is 3; allowed are linear\(low, high\)"),
    ({"dept": linear(0, 1)}, r"space\['dept'\] must be a keyword argument, .*model takes width, activation"),
    ({"width": linear(1, 0)}, r"space\['width'\] holds nothing to search"),
    ({"slope": log(0, 1)}, "must start above 0"),
    ({"depth": whole(1, 3)}, "the default depth=None of model does not fit"),
    ({"width": choice("a", "b")}, "with width='a': model must give an nn.Module when called with width='a'"),
    ({"activation": choice("relu", "elu")}, "with activation='elu': model must give .* KeyError"),
    ({"slope": when(linear(0, 1), activation="leaky")}, "depends on 'activation', which is not in the space"),
    ({**SPACE, "slope": when(linear(0, 1), activation="elu")}, "asks for activation='elu'; it is one of"),
    (
        {"slope": when(linear(0, 1), width=8), "width": when(whole(4, 8), slope=0.5)},
        "conditions of slope, width in space depend on one another",
    ),
    ({"noise": linear(0, 1)}, "must be a keyword argument"),
]


@pytest.mark.parametrize(("space", "message"), WRONG_SPACES)
def test_a_space_that_cannot_be_searched_is_refused(space: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Problem(model, (X, Y), space=space)


WRONG_PARTS: list[tuple[Any, str]] = [
    (lambda: whole(3, 3), r"whole\(3, 3\) holds nothing to search"),
    (lambda: whole(0, 3, log=True), "both from 1 up"),
    (lambda: whole(0.5, 3), "needs two whole numbers"),
    (lambda: choice("a"), "at least two values"),
    (lambda: choice("a", "a"), "all different"),
    (lambda: choice("a", None), "choice contains None"),
    (lambda: when(linear(0, 1)), "at least one condition"),
]


@pytest.mark.parametrize(("make", "message"), WRONG_PARTS)
def test_a_part_that_is_none_is_refused_where_it_is_written(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


WRONG_AUGMENTS: list[tuple[Any, str]] = [
    (3, "augment must be a function of inputs and targets"),
    (lambda x, y: x, r"augment\(x, y\) must give the pair \(x, y\) of tensors; it gave a Tensor"),
    (lambda x, y: (x[:1], y), "must give as many examples as it gets"),
    (lambda x, y: x.nothing, "augment fails on a batch of train: AttributeError"),
]


@pytest.mark.parametrize(("augment", "message"), WRONG_AUGMENTS)
def test_an_augmentation_that_gives_no_batch_is_refused(augment: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Problem(model, (X, Y), augment=augment)


def test_a_finished_module_takes_no_values() -> None:
    with pytest.raises(InputError, match=r"finished nn\.Module, which cannot be built otherwise"):
        Problem(model(), (X, Y), loss=lambda outputs, y: F.cross_entropy(outputs, y), space={"width": SPACE["width"]})


def test_defaults_of_two_functions_must_agree() -> None:
    def loss(outputs: Any, y: Any, width: int = 9) -> Any:
        return F.cross_entropy(outputs, y)

    with pytest.raises(InputError, match=r"its defaults differ \(8 in model, 9 in loss\)"):
        Problem(model, (X, Y), loss=loss, metric="loss", space={"width": SPACE["width"]})


def test_a_space_comes_back_from_plain_values(problem: Problem) -> None:
    assert restore(describe(problem.space, problem.defaults)) == problem.space
    assert list(problem.space)[-1] == "slope"  # after what it depends on


def test_what_does_not_exist_is_left_out() -> None:
    chained = checked_space(
        {
            "a": choice(True, False),
            "b": when(choice(1, 2), a=True),
            "c": when(linear(0, 1), b=(1, 2)),
        }
    )
    values = {"a": True, "b": 2, "c": 0.5}
    assert existing(chained, values) == values
    assert existing(chained, {**values, "a": False}) == {"a": False}


@given(low=st.integers(1, 50), width=st.integers(1, 50), even=st.booleans(), u=st.floats(0, 1))
def test_whole_numbers_cover_their_range(low: int, width: int, even: bool, u: float) -> None:
    part = whole(low, low + width, log=not even)
    assert part.sample(0) == low
    assert part.sample(1) == low + width
    assert part.sample(u) in part
    assert all(part.sample(part.position(value)) == value for value in range(low, low + width + 1))


def test_values_are_equally_likely() -> None:
    for part in (whole(1, 5), choice("a", "b", "c", "d", "e")):
        counts = Counter(bare(part).sample(i / 1000) for i in range(1000))
        assert set(counts.values()) == {200}
    octaves = Counter(int(whole(1, 15, log=True).sample(i / 4000)).bit_length() for i in range(4000))
    assert all(abs(count - 1000) <= 2 for count in octaves.values())


def test_the_fingerprint_knows_space_and_augmentation_and_nothing_else_has_changed_it() -> None:
    plain = Problem(model, (X, Y)).fingerprint
    others = [
        Problem(model, (X, Y), space={"width": whole(4, 8)}).fingerprint,
        Problem(model, (X, Y), space={"width": whole(4, 9)}).fingerprint,
        Problem(model, (X, Y), augment=noisy).fingerprint,
        Problem(model, (X, Y), augment=lambda x, y: (x, y)).fingerprint,
    ]
    assert len({plain, *others}) == 5


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    code = """
        from tests.problems.test_own import SPACE, X, Y, Problem, model, noisy
        print(Problem(model, (X, Y), space=SPACE, augment=noisy).fingerprint)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == Problem(model, (X, Y), space=SPACE, augment=noisy).fingerprint
