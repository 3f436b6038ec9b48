"""What a run leaves behind: logs that the libraries themselves read back, and models that others run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fallline.errors import InputError
from fallline.problems import Problem
from fallline.runs import Run, export, train, trainer
from fallline.runs.loggers import LOGGERS

from .problems import examples, plain
from .test_resume import StopAfter


def interrupted_and_finished(out: Path, monkeypatch: pytest.MonkeyPatch, log: str) -> Run:
    """A run that is stopped in its second epoch and goes on, told to a logger."""
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "Stop", StopAfter)
        StopAfter.updates = 9
        assert not train(plain(), out=out, log=log).complete
    return train(plain(), out=out, log=log)


def test_csv_has_a_row_for_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted_and_finished(tmp_path, monkeypatch, "csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3, 4]
    assert [float(row["valid_loss"]) for row in rows] == [row.valid_loss for row in run.history]


def test_tensorboard_reads_every_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = interrupted_and_finished(tmp_path, monkeypatch, "tensorboard")
    read = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    losses = read.Scalars("loss/valid")
    assert [event.step for event in losses] == [row.step for row in run.history]
    assert [event.value for event in losses] == pytest.approx([row.valid_loss for row in run.history])
    assert {"loss/train", "accuracy/valid", "lr"} <= set(read.Tags()["scalars"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its own ways with SQLAlchemy
def test_mlflow_has_one_run_with_every_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = interrupted_and_finished(tmp_path / "run", monkeypatch, "mlflow")
    client = library.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("plain").experiment_id])
    losses = client.get_metric_history(found.info.run_id, "loss/valid")
    assert [(metric.step, metric.value) for metric in losses] == [(row.step, row.valid_loss) for row in run.history]
    assert found.data.params["rule"] == "adamw"
    assert found.info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_goes_on_with_its_run_and_has_every_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    ids: list[str | None] = []
    told: list[tuple[int, float]] = []
    begin, log = library.init, library.Run.log

    def init(**given: Any) -> Any:
        ids.append(given["id"])
        return begin(**given)

    def logged(run: Any, values: dict[str, float], step: int) -> None:
        told.append((step, values["loss/valid"]))
        log(run, values, step=step)

    monkeypatch.setattr(library, "init", init)
    monkeypatch.setattr(library.Run, "log", logged)
    run = interrupted_and_finished(tmp_path, monkeypatch, "wandb")
    kept = (tmp_path / "wandb.txt").read_text()
    assert ids == [None, kept]
    assert told == [(row.step, row.valid_loss) for row in run.history]
    parts = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert [path.stem for path in parts] == 2 * [f"run-{kept}"]
    assert all(b"loss/valid" in path.read_bytes() for path in parts)


def test_every_logger_says_what_it_writes() -> None:
    assert all(logger.__doc__ for logger in LOGGERS.values())


def test_onnx_gives_the_outputs_of_the_model(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = train(plain(), out=tmp_path, epochs=1, export="safetensors,onnx")
    assert {"model.onnx", "model.safetensors"} <= {path.name for path in run.files}
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    x, _ = examples(7)  # another number of examples than it was exported with
    (outputs,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(outputs, run.model(x).numpy(), rtol=1e-4, atol=1e-5)


def test_a_model_that_onnx_cannot_hold_is_told_before_training(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")

    class Rippling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.special.bessel_j0(x))

    problem = Problem(Rippling, examples(), epochs=1)
    with pytest.raises(InputError, match="cannot be exported to ONNX"):
        train(problem, out=tmp_path, export="onnx")
    assert not (tmp_path / "history.jsonl").exists()


def test_a_run_is_told_as_json(tmp_path: Path) -> None:
    told = json.loads(json.dumps(train(plain(), epochs=1, out=tmp_path).to_dict()))
    assert told["state"] == "finished"
    assert told["history"][1]["epoch"] == 1
    assert told["test"].keys() == {"loss", "metric"}


def test_a_disk_that_has_no_room_for_the_model_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write", full)
    with pytest.raises(InputError, match=r"the model cannot be written into .*: No space left on device"):
        train(plain(), epochs=1, out=tmp_path)
