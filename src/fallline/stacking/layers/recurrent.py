"""LSTM, GRU and plain recurrent layers: the inputs of all steps in one batched product, then step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form
from ..refusal import CannotStack
from .linear import Product
from .noise import dropout

States = tuple[Tensor, ...]


@form(torch.lstm)
def lstm(stack: Stack, input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """input (T, L, N, inputs), or (T, N, L, inputs) where batch comes first; hx two of (T, layers, N, H)."""
    out, (h, c) = _layers(stack, "lstm", input, hx, *rest)
    return out, h, c


@form(torch.gru)
def gru(stack: Stack, input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, Tensor]:
    """input (T, L, N, inputs), or (T, N, L, inputs) where batch comes first; hx (T, layers, N, H)."""
    out, (h,) = _layers(stack, "gru", input, (hx,), *rest)
    return out, h


@form(torch.rnn_tanh)
def rnn_tanh(stack: Stack, input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, Tensor]:
    """As `gru`."""
    out, (h,) = _layers(stack, "tanh", input, (hx,), *rest)
    return out, h


@form(torch.rnn_relu)
def rnn_relu(stack: Stack, input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, Tensor]:
    """As `gru`."""
    out, (h,) = _layers(stack, "relu", input, (hx,), *rest)
    return out, h


def _layers(
    stack: Stack,
    kind: str,
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: Any,
    num_layers: int = 1,
    share: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: Any = None,
) -> tuple[Tensor, States]:
    """All layers and directions; an input of packed sequences has its arguments elsewhere."""
    if batch_first is None or not isinstance(has_biases, bool):
        raise CannotStack(
            "the trials cannot be stacked: packed sequences in a recurrent layer are not done for many at once."
        )
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    if each != (4 if has_biases else 2):
        raise CannotStack(
            "the trials cannot be stacked: a recurrent layer with proj_size is not done for many at once."
        )
    size = stack.size
    x = input.transpose(1, 2) if batch_first else input
    params = [p.expand(size, *p.shape[1:]) for p in params]
    hx = [h.expand(size, *h.shape[1:]) for h in hx]
    last: list[States] = []
    for layer in range(num_layers):
        outs = []
        for direction in range(directions):
            at = layer * directions + direction
            out, state = _direction(
                kind, x, tuple(h[:, at] for h in hx), params[each * at : each * (at + 1)], direction == 1
            )
            outs.append(out)
            last.append(state)
        x = outs[0] if directions == 1 else torch.cat(outs, -1)
        if train and layer < num_layers - 1:
            x = dropout(stack, x, share)
    states = tuple(torch.stack(parts, 1) for parts in zip(*last, strict=True))
    return (x.transpose(1, 2) if batch_first else x), states


def _direction(kind: str, x: Tensor, first: States, params: list[Tensor], backwards: bool) -> tuple[Tensor, States]:
    """One layer in one direction: x (T or 1, L, N, inputs), first states (T, N, H)."""
    w_in, w_hidden, *biases = params
    b_in, b_hidden = biases or (None, None)
    if b_in is not None and b_hidden is not None and kind != "gru":
        b_in, b_hidden = b_in + b_hidden, None
    if fits(x, w_in, *first):
        given = (kind, backwards, x, w_in, w_hidden, b_in, b_hidden, *first)
        out, *last = Sequence.apply(*given)  # type: ignore[no-untyped-call]
        return out, tuple(last)
    if backwards:
        x = x.flip(1)
    out, *last = _steps(kind, x, w_in, w_hidden, b_in, b_hidden, first)
    return (out.flip(1) if backwards else out), tuple(last)


def _cell(kind: str, stack: Stack, input: Tensor, hx: Any, *params: Tensor | None) -> Any:
    """One step of one layer: input (T, N, inputs), states (T, N, H)."""
    first = hx if isinstance(hx, list | tuple) else (hx,)
    w_in, w_hidden, b_in, b_hidden = (*params, None, None)[:4]
    assert w_in is not None
    assert w_hidden is not None
    if w_in.size(0) != stack.size:
        return NotImplemented
    states = tuple(state.expand(stack.size, *state.shape[1:]) for state in first)
    if b_in is not None and b_hidden is not None and kind != "gru":
        b_in, b_hidden = b_in + b_hidden, None
    _, *last = _steps(kind, input.unsqueeze(1), w_in, w_hidden, b_in, b_hidden, states)
    return tuple(last) if kind == "lstm" else last[0]


for _name, _kind in (("lstm", "lstm"), ("gru", "gru"), ("rnn_tanh", "tanh"), ("rnn_relu", "relu")):
    form(getattr(torch, f"{_name}_cell"))(partial(_cell, _kind))


def _steps(
    kind: str, x: Tensor, w_in: Tensor, w_hidden: Tensor, b_in: Tensor | None, b_hidden: Tensor | None, first: States
) -> list[Tensor]:
    """The recurrence in PyTorch's own operations: the inputs of all steps in one product, then step by step."""
    size, (steps, n, inputs) = w_in.size(0), x.shape[1:]
    flat = x.reshape(x.size(0), steps * n, inputs).expand(size, -1, -1)
    gates = Product.apply(flat, w_in, b_in).view(size, steps, n, -1)  # type: ignore[no-untyped-call]
    turned, h, c, outs = w_hidden.mT, first[0], first[-1], []
    for now in gates.unbind(1):
        if kind == "gru":
            own = torch.bmm(h, turned) if b_hidden is None else torch.baddbmm(b_hidden.unsqueeze(1), h, turned)
            (r, z, n_in), (own_r, own_z, own_n) = now.chunk(3, -1), own.chunk(3, -1)
            z = (z + own_z).sigmoid()
            h = (1 - z) * (n_in + (r + own_r).sigmoid() * own_n).tanh() + z * h
        elif kind == "lstm":
            i, f, g, o = torch.baddbmm(now, h, turned).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        else:
            h = torch.baddbmm(now, h, turned)
            h = h.tanh() if kind == "tanh" else h.relu()
        outs.append(h)
    return [torch.stack(outs, 1), h, c] if kind == "lstm" else [torch.stack(outs, 1), h]


