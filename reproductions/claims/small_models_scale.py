"""SqueezeNet and AlexNet trained by two processes that exchange gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from fallline import Problem, models
from fallline.errors import FalllineError

from ..claim import Source, claim
from ..finding import Finding, above, exactly, measured
from ..lab import Lab

_SIDE, _CLASSES, _EACH = 64, 1000, 8
"""Of pictures; examples that a process is given in a step."""
_UPDATES = 4
"""In an epoch of two processes."""


@claim(
    number=3,
    title="Small models train faster across machines because they communicate less",
    paper="Iandola et al. 2016, SqueezeNet, arXiv:1602.07360, section 1",
    figures="",
    source=Source.NONE,
    smoke={"epochs": 3, "networks": ("squeezenet",)},
)
def small_models_scale(
    lab: Lab, epochs: int = 8, networks: tuple[str, ...] = ("squeezenet", "alexnet")
) -> list[Finding]:
    """SqueezeNet 1.0 and AlexNet at 1,000 classes on pictures of 64x64, 8 a process and step, by SGD: `torchrun`, one
    process and two with gloo on one machine, a thread each. Bytes that a process gives to be summed in a step, seconds
    a step, and what the second process adds to the pictures a second. Intervals over the epochs after the first."""
    found, gains = [], {}
    for name in networks:
        alone, both = (lab.part(f"{name}_{n}", partial(_train, name, n, epochs)) for n in (1, 2))
        gains[name] = [2 * a / b for a, b in zip(alone["seconds"], both["seconds"], strict=True)]
        found += [
            exactly(f"{name}: bytes given in a step", both["bytes"]),
            measured(f"{name}: seconds a step, one process", alone["seconds"], unit="s", over="epochs"),
            measured(f"{name}: seconds a step, two processes", both["seconds"], unit="s", over="epochs"),
            measured(f"{name}: pictures a second, two processes over one", gains[name], unit="times", over="epochs"),
        ]
    if len(gains) == 2:
        more = [small - large for small, large in zip(*gains.values(), strict=True)]
        found.append(measured("the same, SqueezeNet's minus AlexNet's", more, above(0), "times", "epochs"))
    return found


def squeezenet() -> Problem:
    """Random pictures for SqueezeNet."""
    return _pictures(partial(models.squeezenet, "1.0", _CLASSES))


def alexnet() -> Problem:
    """Random pictures for AlexNet."""
    return _pictures(partial(models.alexnet, _CLASSES))


def _pictures(model: Any) -> Problem:
    draws = torch.Generator().manual_seed(0)
    count = _UPDATES * 2 * _EACH
    train = torch.randn(count, 3, _SIDE, _SIDE, generator=draws), torch.randint(_CLASSES, (count,), generator=draws)
    few = train[0][:2], train[1][:2]
    return Problem(model, train, few, few, batch_size=2 * _EACH)


def _train(name: str, processes: int, epochs: int) -> dict[str, Any]:
    """Bytes a step, and the mean seconds of a step in every epoch after the first."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)),
            *("-m", "fallline", "train", f"{__name__}:{name}", "--rule", "sgd", "--epochs", str(epochs)),
            *("--batch-size", str(processes * _EACH), "--save-every", "3600", "--export", "", "--out", place, "--json"),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FalllineError(f"{' '.join(command)} failed:\n{done.stderr[:2000]}")
    run = json.loads(done.stdout[done.stdout.index("{") :])
    epochs_after = pairwise(run["history"][1:])
    seconds = [(b["seconds"] - a["seconds"]) / (b["step"] - a["step"]) for a, b in epochs_after]
    return {"bytes": run["bytes_per_update"], "seconds": seconds}
