"""`train`: one model trained for real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .. import penalties
from ..averages import Kind
from ..errors import InputError
from ..layers.check import names
from ..problems import Problem
from ..problems import load as load_problem
from ..rules import Rule
from ..rules import get as get_rule
from ..schedules import Schedules
from . import export as export_tools
from . import loggers
from .assembly import assemble
from .checkpoint import Checkpoints
from .finish import finish
from .history import History, Row
from .lock import held
from .loop import Loop, Sinks
from .options import Options, identity
from .parallel import Peers, peers
from .progress import Watch
from .result import Run
from .state import load
from .stop import Stop

_ENDED = "The run had ended before, so nothing was trained; fresh=True (--fresh) starts it again."


def train(
    problem: Problem | str,
    rule: str | Rule = "adamw",
    settings: Mapping[str, Any] | None = None,
    *,
    lr: float | None = None,
    schedule: str | Schedules | None = None,
    average: str | Kind | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    patience: int | str | None = None,
    accumulate: int = 1,
    l1: float | None = None,
    l2: float | None = None,
    penalize: str | Sequence[str] = (),
    precision: str = "fp32",
    compile: bool | str = False,
    weights: str | Path | None = None,
    head: str = "auto",
    freeze: str | Sequence[str] = (),
    unfreeze_every: int | None = None,
    layer_factor: float | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    device: str | None = None,
    workers: int = 0,
    out: str | Path | None = None,
    fresh: bool = False,
    save_every: float = 10.0,
    log: str | Sequence[str] = (),
    export: str | Sequence[str] = ("safetensors",),
    progress: bool | None = None,
) -> Run:
    """Train a problem's model once, as one does for its own sake, and score it on validation and test data.

    The weights depend on the arguments up to `label_smoothing` alone: a run that was stopped, even killed, goes on by
    the same call to the weights that it would have had.

    - `rule` and its `settings` by name, among them modifiers (`{"weight_decay": 0.1, "clip_norm": 1.0}`), the problem's
      own hyper-parameters, and other keyword arguments of its model, augmentation and loss (`{"dropout": 0.2}`, see
      `Problem.with_settings`); `lr` is short for that setting.
    - `schedule`: as `"warmup(5%) > cosine"` (see `fallline.schedules`). `average`: of weights, as `"ema"` or
      `"swa(start=75%)"` (see `fallline.averages`); it is what is scored and exported. Default: the problem's own, which
      "none" takes away.
    - `epochs`, `batch_size`: default the problem's. `patience`: end after so many epochs without a better validation
      metric, with the weights of the best one (default: the problem's own, which "none" takes away).
    - `accumulate`: compute each batch in so many parts, to save memory. `l1`, `l2`: penalties on the weights of the
      modules that `penalize` selects (default: all); see `fallline.penalties`. Without either, the problem's own.
    - `precision`: "fp32", "bf16" or "fp16" (mixed, weights stay float32). `compile`: with `torch.compile`, or the name
      of its backend.
    - `weights`: a checkpoint to start from (see `fallline.transfer`); `head`: "auto", "load" or "skip" its last
      layer. `freeze` selects what does not learn. `unfreeze_every` so many epochs one more layer learns, the last one
      first; each layer learns `layer_factor` times slower than the next (Howard & Ruder 2018, arXiv:1801.06146). Any of
      these stands in place of how the problem's own model begins (`Problem.transferred`).
    - `augment`: what changes training batches, as `"flip > crop(4)"` (see `fallline.augmentation`), or "none";
      `label_smoothing`: how much of every label is spread over the classes in training. Default: the problem's own.
    - `device`: default the GPU where there is one. `workers`: processes that load a Dataset.
    - `out`: a directory for checkpoints (`last.safetensors`, `best.safetensors`, every `save_every` seconds and at the
      end), `history.jsonl`, what `log` names (csv, tensorboard, mlflow, wandb) and what `export` names (safetensors,
      onnx). Without it nothing is kept. `fresh`: start again where it holds a run.
    - `progress`: shows a bar (default: at a terminal and in a notebook).

    Under `torchrun`, each process takes its share of every batch. Ctrl-C (or SIGTERM) writes a checkpoint and returns a
    run that is not `complete`. Raises `InputError` before any training for whatever cannot be run.
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    elif not isinstance(problem, Problem):
        raise InputError(f"problem must be a fallline.Problem or the name of one; it is a {type(problem).__name__}.")
    rule = get_rule(rule)
    given = dict(settings or {})
    if lr is not None:
        if "lr" in given:
            raise InputError("lr is given twice: as lr and in settings.")
        given["lr"] = lr
    penalty = penalties.asked(problem, l1, l2, penalize).penalty
    options = Options(
        settings=given,
        schedule=_own_or_given(problem.schedule, schedule),
        average=_own_or_given(problem.average, average),
        epochs=problem.epochs if epochs is None else epochs,
        batch_size=problem.batch_size if batch_size is None else batch_size,
        seed=seed,
        accumulate=accumulate,
        l1=0.0 if penalty is None else penalty.l1,
        l2=0.0 if penalty is None else penalty.l2,
        penalize=() if penalty is None else tuple(penalty.where),
        patience=(problem if patience is None else problem.patient(patience)).patience,
        precision=precision,
        compile=compile,
        weights=None if weights is None else str(weights),
        head=head,
        freeze=names("freeze", freeze),
        unfreeze_every=unfreeze_every,
        layer_factor=layer_factor,
        augment=augment,
        label_smoothing=label_smoothing,
        device=device,
        workers=workers,
        save_every=save_every,
        log=names("log", log),
        export=names("export", export),
    )
    if options.log and out is None:
        raise InputError("log needs a directory for what it writes: give out.")
    with peers(options.device) as others:
        made = _Training(problem, rule, options, others, None if out is None else Path(out), progress)
        with made.alone():
            made.begin(fresh)
            return made.run()


def _own_or_given(own: object, given: object) -> str | None:
    """A text of what is given, else of the problem's own; "none" takes that away."""
    chosen = own if given is None else given
    return None if chosen is None or chosen == "none" else str(chosen)


class _Training:
    """A run between what is asked for and what comes out."""

    def __init__(
        self,
        problem: Problem,
        rule: Rule,
        options: Options,
        others: Peers,
        out: Path | None,
        progress: bool | None,
    ) -> None:
        self.options, self.out, self.peers, self.first = options, out, others, others.first
        self.parts = assemble(problem, rule, options, others, keeps_best=out is not None)
        self.settings = {"rule": rule.name, **options.numbers()}
        known = identity(problem, rule, options, self.parts.model, others.share.of) if out is not None else {}
        self.checkpoints = Checkpoints(out, known, options.save_every)
        shown = progress if others.first else False
        self.watch = Watch(shown, problem.metric.name, options.epochs, self.parts.follower.steps)

    def alone(self) -> AbstractContextManager[None]:
        """No other run writes into the directory meanwhile."""
        return held(self.out if self.first else None)

    def begin(self, fresh: bool) -> None:
        """Look for where to go on, unless everything is to start afresh."""
        if fresh and self.first:
            self.checkpoints.remove()
        self.peers.wait()
        self.saved = self.checkpoints.last()
        if self.saved is None and self.first:
            self._try_exports()
        rows = [] if self.saved is None else [Row(**row) for row in self.saved.facts["rows"]]
        self.sinks = Sinks(History(self.out if self.first else None, rows), self.checkpoints, self.watch)

    def run(self) -> Run:
        """Train, from where a checkpoint stands if there is one."""
        watch, ended = self.watch, False
        with loggers.opened(self.options.log if self.first else (), self._book()) as tell:
            loop = Loop(self.parts, self.sinks, tell)
            if self.saved is not None:
                load(loop, self.saved, self.checkpoints.best())
                ended = loop.over()
                if self.first and self.saved.torch != torch.__version__:
                    watch.say(f"its checkpoint is of torch {self.saved.torch}: the last bits may come out otherwise")
            with watch, Stop() as stop:
                watch.goes_on(self.parts.course.steps)
                loop.run(stop)
        run = finish(loop, stop, self.options, self.settings, self.out)
        return replace(run, notes=(*run.notes, _ENDED)) if ended else run

    def _try_exports(self) -> None:
        """What cannot be exported is told now, not after the training."""
        if self.out is not None:
            x, _ = next(self.parts.problem.valid.batches(2, self.parts.peers.device))
            export_tools.attempt(self.parts.model, x, self.options.export)

    def _book(self) -> loggers.Book:
        problem, rows = self.parts.problem, tuple(self.sinks.history.rows)
        return loggers.Book(problem.name, self.out or Path(), self.settings, problem.metric.name, rows)
