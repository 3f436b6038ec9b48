"""The benchmark for a GPU goes through all its parts; what it measures here tells nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from .device import DEVICE, GPU, by_triton

pytestmark = by_triton


@pytest.fixture
def gpu(monkeypatch):
    """The benchmark, its models of a few numbers."""
    from benchmarks import gpu, shapes

    for name in gpu.MODELS:
        monkeypatch.setitem(shapes.MODELS, name, lambda: [(4, 3), (3,)])
    return gpu


def test_rows_are_measured_kept_and_taken_up_again(gpu, tmp_path):
    wait = torch.cuda.synchronize if GPU else lambda: None
    place = dataclasses.replace(gpu.on(DEVICE.type, wait), repeats=dict.fromkeys(gpu.MODELS, (1, 3)))
    kept = tmp_path / "build" / "rows.jsonl"
    first = gpu.measured(["adagrad", "rprop"], ["ResNet-18"], place, kept, goes_on=False)
    assert [row.rule for row in first] == ["adagrad", "rprop"]
    assert {"fused", "foreach", "default"} <= first[0].peers.keys()
    again = gpu.measured(["adagrad", "rprop", "asgd"], ["ResNet-18"], place, kept, goes_on=True)
    assert again[:2] == first
    assert again[2].rule == "asgd"
    text = gpu.page(again, ["adagrad", "rprop", "asgd"], ["ResNet-18", "GPT-2 small"], "none")
    assert "times torch.optim's fused path" in text
    assert "times torch.optim's foreach path" in text
    assert "- GPT-2 small: not measured: adagrad, rprop, asgd" in text
    assert text.count("| adagrad |") == 1


def test_a_copy_moves_what_a_step_moves(gpu, monkeypatch):
    taken = []
    monkeypatch.setattr(torch, "zeros", lambda count, device: taken.append(count) or torch.empty(count, device=device))
    gpu.copying("cpu", 100, 3)()
    assert taken == [350, 350]  # read and written: 4 + 3 arrays of a step of Adam
