"""kornia's random changes of pictures, made once and drawn anew for each batch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import Tensor, nn

from ..errors import InputError


def run(x: Tensor, name: str, **settings: Any) -> Tensor:
    """The pictures after kornia's change of that name. Raises `InputError` where kornia is not installed."""
    changed: Tensor = _made(name, tuple(settings.items()))(x)
    return changed


@lru_cache(maxsize=64)
def _made(name: str, settings: tuple[tuple[str, Any], ...]) -> nn.Module:
    try:
        from kornia import augmentation
    except ModuleNotFoundError as error:
        raise InputError(
            "augmentation of pictures needs kornia; install it with: pip install 'fallline[images]'"
        ) from error
    made: nn.Module = getattr(augmentation, name)(**dict(settings))
    return made
