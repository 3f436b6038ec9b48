"""Penalties of chosen weights as a term of the loss.

In a loop of one's own it is a number to add:

    loss = F.cross_entropy(model(x), y) + fallline.penalties.elastic(model, l1=1e-5, l2=1e-4, where=["*.weight"])

A `Problem` has it by `problem.penalized(l1=1e-5, penalize=["encoder"])`, a comparison by `l1`, `l2` and `penalize`.
Where `l1` and `l2` are to be searched, as hyper-parameters of the problem's own, the model gives the penalty beside its
outputs, in training only, and the loss adds it:

    def model(l2=1e-4):
        return fallline.penalties.Penalized(Net(), l2=l2, where=["encoder"])

    problem = fallline.Problem(model, data, loss=fallline.penalties.with_penalty(F.cross_entropy), space={"l2": ...})

Penalties of all weights alike need none of this: they are modifiers of every rule (`l1`, `l2`, `weight_decay`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError
from .layers.check import names, number
from .optim.recipes.parameters import check_selectors, matches, places
from .problems import Problem
from .problems.metric import Loss, ignored_label, loss_name

__all__ = ["Penalized", "Penalty", "elastic", "with_penalty"]


def elastic(model: nn.Module, *, l1: float = 0.0, l2: float = 0.0, where: Iterable[str] = ()) -> Tensor:
    """The sum of l1 * |w| + l2 / 2 * w² over the weights that the selectors name; without a selector, over all.

    Selectors are those of `optim.recipes`: a module's path (`encoder.layers.3`), a parameter's, or a pattern
    (`*.weight`). A weight with several names counts once. The gradient of the second term is l2 * w, as that of
    `weight_decay` in `torch.optim.SGD` and of the modifier `l2`. A number with a gradient, of the weights' type.

    Raises `InputError` for penalties below 0 and for a selector that names nothing. Source: Zou & Hastie 2005,
    "Regularization and variable selection via the elastic net", equation 3.
    """
    l1, l2 = number("l1", l1), number("l2", l2)
    return _sum(model, l1, l2, _chosen(model, where))


@dataclass(frozen=True)
class Penalty:
    """What a problem is penalized by: `elastic` with these settings, `where` also as a text with commas.

    Raises `InputError` for penalties below 0.
    """

    l1: float = 0.0
    l2: float = 0.0
    where: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("l1", "l2"):
            object.__setattr__(self, name, number(name, getattr(self, name)))
        object.__setattr__(self, "where", names("penalize", self.where))

    def of(self, model: nn.Module) -> Callable[[], Tensor]:
        """The term of a model, at the weights that it holds when it is asked for. Raises as `elastic` does."""
        return partial(_sum, model, self.l1, self.l2, _chosen(model, self.where, "penalize"))


def asked(problem: Problem, l1: float | None, l2: float | None, penalize: str | Sequence[str]) -> Problem:
    """The problem with the penalty that these arguments ask for; where they say nothing, with its own."""
    if penalize and not (l1 or l2):
        raise InputError("penalize says which modules are penalized; give l1 or l2 too.")
    return problem if l1 is None and l2 is None else problem.penalized(l1 or 0.0, l2 or 0.0, penalize)


class Penalized(nn.Module):
    """A model that gives (outputs, penalty) in training, and its outputs at test time. The penalty is `elastic`'s.

    Its loss is `with_penalty(loss)`. Trials that differ in `l1` and `l2` alone can be trained in one stack. Raises
    `InputError` as `elastic` does.
    """

    l1: Tensor
    l2: Tensor

    def __init__(self, model: nn.Module, *, l1: float = 0.0, l2: float = 0.0, where: Iterable[str] = ()) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("l1", torch.tensor(number("l1", l1)), persistent=False)
        self.register_buffer("l2", torch.tensor(number("l2", l2)), persistent=False)
        self.names = _chosen(model, where)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = self.model(*args, **kwargs)
        return (outputs, _sum(self.model, self.l1, self.l2, self.names)) if self.training else outputs


class with_penalty:
    """A loss that adds the penalty that a `Penalized` model gives; of plain outputs it is the loss itself."""

    def __init__(self, loss: Loss) -> None:
        if not callable(loss):
            raise InputError(f"loss must be a function of outputs and targets; it is {loss!r}.")
        self.loss = loss
        # what a Problem reads of a loss: what it is over, which label it passes over, its own hyper-parameters
        self.__name__ = loss_name(loss)
        self.__signature__ = inspect.signature(loss)
        self.ignore_index = ignored_label(loss)

    def __call__(self, outputs: Any, y: Any, **settings: Any) -> Tensor:
        if isinstance(outputs, tuple):
            outputs, penalty = outputs
            total: Tensor = self.loss(outputs, y, **settings) + penalty
            return total
        return self.loss(outputs, y, **settings)

    def __repr__(self) -> str:
        return f"with_penalty({self.loss!r})"


def _chosen(model: nn.Module, where: Iterable[str], argument: str = "where") -> tuple[str, ...]:
    """The first names of the parameters that the selectors name."""
    found = places(model)
    selectors = check_selectors(argument, where, (name for place in found for name in place.names)) or [""]
    named = [place for place in found if any(matches(s, name) for s in selectors for name in place.names)]
    return tuple(place.name for place in named)


def _sum(model: nn.Module, l1: float | Tensor, l2: float | Tensor, chosen: Iterable[str]) -> Tensor:
    terms = []
    for path, _, leaf in (name.rpartition(".") for name in chosen):
        weight = getattr(model.get_submodule(path), leaf)  # in a stack of trials, no `Parameter`
        terms.append(l1 * weight.abs().sum() + l2 / 2 * weight.square().sum())
    return torch.stack(terms).sum()
