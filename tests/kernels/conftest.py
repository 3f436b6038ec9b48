"""What the tests of Triton's kernels share."""

from __future__ import annotations

import pytest
from torch import Tensor

from fallline.kernels import form
from fallline.kernels.gpu import capture, kernel
from fallline.optim import base
from tests.kernels.device import DEVICE, GPU


@pytest.fixture
def on_triton(monkeypatch) -> None:
    """Tensors on `DEVICE` are stepped by Triton's kernels, and what is a tensor there is not read by the host."""
    monkeypatch.setattr(form, "backend", lambda device: "triton" if device.type == DEVICE.type else "numba")
    if not GPU:
        monkeypatch.setattr(base, "_number", lambda value: value if isinstance(value, Tensor) else float(value))


@pytest.fixture
def launches(monkeypatch) -> list[str]:
    """The names of the functions that are launched, as they are."""
    done: list[str] = []
    start = kernel.start
    monkeypatch.setattr(
        kernel, "start", lambda function, *rest: done.append(function.__name__) or start(function, *rest)
    )
    return done


@pytest.fixture
def sent(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes of what boards send to the device, as they do."""
    done: list[tuple[int, ...]] = []
    send = capture.Sender.sent
    monkeypatch.setattr(capture.Sender, "sent", lambda self, array: done.append(array.shape) or send(self, array))
    return done
