"""One model from several: a soup by a problem's data, chosen on those for validation and scored on those for test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import TextColumn
from torch import nn

from ..errors import InputError, unknown
from ..problems import Problem
from ..progress import Bar, left
from ..tensors import parameters_and_buffers
from ..training import Score, Weights, evaluate
from . import soups
from .ensemble import filled
from .soups import Soup

_Scored = Callable[[Weights], float]


def _uniform(members: Sequence[nn.Module], score: _Scored, maximize: bool) -> Soup:
    soup = soups.uniform(members)
    alone = tuple(score(dict(member.state_dict())) for member in members)
    return replace(soup, score=score(soup.weights), alone=alone)


def _greedy(members: Sequence[nn.Module], score: _Scored, maximize: bool) -> Soup:
    return soups.greedy(members, score, maximize=maximize)


class _Kind(NamedTuple):
    make: Callable[[Sequence[nn.Module], _Scored, bool], Soup]
    scores: Callable[[int], int]
    """How often something is scored, of so many members."""


KINDS = {"greedy": _Kind(_greedy, lambda n: 2 * n - 1), "uniform": _Kind(_uniform, lambda n: n + 1)}
"""Name -> kind of soup."""


@dataclass(frozen=True)
class Cooked:
    """A soup, the names of what there was to put in, its weights as they were scored, and its score on test data."""

    soup: Soup
    names: tuple[str, ...]
    metric: str
    weights: Weights
    """With the statistics that batch norms learned for them."""
    score: Score

    @property
    def used(self) -> tuple[str, ...]:
        """The names of those in the soup, in the order in which they were added."""
        return tuple(self.names[k] for k in self.soup.used)

    @property
    def said(self) -> str:
        """In words."""
        what = f"the mean of the weights of {len(self.used)} members ({'; '.join(self.used)})"
        if len(self.used) == 1:
            what = f"no mean of weights helps on validation data; the best member there, {self.used[0]},"
        return f"One model: {what} reaches {self.metric} {self.score.metric:.4g}, loss {self.score.loss:.4g}."

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for programs."""
        alone = dict(zip(self.names, self.soup.alone, strict=True))
        return {"members": list(self.used), "valid": self.soup.score, "alone": alone, **self.score._asdict()}


def cook(
    members: Sequence[nn.Module],
    names: Sequence[str],
    problem: Problem,
    *,
    kind: str = "greedy",
    progress: bool | None = None,
) -> Cooked:
    """A "greedy" or "uniform" soup of models of a problem, by its metric on validation data.

    Batch norms are recalibrated. `progress` shows a bar (default: where somebody sees it). Raises `InputError` for
    another kind.
    """
    if kind not in KINDS:
        raise unknown("kind of soup", kind, KINDS)
    tried = TextColumn("{task.completed:.0f}/{task.total:.0f} scored")
    how, what = KINDS[kind], f"{kind} soup on {problem.name}"
    with Bar(progress, tried, *left(), what=what, total=how.scores(len(members))) as bar:
        soup = how.make(members, _counted(soups.validation(problem), bar), problem.metric.maximize)
    # a single member has the statistics that it was trained with
    model = soups.ready(problem.build(0), soup.weights, problem, recalibrate=len(soup.used) > 1)
    held = {name: value.detach() for name, value in parameters_and_buffers(model).items()}
    return Cooked(soup, tuple(names), problem.metric.name, held, evaluate(model, problem, problem.test))


def cook_files(
    checkpoints: Sequence[Path], problem: Problem, *, kind: str = "greedy", progress: bool | None = None
) -> Cooked:
    """As `cook`, from files of weights of the problem's model. Raises `InputError` for fewer than two, and others."""
    if len(checkpoints) < 2:
        raise InputError(f"a soup needs two checkpoints or more; {len(checkpoints)} was given.")
    members = [filled(problem.build(0), path, str(path)) for path in checkpoints]
    return cook(members, [str(path) for path in checkpoints], problem, kind=kind, progress=progress)


def _counted(score: _Scored, bar: Bar) -> _Scored:
    """The score, each use of which is seen at the bar."""
    uses = 0

    def counted(weights: Weights) -> float:
        nonlocal uses
        value = score(weights)
        uses += 1
        bar.update(completed=uses)
        return value

    return counted
