"""The ways to ensembles: one decorated function each, which says what is trained and when members are taken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError, unknown
from ..problems import Problem
from ..reader import Reader, bound, like, written


@dataclass(frozen=True)
class Plan:
    """Runs of a problem (with its schedule) from each of `seeds`, and the updates after which members are taken."""

    problem: Problem
    seeds: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def members(self) -> list[tuple[int, int]]:
        """The run (by its place) and the update of every member."""
        return [(run, step) for run in range(len(self.seeds)) for step in self.steps]


KINDS: dict[str, Callable[..., Plan]] = {}


def kind(function: Callable[..., Plan]) -> Callable[..., Plan]:
    """Make a function a kind of ensemble. It takes a problem, how many members, a seed, and options by name."""
    KINDS[function.__name__] = function
    return function


def read(text: str) -> tuple[str, dict[str, float]]:
    """The name of a kind and its options, from "snapshot" or "fge(share=0.7, low=0.05)".

    Raises `InputError` for another kind, with the nearest names, and for options that it does not have.
    """
    if not isinstance(text, str):
        raise InputError(f'kind must be a text, such as "snapshot"; it is a {type(text).__name__}.')
    reader = Reader(text, "kind")
    name = reader.take("name", 'the name of a kind of ensemble, such as "snapshot",')
    if name not in KINDS:
        raise unknown("kind of ensemble", name, KINDS)
    options = options_of(name)
    given = reader.arguments(reader.value)
    reader.end("nothing more")
    found = bound(name, written(name, options), list(options), given)
    return name, {key: like(options[key], value, f"{key} of {name}") for key, (value,) in found.items()}


def options_of(name: str) -> dict[str, float]:
    """The options of a kind, with their defaults."""
    parameters = inspect.signature(KINDS[name]).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


@kind
def independent(problem: Problem, members: int, seed: int) -> Plan:
    """Runs from seeds of their own, with the problem's schedule, each as long as the problem says.

    Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474, Algorithm 1, without adversarial examples.
    """
    return Plan(problem, tuple(range(seed, seed + members)), (problem.follow().steps,))


@kind
def snapshot(problem: Problem, members: int, seed: int) -> Plan:
    """One run with as many cosine cycles of the rate as members, each taken at the end of its cycle.

    Huang et al. 2017, arXiv:1704.00109, equation 2, for every update, with cycles of exactly equal length.
    """
    cyclic = problem.scheduled(f"lr: restarts({100 / members:.15g}%)")
    steps = cyclic.follow().steps
    _enough(steps, 2 * members, "snapshot", members)
    # a cycle that ends between two updates ends after the later one
    return Plan(cyclic, (seed,), tuple(-(-cycle * steps // members) for cycle in range(1, members + 1)))


@kind
def fge(problem: Problem, members: int, seed: int, *, share: float = 0.8, high: float = 0.5, low: float = 0.1) -> Plan:
    """Fast geometric ensembling: one run, then short triangular cycles of its rate, members taken at the minima.

    The run is annealed by a cosine for the `share` of its updates to `high` times the rate; cycles go down to `low`
    times the rate and up again, and training ends at the last minimum. Garipov et al. 2018, arXiv:1802.10026, section
    4; their code runs 160 of 200 epochs before cycles of 2 or 4.
    """
    for name, value in (("share", share), ("high", high), ("low", low)):
        if not 0 < value <= 1:
            raise InputError(f"{name}={value!r} is not allowed for fge; it must be above 0 and at most 1.")
    steps = problem.scheduled(None).follow().steps
    # halves of cycles: all but the last member's go down and up again
    half = round((1 - share) * steps / (2 * members - 1))
    first = steps - half * (2 * members - 1)
    if half < 1 or first < 1:
        raise _too_few(steps, "fge", members)
    cycles = f"lr: cosine({first}, end={high!r}) > fast_geometric({2 * half}, high={high!r}, low={low!r})"
    return Plan(problem.scheduled(cycles), (seed,), tuple(first + half * (2 * k + 1) for k in range(members)))


def _enough(steps: int, needed: int, name: str, members: int) -> None:
    if steps < needed:
        raise _too_few(steps, name, members)


def _too_few(steps: int, name: str, members: int) -> InputError:
    return InputError(f"members={members} is not allowed for {name}: a run has only {steps} updates to take them from.")
