"""What stands beside a rule in the benchmark: every class of four libraries that does its work, each way it can run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec

import torch
from tests.database import PEERS, TWINS

from fallline import optim

Step = Callable[[], object]

COLUMNS = ("fused", "foreach", "default", "pytorch_optimizer", "optimi", "heavyball")
"""The columns of the table: the three ways of `torch.optim`, then the other libraries, each by its fastest way."""

STILL = 1e-9
"""A rate of nearly nothing keeps the numbers of a long measurement ordinary."""


def rules() -> list[str]:
    """The rules that have a peer."""
    return sorted({*TWINS, *(name for name, peers in PEERS.items() if peers)})


def suitable(rule: str, params: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The parameters that the rule and all its peers treat alike."""
    least = max((peer.dimensions for peer in PEERS.get(rule, [])), default=0)
    most = min((peer.most_dimensions for peer in PEERS.get(rule, [])), default=9)
    takes = TWINS[rule].takes if rule in TWINS else lambda shape: True
    return [p for p in params if least <= p.dim() <= most and takes(p.shape)]


def ours(rule: str, params: Sequence[torch.Tensor]) -> Step:
    """Our step: of the class that `torch.optim` has too, else of the rule's own."""
    if rule in TWINS:
        twin = TWINS[rule]
        return getattr(optim, twin.cls)(params, **{"lr": STILL, **twin.settings}).step  # type: ignore[no-any-return]
    numbers = {k: v for peer in PEERS[rule][:1] for k, v in peer.ours.items() if not callable(v)}
    return optim.optimizer(rule, params, **{**numbers, "lr": STILL}).step


def peers(rule: str, params: Sequence[torch.Tensor]) -> Iterator[tuple[str, Callable[[], Step]]]:
    """Every other way to do the rule's work: the column it belongs to, its name, and how it is made."""
    if rule in TWINS:
        cls, settings = getattr(torch.optim, TWINS[rule].cls), {"lr": STILL, **TWINS[rule].settings}
        for way in ("fused", "foreach", "default"):
            choice = {} if way == "default" else {way: True}
            if not set(choice) - set(inspect.signature(cls).parameters):
                yield way, lambda choice=choice: cls(params, **settings, **choice).step
    for peer in PEERS.get(rule, []):
        library = peer.path.partition(".")[0]
        if library in missing():
            continue
        for way, choice in peer.paths().items():
            yield (
                f"{library} {peer.path.rpartition('.')[2]} {way}",
                lambda peer=peer, choice=choice: _kept(params, peer.make(params, lr=STILL, **choice)),
            )


@cache
def missing() -> list[str]:
    """The libraries that are not installed."""
    return [library for library in COLUMNS[3:] if find_spec(library) is None]


def column(name: str) -> str:
    """The column of the table that a peer belongs to."""
    return name.partition(" ")[0]


def _kept(params: Sequence[torch.Tensor], optimizer: torch.optim.Optimizer) -> Step:
    """The step of an optimizer, gradients put back: HeavyBall's takes them away."""
    if not getattr(optimizer, "consume_grad", False):
        return optimizer.step
    gradients = [p.grad for p in params]

    def step() -> None:
        try:
            optimizer.step()
        finally:
            for p, g in zip(params, gradients, strict=True):
                p.grad = g

    return step
