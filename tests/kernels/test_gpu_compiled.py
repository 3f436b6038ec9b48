"""What Triton's compiler makes of kernels for a GPU: without one, everything but running them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from fallline.rules import names

SOME = ("adam", "clip_norm(adamw)", "sm3", "noise(adafactor)", "remainders")


def compiled(capability: int, *rules: str) -> list[dict[str, Any]]:
    """The kernels of rules, made by another process: here Triton interprets."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    asked = [sys.executable, "-m", "tests.kernels.compiled", str(capability), *rules]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def kernels() -> list[dict[str, Any]]:
    return compiled(90, *SOME)


def test_kernels_compile_for_a_gpu(kernels):
    assert {kernel["rule"] for kernel in kernels} == {*SOME}
    assert {kernel["function"] for kernel in kernels} == {
        *("numbers", "update", "finish", "along_rows", "along_columns", "over_parts", "whole")
    }
    assert not any(kernel["spilled"] for kernel in kernels)


def test_elements_are_read_16_bytes_at_a_time(kernels):
    for kernel in kernels:
        if kernel["rule"] == "adam" and kernel["function"] == "update":
            assert kernel["ptx"].count("ld.global.v4") == (8 if kernel["dtype"] == "torch.float32" else 4)
            assert kernel["ptx"].count("st.global.v4") == (6 if kernel["dtype"] == "torch.float32" else 3)


def test_elements_are_divided_exactly_and_computed_in_their_own_precision(kernels):
    for kernel in kernels:
        assert not any(f"div.{way}.f32" in kernel["ptx"] for way in ("full", "approx"))
        assert "fma.rn.f32" not in kernel["ptx"] or kernel["rule"] != "adam"
        if kernel["rule"] == "adam" and kernel["function"] == "update":
            assert not any(f"{op}.f64" in kernel["ptx"] for op in ("add", "mul", "add.rn", "mul.rn", "div.rn"))
            assert "div.s64" not in kernel["ptx"]


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_of_every_rule_compile_for_a_gpu_and_fit_its_registers(capability):
    made = compiled(capability, *names())
    assert len(made) > 300
    # some bytes around a call are nothing
    assert [(kernel["rule"], kernel["function"]) for kernel in made if kernel["spilled"] > 16] == []
