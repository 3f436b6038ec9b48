"""The greedy soup of an ensemble's members: chosen on validation data, scored on test data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..problems import Problem
from ..training import Score, evaluate
from . import soups
from .ensemble import Ensemble
from .soups import Soup


@dataclass(frozen=True)
class Cooked:
    """A soup, the names of the members in it, and what it reaches on test data."""

    soup: Soup
    names: tuple[str, ...]
    metric: str
    score: Score

    @property
    def said(self) -> str:
        """In words."""
        what = f"the mean of the weights of {len(self.names)} members ({'; '.join(self.names)})"
        if len(self.names) == 1:
            what = f"no mean of weights helps on validation data; the best member there, {self.names[0]},"
        return f"One model: {what} reaches {self.metric} {self.score.metric:.4g}, loss {self.score.loss:.4g}."

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for programs."""
        return {"members": list(self.names), "valid": self.soup.score, **self.score._asdict()}


def cook(ensemble: Ensemble, problem: Problem) -> Cooked:
    """The members' greedy soup by the problem's metric on validation data, batch norms recalibrated."""
    model = problem.build(0)
    soup = soups.greedy(ensemble.members, soups.validation(problem), maximize=problem.metric.maximize)
    # a single member has the statistics that it was trained with
    recalibrate = len(soup.used) > 1
    soups.ready(model, soup.weights, problem, recalibrate)
    names = tuple(ensemble.names[k] for k in soup.used)
    return Cooked(soup, names, problem.metric.name, evaluate(model, problem, problem.test))
