"""Tiny Shakespeare: a million characters of plays, of which the next one is to be predicted."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...models import CharLSTM, CharTransformer
from ..download import Published, fetch
from ..problem import Problem
from .registry import builtin

Array = np.ndarray[Any, Any]

TINY_SHAKESPEARE = Published(
    name="tiny_shakespeare",
    folders=("tiny-shakespeare", "tiny_shakespeare", "tinyshakespeare"),
    source="https://github.com/karpathy/char-rnn/raw/master/data/tinyshakespeare/",
    files={"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
)
_HELD_OUT = 0.05
"""Share of the text, at its end, for validation, and as much again for test."""
_SCORED = 1024
"""Characters of a held-out window: a model starts each without memory, and the first few cost more."""


@builtin
def tiny_shakespeare(data: Path | None = None) -> Problem:
    """The next character of Shakespeare's plays, in nats a character: an LSTM of 256 units, one-cycle schedule.

    Text: Karpathy's char-rnn (2015). The last 5 % of the text are for test, the 5 % before them for validation; both
    are scored in windows of 1,024 characters, each begun without memory.
    """
    text, characters = _text(data)
    return Problem(
        partial(CharLSTM, characters, 256, dropout=0.1),
        *_windows(text, 128, _SCORED),
        loss=nats,
        metric="loss",
        batch_size=32,
        epochs=12,
        augment=Shift(128),
        schedule="one_cycle(peak=10%)",
        name="tiny_shakespeare",
    )


@builtin
def tiny_shakespeare_transformer(data: Path | None = None) -> Problem:
    """The next character of Shakespeare's plays, as `tiny_shakespeare`: a transformer of 4 layers, width 128.

    Vaswani et al. 2017, arXiv:1706.03762. The rate warms up over 5 % of training, then falls along a cosine.
    """
    text, characters = _text(data)
    return Problem(
        partial(CharTransformer, characters, 128, layers=4, heads=4, dropout=0.1),
        *_windows(text, 128, 128),
        loss=nats,
        metric="loss",
        batch_size=32,
        epochs=12,
        augment=Shift(128),
        schedule="warmup(5%) > cosine",
        name="tiny_shakespeare_transformer",
    )


def nats(scores: Tensor, characters: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy a character, in nats, of scores (n, time, vocabulary) and the characters (n, time) that came."""
    return F.cross_entropy(scores.flatten(0, -2), characters.flatten(), label_smoothing=label_smoothing)


class Shift:
    """A part of every window, `length` characters from a random place on, so that epochs cut the text elsewhere."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        starts = torch.randint(x.shape[1] - self.length + 1, (len(x), 1))
        places = (starts + torch.arange(self.length)).to(x.device)
        return x.gather(1, places), y.gather(1, places)

    def __repr__(self) -> str:
        return f"Shift({self.length})"


def _text(data: Path | None) -> tuple[Array, int]:
    """The text as numbers of characters, in alphabetical order, and how many different ones there are."""
    letters, text = np.unique(np.frombuffer(fetch(TINY_SHAKESPEARE, data)["input.txt"], np.uint8), return_inverse=True)
    return text.astype(np.int64), len(letters)


def _windows(text: Array, length: int, scored: int) -> list[tuple[Array, Array]]:
    """Windows of characters and of those that follow them, for training, validation and test.

    Training windows are twice `length` long and begin every `length` characters, for `Shift`; held-out windows are
    `scored` long and do not overlap.
    """
    held = round(_HELD_OUT * len(text))
    train, valid, test = text[: -2 * held], text[-2 * held : -held], text[-held:]
    parts = ((train, 2 * length, length), (valid, scored, scored), (test, scored, scored))
    return [(_cut(part[:-1], width, step), _cut(part[1:], width, step)) for part, width, step in parts]


def _cut(text: Array, width: int, step: int) -> Array:
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(text, width)[::step])
