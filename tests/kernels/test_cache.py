"""The kernel cache: shared, safe, and never the reason for an error. Each case is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STEP = """
import torch, fallline
p = torch.ones(3, requires_grad=True); p.grad = torch.ones(3)
fallline.optim.{cls}([p], lr=0.5).step()
assert torch.allclose(p, torch.full((3,), 0.5), atol=1e-3), p
"""


def start(cache, cls="SGD", **environment):
    env = {**os.environ, "FALLLINE_CACHE_DIR": str(cache), **environment}
    code = STEP.format(cls=cls)
    return subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert not errors


def test_two_processes_may_compile_at_once(tmp_path):
    both = [start(tmp_path) for _ in range(2)]
    for process in both:
        finish(process)
    kernels = list((tmp_path / "kernels").glob("*.py"))
    assert len(kernels) == 1
    assert not list((tmp_path / "kernels").glob("*.tmp"))


def test_a_damaged_entry_is_compiled_again(tmp_path):
    finish(start(tmp_path))
    for entry in (tmp_path / "kernels" / "__pycache__").iterdir():
        entry.write_bytes(b"damaged")
    finish(start(tmp_path))


def test_a_damaged_kernel_text_is_no_error(tmp_path):
    finish(start(tmp_path))
    (kernel,) = (tmp_path / "kernels").glob("*.py")
    kernel.write_text("half a fi")
    finish(start(tmp_path))


@pytest.mark.parametrize("place", ["a-file/cache", "/proc/no/such/place"])
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, place):
    (tmp_path / "a-file").write_text("")
    finish(start(tmp_path / place, HOME=str(tmp_path / "a-file")))


def test_the_generated_text_can_be_read(tmp_path):
    finish(start(tmp_path))
    (kernel,) = (tmp_path / "kernels").glob("*.py")
    assert kernel.read_text().startswith("# sgd, float32: made by Fallline from the rule's text")
