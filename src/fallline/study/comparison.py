"""The comparison: equal search budgets, selection on validation data, test scores of winners on fresh seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..averages import Kind
from ..problems import Problem
from ..problems.load import asked_for
from ..rules import Rule
from ..schedules import Schedules
from ..training import train as train_trials
from .candidates import DEFAULT_RULES, candidates
from .conduct import Place, conduct
from .planning import make_plan, sources
from .practice import Practice
from .result import Result
from .search.pruners import Pruner
from .work import Train


def compare(
    problem: Problem | str,
    rules: str | Rule | Iterable[str | Rule] = DEFAULT_RULES,
    *,
    trials: int = 16,
    seeds: int = 5,
    out: Path | str | None = None,
    record: str | None = None,
    seed: int = 0,
    progress: bool | None = None,
    target: float | None = None,
    sampler: str = "random",
    pruner: str | Pruner | None = None,
    batch: int | None = None,
    memory: int | str | None = None,
    stack: Literal["auto", "off"] | int = "auto",
    processes: int | None = None,
    schedule: str | Schedules | None = None,
    average: str | Kind | None = None,
    patience: int | str | None = None,
    l1: float | None = None,
    l2: float | None = None,
    penalize: str | Sequence[str] = (),
    weights: Path | str | None = None,
    head: str = "auto",
    freeze: str | Sequence[str] = (),
    unfreeze_every: int | None = None,
    layer_factor: float | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    settings: Mapping[str, Any] | None = None,
    _train: Train = train_trials,
) -> Result:
    """Which rule trains the problem's model best, at which settings, and how sure that is.

    Every rule gets `trials` trials from its own search space (and the problem's own), trained with seed `seed`; the
    winner, chosen on validation data (`summary.select`), and the rule's defaults are then trained with `seeds` fresh
    seeds and scored on test data. Trials train in stacks, as one program, where that is faster.

    - `rules`: names, rules or "file.py:name".
    - `out`: a directory for the record, the checkpoints and the report; `record`: the SQLAlchemy URL of a database to
      keep the record in. Without either nothing is kept. The same call goes on where an interrupted one stopped, a
      larger one reuses what is there, and several processes that make the same call share the work.
    - `target`: the validation metric that steps and seconds to target refer to (default: the median over rules of what
      the tuned runs reach).
    - `sampler`: "random", "grid", "quasi-random", "tpe", "gp" or "cma-es". `batch`: how many trials of a rule are asked
      for before they are trained (default: a quarter of `trials`, at most 16, for the last three, which learn from the
      batches before; else all).
    - `pruner`: "halving" or "hyperband" end trials of a rule that fall behind its others, see `study.pruners`.
    - `memory`: bytes (or "8GiB") that training may take; `stack`: "auto" (measured), "off", or the trials in a stack;
      `processes`: the most processes for what is not stacked (default: one a core). What they lead to is settled when
      a study begins, and holds when it goes on.
    - `schedule`: what every trial follows (see `fallline.schedules`), such as "warmup(5%) > cosine", or "none"
      (default: the problem's own, if it has one).
    - `average`: the average of its weights that every trial is judged at (see `fallline.averages`), such as "ema" or
      "swa(start=75%)", or "none" (default: the problem's own, if it has one).
    - `patience`: every trial ends after so many epochs without a better validation metric, and counts with the weights
      of its best epoch; "none" takes away the problem's own. Not beside a pruner.
    - `l1`, `l2`: penalties on the weights of the modules that `penalize` selects (default: all), in place of the
      problem's own; see `fallline.penalties`.
    - `weights`: a checkpoint that every trial starts from, `head`: "auto", "load" or "skip" its last layer, `freeze`
      selects what does not learn. `unfreeze_every` so many epochs one more layer learns, the last one first; each
      learns `layer_factor` times slower than the next. See `Problem.transferred`.
    - `augment`: what changes every training batch (see `fallline.augmentation`), such as "flip > crop(4)", or "none";
      `label_smoothing`: how much of every label is spread over the classes in training (default: the problem's own).
    - `settings`: values of keyword arguments of the problem's model, augmentation and loss, such as `{"dropout": 0.2}`,
      the same in every trial (see `Problem.with_settings`); those of rules are searched.
    - `progress`: shows a bar (default: at a terminal and in a notebook).

    Ctrl-C keeps what is trained and returns what is finished as a result that is not `complete`. Raises `InputError`
    before any training for whatever cannot be run, `RecordError` for a record that cannot be used.
    """
    problem = asked_for(problem)
    practice = Practice(
        schedule=schedule,
        average=average,
        patience=patience,
        l1=l1,
        l2=l2,
        penalize=penalize,
        weights=weights,
        head=head,
        freeze=freeze,
        unfreeze_every=unfreeze_every,
        layer_factor=layer_factor,
        augment=augment,
        label_smoothing=label_smoothing,
        settings=settings,
    )
    problem = practice.of(problem)
    rules = rules if isinstance(rules, str | Rule) else list(rules)
    chosen = candidates(rules)
    plan = make_plan(
        problem,
        chosen,
        trials=trials,
        seeds=seeds,
        seed=seed,
        target=target,
        sampler=sampler,
        pruner=pruner,
        batch=batch,
        memory=memory,
        stacked=stack,
        processes=processes,
        rule_sources=sources(rules),
    )
    return conduct(plan, problem, chosen, Place.of(out, record), progress, _train)
