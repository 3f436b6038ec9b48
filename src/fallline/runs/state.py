"""All that a run needs to go on, as tensors and plain facts; and a run that goes on from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import torch
from safetensors import torch as files
from torch import Tensor, nn

from ..training import Point
from ..training.randomness import Generators
from .checkpoint import Saved

if TYPE_CHECKING:
    from .loop import Loop


def state(loop: Loop) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a loop between two updates. All processes take part, the first one's is whole."""
    parts, course = loop.parts, loop.parts.course
    tensors = {f"model.{name}": value.detach() for name, value in _of_model(parts.model)}
    numbers = {}
    for k, kept in parts.optimizer.state_dict()["state"].items():
        tensors |= {f"state.{k}.{name}": value for name, value in kept.items() if isinstance(value, Tensor)}
        numbers[str(k)] = {name: value for name, value in kept.items() if not isinstance(value, Tensor)}
    if parts.average is not None:
        tensors |= {f"average.{name}": value for name, value in parts.average.state().items()}
    if isinstance(loop.draws, Generators):
        own = files.save({name: value.contiguous() for name, value in loop.draws.tensors().items()})
        for rank, content in enumerate(parts.peers.gathered(own)):
            tensors[f"draws.{rank}"] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    facts = {
        "epoch": loop.epoch,
        "at": loop.at,
        "seen": loop.seen,
        "counts": loop.counts,
        "numbers": numbers,
        "rows": [asdict(row) for row in loop.sinks.history.rows],
        "course": {"steps": course.steps, "seconds": course.seconds, "reason": course.reason},
        "schedule": parts.follower.state(),
        "best": {name: value for name, value in parts.best.state_dict().items() if name != "weights"},
        "precision": parts.precision.state(),
        "exchanged": parts.peers.bytes,
    }
    return tensors, facts


@torch.no_grad()
def load(loop: Loop, saved: Saved, best: dict[str, Tensor]) -> None:
    """Have a fresh loop stand where a checkpoint was written."""
    parts, course, facts = loop.parts, loop.parts.course, saved.facts
    held = saved.part("model")
    for name, value in _of_model(parts.model):
        value.copy_(held[name])
    states: dict[str, dict[str, Tensor]] = {}
    for name, value in saved.part("state").items():
        k, _, key = name.partition(".")
        states.setdefault(k, {})[key] = value
    parameters = [p for group in parts.optimizer.param_groups for p in group["params"]]
    for k, numbers in facts["numbers"].items():
        p = parameters[int(k)]
        kept = {name: value.to(p.device) for name, value in states.get(k, {}).items()}
        parts.optimizer.state[p] = {**kept, **numbers}
    if parts.average is not None:
        parts.average.load(saved.part("average"))
    course.curve[:] = [Point(*(row[field.name] for field in fields(Point))) for row in facts["rows"]]
    course.steps, course.seconds, course.reason = (facts["course"][name] for name in ("steps", "seconds", "reason"))
    parts.follower.load(facts["schedule"])
    held = {name: value.to(parts.feed.device) for name, value in best.items()}
    parts.best.load_state_dict({**facts["best"], "weights": held})
    parts.precision.load(facts["precision"])
    parts.peers.bytes = facts["exchanged"]
    loop.epoch = facts["epoch"]
    draws = saved.part("draws").get(str(parts.peers.share.rank))
    generators = None if draws is None else Generators.of(files.load(bytes(draws.numpy())))
    loop.open(facts["at"], facts["seen"], facts["counts"], generators)
    loop.set_as_after_an_update()


def _of_model(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers by name, one that is used twice once."""
    yield from model.named_parameters()
    yield from model.named_buffers()
