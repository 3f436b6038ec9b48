"""Runs in processes of their own, killed while they train: the weights are those of an undisturbed run."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file

from fallline.errors import InputError
from fallline.runs import train

from . import problems
from .children import Run
from .test_resume import WAYS, numbers


def test_killed_and_gone_on_is_undisturbed(tmp_path: Path) -> None:
    assert killed_again_and_again(tmp_path, "adamw with all that has a state", [1, 4, 3]) >= 2


def test_a_directory_in_which_another_process_trains_is_refused(tmp_path: Path) -> None:
    child = Run("signs", tmp_path, epochs=100_000)
    assert child.told(1) == 1
    with pytest.raises(InputError, match="another process is training"):
        train(problems.signs(), epochs=100_000, out=tmp_path)
    child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_random_instants(tmp_path: Path, way: str) -> None:
    draws = random.Random(way)
    killed_again_and_again(tmp_path, way, [draws.randrange(1, 4) for _ in range(12)], draws)


def killed_again_and_again(out: Path, way: str, instants: list[int], draws: random.Random | None = None) -> int:
    """Kill a run after so many checkpoints, and the one that goes on with it, ...; returns how many were killed.

    With `draws` each is killed a random while later, in the middle of whatever it does.
    """
    name, options = WAYS[way]
    killed = 0
    for instant in instants:
        child = Run(name, out, **options)
        killed += child.told(instant) == instant
        if draws is not None:
            time.sleep(draws.random() * 0.02)
        child.kill()
        assert readable(out / "last.safetensors")
    run = train(getattr(problems, name)(), out=out, **options)
    assert numbers(run) == numbers(train(getattr(problems, name)(), **options))
    return killed


def readable(path: Path) -> bool:
    """Whether a file holds tensors, whole."""
    try:
        return bool(load_file(path))
    except SafetensorError:
        return False
