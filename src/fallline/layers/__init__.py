"""Layers of the field that PyTorch lacks, each with its paper and with what it does at test time.

    branch = fallline.layers.StochasticDepth(0.2)               # whole residual branches left out in training
    hidden = fallline.layers.DropConnect(784, 100, p=0.5)        # weights left out
    pool = fallline.layers.FractionalMaxPool2d(2, output_ratio=0.7)

Test time is deterministic unless a layer says otherwise: what is random in training is replaced by its expectation, or
by an average. What PyTorch has is PyTorch's: `nn.Dropout`, the norms, label smoothing
(`F.cross_entropy(..., label_smoothing=0.1)`). Penalties of weights are in `fallline.penalties`; clipping and noise of
gradients are modifiers of a rule (`rules.modifiers`).

A layer is a class named in the `__all__` of a file of this folder; a new file is found by being here. Layers draw from
PyTorch's global generator and can be trained in stacks.
"""

from __future__ import annotations

from typing import Any

from ..found import named, public

LAYERS: dict[str, Any] = public(__name__, __path__)
"""Name -> layer, or function that goes with one."""

__all__ = ["LAYERS", *LAYERS]


def __getattr__(name: str) -> Any:
    return named(__name__, LAYERS, name)
