"""Architectures that claims of the field need and that have no light-weight home: plain `nn.Module`s, made by a call.

    model = fallline.models.resnet(depth=20, classes=10, channels=1, stochastic_depth=0.2)
    model = fallline.models.squeezenet("1.1", classes=10, channels=1, stem="small")
    problem = fallline.Problem(partial(fallline.models.mlp, 64, 100, 10), train_set)

A model is a function or class named in the `__all__` of a file of this folder; a new file is found by being here. Each
says the paper it follows and where it departs from it. All draw their initial weights from PyTorch's global generator,
and can be trained in stacks.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..found import named, public

MODELS: dict[str, Callable[..., nn.Module]] = public(__name__, __path__)
"""Name -> function or class that makes the model, or a part that models are made of."""

__all__ = ["MODELS", *MODELS]


def __getattr__(name: str) -> Callable[..., nn.Module]:
    made: Callable[..., nn.Module] = named(__name__, MODELS, name)
    return made
