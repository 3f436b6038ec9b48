"""Data-parallel training: the processes that `torchrun` starts, each with its share of every batch.

    torchrun --nproc-per-node 2 -m fallline train digits

Weights, schedules and averages are the same in all of them; the first process alone writes files and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from ..errors import InputError
from .feed import Share


class Peers:
    """The processes that train together; alone, every method is what one process needs."""

    def __init__(self, share: Share, device: torch.device) -> None:
        self.share, self.device = share, device
        self.bytes = 0
        """Bytes of gradients that this process has given to be summed with the others'."""
        self._wrapped: list[DistributedDataParallel] = []

    @property
    def alone(self) -> bool:
        return self.share.of == 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.share.rank == 0

    def wrap(self, model: nn.Module, thaws: bool) -> nn.Module:
        """The model whose backward pass takes the mean of the processes' gradients, and counts their bytes.

        With `thaws` some parameters may have no gradient. Batch norms take statistics over each process's own examples,
        those of the first process are kept (for others, convert the model: `nn.SyncBatchNorm`).
        """
        if self.alone:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        wrapped = DistributedDataParallel(model, device_ids=ids, find_unused_parameters=thaws)
        wrapped.register_comm_hook(self, _counted)
        self._wrapped.append(wrapped)
        return wrapped

    def part(self) -> None:
        """Let wrapped models go from the group, which waits for its threads when its last user goes.

        A model's reducer as the last one would wait with Python's lock held, for threads that may want it.
        """
        for wrapped in self._wrapped:
            del wrapped.logger, wrapped.reducer, wrapped.process_group
        self._wrapped.clear()

    def without_sums(self, model: nn.Module) -> AbstractContextManager[Any]:
        """A backward pass whose gradients stay here until a later one's are summed with them."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def sums(self, values: list[float]) -> list[float]:
        """The sum over processes of each value."""
        if self.alone:
            return values
        given = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(given)
        summed: list[float] = given.tolist()
        return summed

    def any(self, said: bool) -> bool:
        """Whether any process says so."""
        return self.sums([float(said)])[0] > 0

    def as_first(self, values: list[float]) -> list[float]:
        """The values of the first process, in all of them."""
        return self.sums([value if self.first else 0.0 for value in values])

    def gathered(self, content: bytes) -> list[bytes]:
        """What every process gives, in the order of ranks."""
        if self.alone:
            return [content]
        sizes = [int(size) for size in self._each(torch.tensor([len(content)]))]
        padded = content.ljust(max(sizes), b"\0")
        parts = self._each(torch.frombuffer(bytearray(padded), dtype=torch.uint8))
        return [bytes(part.numpy())[:size] for part, size in zip(parts, sizes, strict=True)]

    def _each(self, value: Tensor) -> list[Tensor]:
        value = value.to(self.device)
        parts = [torch.empty_like(value) for _ in range(self.share.of)]
        dist.all_gather(parts, value)
        return [part.cpu() for part in parts]

    def share_buffers(self, model: nn.Module) -> None:
        """Give the model the first process's buffers: each has statistics of its own examples after a step."""
        if not self.alone:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if not self.alone:
            dist.barrier()


# without annotations: PyTorch compares them with classes, and here they would be texts
def _counted(peers, bucket):  # type: ignore[no-untyped-def]
    peers.bytes += bucket.buffer().nbytes
    return allreduce_hook(None, bucket)  # type: ignore[arg-type]


@contextmanager
def peers(device: str | None) -> Iterator[Peers]:
    """The processes that `torchrun`, or a group that is there already, puts together; this one's device among them.

    `device`: "cpu", "cuda", "cuda:1", ..., or None for the GPU where there is one. Raises `InputError` for a device
    that this machine lacks.
    """
    started = False
    if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        place = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
        # imported while there is a group, its functions would keep that as their default for good
        import torch.distributed.nn.functional  # noqa: F401

        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
        started = True
    else:
        place = _device(device, int(os.environ.get("LOCAL_RANK", "0")) if dist.is_initialized() else 0)
    share = Share(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Share()
    together = Peers(share, place)
    try:
        yield together
    finally:
        together.part()
        if started:
            dist.destroy_process_group()


def _device(given: str | None, local: int) -> torch.device:
    if given is None:
        given = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(given)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", local)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device={given!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
