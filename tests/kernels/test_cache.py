"""The kernel cache: shared, safe, and never the reason for an error. Each case is a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from fallline import optim
from fallline.kernels import cpu  # imported once, by the process from which the others are forked
from tests.child import Child


def take_a_step(errors: str, environment: dict[str, str], _: Any) -> None:
    """What a process does that has compiled nothing yet."""
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.environ.update(environment)
    assert not cpu.compiled.cache_info().currsize
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    optim.SGD([p], lr=0.5).step()
    assert torch.equal(p, torch.full((3,), 0.5)), p


class Step(Child):
    """A process that takes a step."""

    def __init__(self, cache: Path, errors: Path, **environment: str) -> None:
        self.errors = errors
        super().__init__(take_a_step, str(errors), {"FALLLINE_CACHE_DIR": str(cache), **environment})

    def finish(self) -> None:
        """Wait for its end, which is a good and a quiet one."""
        status, told = self.end(), self.errors.read_text()
        assert status == 0, told
        assert not told


@pytest.fixture
def errors(tmp_path: Path) -> Path:
    """Where processes write what they complain of."""
    return tmp_path / "errors"


def kernels(cache: Path) -> list[Path]:
    """The texts of kernels in a cache, where what calls them lies too."""
    first = "# float32: made by Fallline from a rule's text"
    return [path for path in (cache / "kernels").glob("*.py") if path.read_text().startswith(first)]


def test_two_processes_may_compile_at_once(tmp_path, errors):
    both = [Step(tmp_path, errors) for _ in range(2)]
    for process in both:
        process.finish()
    assert len(kernels(tmp_path)) == 1
    assert not list((tmp_path / "kernels").glob("*.tmp"))


def test_a_damaged_entry_is_compiled_again(tmp_path, errors):
    Step(tmp_path, errors).finish()
    for entry in (tmp_path / "kernels" / "__pycache__").iterdir():
        entry.write_bytes(b"damaged")
    Step(tmp_path, errors).finish()


def test_the_generated_text_can_be_read_and_is_no_error_when_damaged(tmp_path, errors):
    Step(tmp_path, errors).finish()
    (kernel,) = kernels(tmp_path)
    kernel.write_text("half a fi")
    Step(tmp_path, errors).finish()


@pytest.mark.parametrize("place", ["a-file/cache", "/proc/no/such/place"])
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, errors, place):
    (tmp_path / "a-file").write_text("")
    Step(tmp_path / place, errors, HOME=str(tmp_path / "a-file")).finish()