_KINDS = {"lstm": 0, "gru": 1, "tanh": 2, "relu": 3}


class Sequence(Function):
    """The recurrence compiled: all steps of a trial in one go."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: str,
        backwards: bool,
        x: Tensor,
        w_in: Tensor,
        w_hidden: Tensor,
        b_in: Tensor | None,
        b_hidden: Tensor | None,
        *first: Tensor,
    ) -> tuple[Tensor, ...]:
        x, w_in, w_hidden = _rows(x), w_in.contiguous(), w_hidden.contiguous()
        size, wide, inputs = w_in.shape
        steps, n, units = x.size(1), x.size(2), w_hidden.size(2)
        gates = x.new_empty(size, steps, n, wide)
        states = [x.new_empty(size, steps + 1, n, units) for _ in first]
        for state, given in zip(states, first, strict=True):
            state[:, 0] = given
        if kind == "gru":
            states.append(x.new_empty(size, steps, n, units))
        numbers = (steps, n, inputs, units, *_strides(x), 0, 0, 0, int(backwards), _KINDS[kind])
        biases = [None if b is None else b.contiguous() for b in (b_in, b_hidden)]
        room = wide * (inputs + units + n)
        hidden, written = states[0], (gates, *states)
        compute("recurrent.forward", size, gates.numel(), room, numbers, (x, w_in, w_hidden, *biases), written)
        ctx.kind, ctx.backwards, ctx.biases = kind, backwards, (b_in is not None, b_hidden is not None)
        ctx.save_for_backward(x, w_in, w_hidden, gates, *states)
        last = [state[:, -1].clone() for state in (states[:2] if kind == "lstm" else states[:1])]
        out = hidden[:, 1:]
        return (out.flip(1) if backwards else out.clone(), *last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, *last: Tensor) -> Any:
        x, w_in, w_hidden, gates, hidden, *more = ctx.saved_tensors
        g_out = _rows(g_out)
        by_state = [g.clone(memory_format=torch.contiguous_format) for g in last]
        size, wide, inputs = w_in.shape
        steps, n, units = x.size(1), x.size(2), w_hidden.size(2)
        gx = x.new_empty(size, steps, n, inputs) if ctx.needs_input_grad[2] else None
        by_input, by_hidden = torch.empty_like(w_in), torch.empty_like(w_hidden)
        g_in, g_hidden = x.new_empty(size, wide), x.new_empty(size, wide)
        numbers = (steps, n, inputs, units, *_strides(x), *_strides(g_out), int(ctx.backwards), _KINDS[ctx.kind])
        room = wide * (inputs + units + n) + 2 * n * units
        given = (x, w_in, w_hidden, gates, hidden, *(more or [None]), g_out)
        by_states = by_state if len(by_state) > 1 else [*by_state, None]
        written = (*by_states, gx, by_input, by_hidden, g_in, g_hidden)
        compute("recurrent.backward", size, gates.numel(), room, numbers, given, written)
        if gx is not None and x.size(0) == 1 != size:
            gx = gx.sum(0, keepdim=True)
        biases = [g if there else None for g, there in zip((g_in, g_hidden), ctx.biases, strict=True)]
        return (None, None, gx, by_input, by_hidden, *biases, *by_state)


def _rows(x: Tensor) -> Tensor:
    """The tensor with its last axis' numbers one after another."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _strides(x: Tensor) -> tuple[int, int, int]:
    """From a trial, a step and an example to the next; 0 from one trial to the next of what all share."""
    return (0 if x.size(0) == 1 else x.stride(0)), x.stride(1), x.stride(2)
