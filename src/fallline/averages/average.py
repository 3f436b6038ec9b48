"""An average of a model's weights, kept beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn, update_bn

from ..errors import InputError
from ..tensors import parameters_and_buffers
from .kinds import Kind, parse

_HALF = (torch.float16, torch.bfloat16)


class Average:
    """The average of the weights that `model` has after its updates; `kind` is its text, as "ema(0.999)".

    Of a compiled or distributed model it is that of the module inside. Buffers are those of the model, until
    `recalibrate` gives batch norms the statistics of the averaged weights. Half types are averaged in float32, where an
    average of a thousand steps still moves. Raises `InputError` for a kind that cannot be read, or a model that cannot
    be copied.
    """

    def __init__(self, model: nn.Module, kind: str | Kind = "ema") -> None:
        from ..optim.recipes.parameters import bare  # here: who only reads a text needs no optimizers

        self.kind = parse(kind)
        self.count = 0
        """Iterates in the average."""
        self._model, self._given = bare(model), model
        self._applied = False
        self._wide = any(p.dtype in _HALF for p in self._model.parameters())
        # one tensor after another where types differ: PyTorch's kernels over lists need one type
        how: dict[str, Any] = {"avg_fn": self._one} if self._wide else {"multi_avg_fn": self._several}
        try:
            self._averaged = AveragedModel(self._model, **how)
        except Exception as error:
            raise InputError(f"the model cannot be copied to be averaged: {type(error).__name__}: {error}") from error
        for p in self._averaged.parameters():
            p.requires_grad_(False)
            p.grad = None
            if p.dtype in _HALF:
                p.data = p.data.float()

    def __repr__(self) -> str:
        return f"Average({type(self._model).__name__}, {str(self.kind)!r}, count={self.count})"

    @property
    def averaged(self) -> nn.Module:
        """The model with the averaged weights: a copy that is kept up to date, untrained before the first update."""
        module: nn.Module = self._averaged.module
        return module

    def update(self, step: int, steps: int, epoch: float | None = None) -> None:
        """Take in the weights after update `step` (from 0) of a run of `steps`, if the kind counts them.

        A kind with lengths in epochs needs to know how many updates an `epoch` has. Raises `InputError` within
        `applied`, and for a step that is not in the run.
        """
        if self._applied:
            raise InputError("update() within applied() would average the average; call it outside.")
        if self.kind.counts(step, steps, epoch):
            self._averaged.update_parameters(self._model)
            self.count += 1

    @contextmanager
    def applied(self) -> Iterator[nn.Module]:
        """The model holds the average inside the `with` block, and its own weights and buffers again after it.

        Before any weights are averaged nothing changes: a model is its own average.
        """
        if not self.count or self._applied:
            yield self._given
            return
        mine = list(parameters_and_buffers(self._model).values())
        kept = [tensor.detach().clone() for tensor in mine]
        self._applied = True
        try:
            _copy(parameters_and_buffers(self.averaged).values(), mine)
            yield self._given
        finally:
            _copy(kept, mine)
            self._applied = False

    def recalibrate(self, batches: Iterable[Any]) -> None:
        """Give batch norms the mean and variance of the averaged weights, over a pass through `batches` of inputs.

        A batch is a tensor or a pair of which it is the first; one with a single example, of which there is no
        variance, is passed over. Norms with frozen statistics keep theirs. It holds until the next update. Does nothing
        for models without batch norm, nor before any weights are averaged. Izmailov et al. 2018, section 3.2.
        """
        if not self.count:
            return
        norms = [module for module in self.averaged.modules() if isinstance(module, _BatchNorm)]
        before = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]
        update_bn(self._inputs(batches), self.averaged)
        for norm, kept in zip(norms, before, strict=True):
            if norm.num_batches_tracked is not None and not norm.num_batches_tracked:
                _copy(kept.values(), dict(norm.named_buffers()).values())

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on, by name: what `load` takes and a safetensors file can hold."""
        held = {f"average.{name}": value.detach() for name, value in parameters_and_buffers(self.averaged).items()}
        return {"count": torch.tensor(self.count), **held}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state. Raises `InputError` for one of another model."""
        mine = self.state()
        wrong = [name for name in mine if name not in state or state[name].shape != mine[name].shape]
        if wrong or len(mine) != len(state):
            what = f"{wrong[0]} is missing or has another shape" if wrong else "it has more tensors"
            raise InputError(f"the state is not that of an average of this model: {what}.")
        self.count = int(state["count"])
        self._averaged.n_averaged.fill_(self.count)
        held = parameters_and_buffers(self.averaged)
        _copy([state[f"average.{name}"] for name in held], held.values())

    def _several(self, averages: Any, weights: Any, _: Any) -> None:
        get_ema_multi_avg_fn(self.kind.keep(self.count))(averages, weights, _)  # type: ignore[no-untyped-call]

    def _one(self, average: Tensor, weights: Tensor, _: Any) -> Tensor:
        kept = self.kind.keep(self.count)
        taken: Tensor = get_ema_avg_fn(kept)(average, weights.to(average.dtype), _)  # type: ignore[no-untyped-call]
        return taken

    def _inputs(self, batches: Iterable[Any]) -> Iterator[Tensor]:
        device = next(self.averaged.parameters()).device
        for batch in batches:
            x = batch[0] if isinstance(batch, list | tuple) else batch
            if len(x) > 1:
                x = x.to(device)
                yield x.float() if self._wide and x.dtype in _HALF else x


@torch.no_grad()
def _copy(values: Iterable[Tensor], into: Iterable[Tensor]) -> None:
    for value, target in zip(values, into, strict=True):
        target.copy_(value)
