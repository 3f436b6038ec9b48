"""Runs that are stopped between any two updates and go on: the same weights, scores and history as undisturbed ones."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fallline.errors import InputError, RecordError
from fallline.rules import get
from fallline.runs import Run, train, trainer

from . import problems

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw with all that has a state": (
        "signs",
        {
            "rule": "adamw",
            "average": "ema(0.9)",
            "schedule": "warmup(20%) > cosine",
            "accumulate": 2,
            "patience": 3,
            "augment": "mixup",
            "label_smoothing": 0.1,
        },
    ),
    "scaled losses": ("signs", {"rule": "sgd", "lr": 0.1, "precision": "fp16"}),
    "carried numbers": ("signs", {"rule": "prodigy"}),
    "the rule's own averages": ("signs", {"rule": "schedule_free_adamw"}),
    "a schedule that watches": ("signs", {"rule": "sgd", "lr": 0.5, "schedule": "plateau(patience=0)"}),
    "a batch that grows": ("signs", {"rule": "sgd", "schedule": "batch_size: multi_step(50%, factor=2)"}),
    "a Dataset that draws": ("streamed", {"rule": "adamw"}),
    "layers that thaw": ("signs", {"rule": "adamw", "unfreeze_every": 2}),
    "curvature": ("plain", {"rule": "sophia"}),
}


class StopAfter:
    """Asks for an end when it is asked for the time after so many updates."""

    updates = 0

    def __init__(self) -> None:
        self.left = StopAfter.updates

    def __enter__(self) -> StopAfter:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    @property
    def asked(self) -> int:
        self.left -= 1
        return 2 if self.left <= 0 else 0


def numbers(run: Run) -> tuple[Any, ...]:
    """All of a run that does not depend on the clock."""
    timed = ("seconds", "examples_per_second")
    rows = [{name: value for name, value in asdict(row).items() if name not in timed} for row in run.history]
    tensors = {name: value.tolist() for name, value in run.model.state_dict().items()}
    return tensors, rows, run.state, run.best_epoch, run.valid, run.test


@pytest.mark.parametrize("way", WAYS)
def test_stopped_on_the_way_and_gone_on_is_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    name, options = WAYS[way]
    undisturbed = train(getattr(problems, name)(), **options)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "Stop", StopAfter)
        states = []
        for StopAfter.updates in (1, 7, 5, 100):
            states.append(train(getattr(problems, name)(), out=tmp_path, **options).state)
    assert states[:2] == ["interrupted", "interrupted"]
    run = train(getattr(problems, name)(), out=tmp_path, **options)
    assert numbers(run) == numbers(undisturbed)


def test_stopped_after_the_last_update_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"rule": "schedule_free_adamw", "lr": 0.1, "schedule": "cosine"}
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "Stop", StopAfter)
        StopAfter.updates = 6
        interrupted = train(problems.signs(), out=tmp_path, **options)
    assert "interrupted after 0 epochs, 6 updates" in interrupted.summary()
    run = train(problems.signs(), out=tmp_path, **options)
    assert numbers(run) == numbers(train(problems.signs(), **options))
    assert numbers(train(problems.signs(), out=tmp_path, **options)) == numbers(run)


def test_a_finished_run_is_given_again_without_training(tmp_path: Path) -> None:
    first = train(problems.signs(), out=tmp_path, average="ema(0.9)")
    again = train(problems.signs(), out=tmp_path, average="ema(0.9)")
    assert numbers(again) == numbers(first)
    assert again.seconds == first.seconds
    assert [note for note in again.notes if note not in first.notes] == [
        "The run had ended before, so nothing was trained; fresh=True (--fresh) starts it again."
    ]


def test_a_directory_with_another_run_is_refused_and_can_be_started_afresh(tmp_path: Path) -> None:
    train(problems.signs(), "sgd", lr=0.1, out=tmp_path)
    with pytest.raises(InputError, match=r"'lr': 0.1.*now.*'lr': 0.2.*--fresh"):
        train(problems.signs(), "sgd", lr=0.2, out=tmp_path)
    with pytest.raises(InputError, match="another problem"):
        train(problems.plain(), "sgd", lr=0.1, out=tmp_path)
    run = train(problems.signs(), "sgd", lr=0.2, out=tmp_path, fresh=True)
    assert numbers(run) == numbers(train(problems.signs(), "sgd", lr=0.2))


def test_a_damaged_checkpoint_is_told_not_passed_over(tmp_path: Path) -> None:
    train(problems.signs(), "sgd", epochs=1, out=tmp_path)
    content = (tmp_path / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordError, match=r"last\.safetensors cannot be read"):
        train(problems.signs(), "sgd", epochs=1, out=tmp_path)


def test_the_history_file_holds_what_was_trained_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "Stop", StopAfter)
        StopAfter.updates = 9
        train(problems.signs(), out=tmp_path)
    with (tmp_path / "history.jsonl").open("a") as file:  # a process that was killed after its last checkpoint
        file.write('{"epoch": 2, "half a line')
    run = train(problems.signs(), out=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert rows == [asdict(row) for row in run.history]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]


def test_files_can_be_loaded_by_anyone(tmp_path: Path) -> None:
    run = train(problems.signs(), out=tmp_path, average="ema(0.9)")
    exported = load_file(tmp_path / "model.safetensors")
    assert exported.keys() == run.model.state_dict().keys()
    assert all(torch.equal(exported[name], value) for name, value in run.model.state_dict().items())
    fresh = problems.network()
    fresh.load_state_dict(load_file(tmp_path / "best.safetensors"))
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "history.jsonl").stat().st_mode


def test_workers_load_the_same_data_as_the_process_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"rule": "adamw", "epochs": 2}
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "Stop", StopAfter)
        StopAfter.updates = 8
        assert not train(problems.streamed(), out=tmp_path, workers=1, **options).complete
    with_workers = train(problems.streamed(), out=tmp_path, workers=2, **options)
    assert numbers(with_workers) == numbers(train(problems.streamed(), **options))


def test_a_rule_whose_text_has_changed_is_another_run(tmp_path: Path) -> None:
    def slower(p: Any, g: Any, *, t: Any, lr: float = 1e-3) -> Any:
        return p - lr / 2 * g

    train(problems.plain(), "sgd", out=tmp_path)
    with pytest.raises(InputError, match="another text of its rule"):
        train(problems.plain(), replace(get("sgd"), parts=(slower,)), out=tmp_path)
