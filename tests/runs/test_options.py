"""Mistakes: each gets one error that says what is allowed, before anything is trained or written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from fallline.errors import InputError
from fallline.problems import Problem
from fallline.runs import train

from .problems import plain

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"rule": "adamv"}, r"unknown rule 'adamv'.*adamw"),
    ({"settings": {"weight_decai": 0.1}}, r"weight_decai.*weight_decay"),
    ({"lr": -1.0}, r"lr=-1.*at least 0"),
    ({"lr": 0.1, "settings": {"lr": 0.1}}, "lr is given twice"),
    ({"schedule": "cosin"}, r"unknown schedule 'cosin'.*cosine"),
    ({"schedule": "warmup(1000)"}, "does not fit"),
    ({"rule": "sgd", "schedule": "momentum: cosine"}, "sets momentum, which sgd does not have"),
    ({"average": "emma"}, r"unknown average 'emma'.*ema"),
    ({"average": "swa(start=1000)"}, "begins at step 1000"),
    ({"epochs": 0}, "epochs=0 is not allowed; allowed are whole numbers from 1 up"),
    ({"epochs": 2.5}, "epochs=2.5"),
    ({"batch_size": -4}, "batch_size=-4"),
    ({"seed": "one"}, "seed='one'"),
    ({"seed": 2**64}, r"seed=18446744073709551616 is not allowed; allowed are whole numbers from -2\*\*63 to 2\*\*64"),
    ({"patience": 0}, "patience=0"),
    ({"accumulate": 17}, r"accumulate=17.*16"),
    ({"l1": -0.1}, "l1 must be a number, at least 0; it is -0.1"),
    ({"penalize": "0"}, "give l1 or l2"),
    ({"l1": 0.1, "penalize": "encoder"}, "penalize has 'encoder', which names nothing"),
    ({"precision": "fp8"}, r"unknown precision 'fp8'.*bf16"),
    ({"compile": "fastest"}, r"compile='fastest'.*inductor"),
    ({"device": "cuda:99"}, "device='cuda:99' cannot be used here"),
    ({"device": "gpu"}, "device='gpu' cannot be used here"),
    ({"workers": -1}, "workers=-1"),
    ({"weights": "no/such.safetensors"}, "there is no checkpoint"),
    ({"freeze": "encoder"}, "freeze has 'encoder', which names nothing"),
    ({"head": "skip"}, "head says .* give weights"),
    ({"freeze": "*"}, "nothing is left to learn"),
    ({"unfreeze_every": 0}, "unfreeze_every must be a whole number of at least 1; it is 0"),
    ({"layer_factor": 0.5}, "layer_factor must be a number, at least 1; it is 0.5"),
    ({"augment": "flpi"}, r"unknown augmentation 'flpi'.*flip"),
    ({"augment": "flip"}, "Flip needs pictures"),
    ({"label_smoothing": 2}, "label_smoothing=2 is not allowed; allowed are numbers from 0 to 1"),
    ({"settings": {"label_smoothin": 0.1}}, r"unknown setting 'label_smoothin'\. Did you mean label_smoothing"),
    ({"log": "tensorbord"}, r"unknown logger 'tensorbord'.*tensorboard"),
    ({"export": "onxx"}, r"unknown format to export to 'onxx'.*onnx"),
    ({"save_every": -1}, "save_every=-1"),
    ({"save_every": float("nan")}, "save_every=nan"),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES, ids=lambda value: "-".join(value) if type(value) is dict else "")
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        train(plain(), **{"rule": "adamw", **given}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_something_that_is_no_problem_is_refused() -> None:
    with pytest.raises(InputError, match=r"problem must be a fallline\.Problem"):
        train(3)  # type: ignore[arg-type]


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/run' cannot be written"):
        train(plain(), out=tmp_path / "file" / "run")


def test_logging_needs_a_directory() -> None:
    with pytest.raises(InputError, match="give out"):
        train(plain(), log="csv")


@pytest.mark.parametrize(
    ("given", "needed", "extra"), [({"log": "wandb"}, "wandb", "logging"), ({"export": "onnx"}, "onnx", "onnx")]
)
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], needed: str, extra: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == needed else find(name, *more))
    with pytest.raises(InputError, match=rf"needs {needed}; install it with: pip install 'fallline\[{extra}\]'"):
        train(plain(), out=tmp_path, **given)


def test_workers_that_have_nothing_to_load_are_told(problem: Problem) -> None:
    assert any("workers had nothing to load" in note for note in train(problem, epochs=1, workers=2).notes)
