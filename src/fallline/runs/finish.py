"""The end of a run: the weights to keep, their scores, the files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.nn.modules.batchnorm import _BatchNorm

from ..problems import Arrays
from ..tensors import put
from ..training import Score
from ..training.crew import threads
from . import export
from .checkpoint import BEST, LAST
from .loop import Loop
from .options import Options
from .result import Run
from .stop import Stop


def finish(loop: Loop, stop: Stop, options: Options, settings: dict[str, Any], out: Path | None) -> Run:
    """Settle the weights, score and export them; a run that was interrupted or diverged is given as it stands."""
    parts, rows = loop.parts, loop.sinks.history.rows
    problem, peers = parts.problem, parts.peers
    notes = list(problem.notes)
    valid: Score | None = None
    test: Score | None = None
    files = [] if out is None else [path for path in (out / LAST, out / BEST) if path.exists()]
    if loop.state in ("finished", "stopped early"):
        with threads(problem):
            loop.scoring.settle(parts.best.weights if options.patience is not None else None)
            valid, test = _valid(loop, options), loop.scoring.score("test")
        if out is not None and peers.first:
            x, _ = next(problem.valid.batches(2, peers.device))
            files += export.export(parts.model, x, out, options.export)
    elif loop.state == "diverged" and parts.best.weights:
        put(parts.model, parts.best.weights)
        notes.append(f"The model holds the weights of epoch {parts.best.best_epoch}, the best before it diverged.")
    if out is not None:
        files.append(out / "history.jsonl")
    if not peers.alone and any(isinstance(module, _BatchNorm) for module in parts.model.modules()):
        notes.append("Batch norms took their statistics over each process's share of a batch.")
    if options.workers and isinstance(problem.train, Arrays):
        notes.append("The training data are in memory: workers had nothing to load.")
    return Run(
        model=parts.model.eval(),
        state=loop.state,
        reason=parts.course.reason,
        history=tuple(rows),
        updates=parts.course.steps,
        seconds=parts.course.seconds,
        best_epoch=parts.best.best_epoch,
        valid=valid,
        test=test,
        problem=problem.name,
        metric=problem.metric.name,
        settings=settings,
        processes=peers.share.of,
        bytes_per_update=peers.bytes / max(1, parts.course.steps),
        directory=out,
        files=tuple(files),
        notes=tuple(notes),
        source=problem.source or problem.name,
        stopped_by=stop.asked if loop.state == "interrupted" else 0,
    )


def _valid(loop: Loop, options: Options) -> Score:
    """The validation score of the settled model, which mostly is known."""
    best, last = loop.parts.best, loop.sinks.history.rows[-1]
    if options.patience is not None and best.best_epoch is not None:
        return Score(best.loss, best.best)
    if loop.parts.average is not None:  # batch norms may have other statistics now
        return loop.scoring.score("valid")
    return Score(last.valid_loss, last.valid_metric)
