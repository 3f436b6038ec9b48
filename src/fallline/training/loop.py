"""Training many trials: checked together, then in stacks, one by one, or one by one on several processes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, get_type_hints

from ..errors import InputError
from ..problems import Problem
from . import alone
from .alike import signature, stackable
from .calibrate import calibrate
from .checkpoint import Saved, found
from .course import Course, Tell
from .execution import Execution
from .group import Ended, Group, Rungs
from .snapshots import Snapshots
from .trial import Point, Trial

MayStart = Callable[[Sequence[int]], Sequence[int]]
"""Given the places of trials that are about to begin together, returns those that may."""


def train(
    problem: Problem,
    trials: Sequence[Trial],
    *,
    on_epoch: Tell | None = None,
    execution: Execution | None = None,
    keep: Path | None = None,
    names: Sequence[str] | None = None,
    may_start: MayStart | None = None,
    rungs: Rungs | None = None,
    snapshots: Snapshots | None = None,
) -> Iterator[Ended]:
    """Train every trial, and give those that end at the same moment, each with its index among `trials`, as they end.

    A trial's numbers depend on the problem and the trial alone, but for the last bits of sums where it trains in a
    stack. The caller's random state is left as it was. `on_epoch(index, point)` is called with every point of a curve.

    - `execution`: how they are trained (default: measured, `calibrate`).
    - `keep`: a directory for checkpoints, under the trials' `names`. Where it holds some, those trials go on from there
      with the same numbers as if they had never been stopped. Ctrl-C writes one, then raises KeyboardInterrupt.
    - `may_start`: asked before trials begin together; those that it does not return are left out.
    - `rungs`: ends trials on the way (successive halving), all of this call selected among each other.
    - `snapshots`: takes the weights of trials on the way, or at their end.

    Raises `InputError`, before any training, for a trial that its rule or its problem does not allow.
    """
    kinds = get_args(get_type_hints(Trial)["kind"])
    for trial in trials:
        trial.rule.check(trial.settings)
        problem.check(trial.own)
        if trial.kind not in kinds:
            raise InputError(f"the kind of a trial must be one of {', '.join(kinds)}; it is {trial.kind!r}.")
    if rungs is not None and problem.patience is not None:
        raise InputError("rungs do not go with the problem's patience: both end trials early.")
    if names is not None and len(names) != len(trials):
        raise InputError(f"names must name each of the {len(trials)} trials; there are {len(names)}.")
    given = list(names) if names is not None else [str(index) for index in range(len(trials))]
    return _Training(
        problem, list(trials), on_epoch or _nothing, execution, keep, given, may_start or _all, rungs, snapshots
    ).run()


@dataclass
class _Training:
    problem: Problem
    trials: list[Trial]
    tell: Tell
    execution: Execution | None
    keep: Path | None
    names: list[str]
    may_start: MayStart
    rungs: Rungs | None
    snapshots: Snapshots | None
    how: Execution = field(default_factory=Execution)

    def run(self) -> Iterator[Ended]:
        if not self.trials:
            return
        execution = self.execution or calibrate(self.problem, self.trials)
        self.how = execution
        if execution.processes > 1 and len(self.trials) > 1 and self.rungs is None:
            from .pool import CannotSend, Pool

            try:
                pool = Pool(self.problem, execution.processes)
            except CannotSend as error:
                warnings.warn(f"{error}; its trials are trained in this one.", stacklevel=3)
            else:
                with pool:
                    yield from pool.train(self.trials, self.tell, self.keep, self.names, self.may_start, self.snapshots)
                return
        warmed: set[str] = set()
        for group, saved in self._groups(execution.width):
            for course in group.courses.values():
                if course.trial.rule.name not in warmed:
                    alone.warm(self.problem, course.trial)
                    warmed.add(course.trial.rule.name)
            yield from self._run(group, saved)

    def _run(self, group: Group, saved: Saved | None) -> Iterator[Ended]:
        """Train a group; trials of a stack that fails on the way are trained again, one by one."""
        try:
            yield from group.run(saved)
        except Exception:
            if all(len(team) == 1 for team in group.teams):
                raise
            group.checkpoints.remove()
            each = [[index] for index in group.unfinished]
            for teams in [each] if self.rungs else [[team] for team in each]:
                yield from self._group(teams, group.passed).run()

    def _groups(self, width: int) -> Iterator[tuple[Group, Saved | None]]:
        """What is trained together, one group after another: what a checkpoint holds, then what has not begun."""
        left = list(range(len(self.trials)))
        place = {name: index for index, name in enumerate(self.names)}
        for saved in found(self.keep, self.names):
            members = [place[name] for name in saved.names if name in place]
            known = all(name in place for team in saved.teams for name in team)
            if known and set(self.may_start(members)) == set(members):
                yield self._group([[place[name] for name in team] for team in saved.teams]), saved
                left = [index for index in left if index not in members]
        for teams in self._teams(left, width):
            allowed = set(self.may_start([index for team in teams for index in team]))
            teams = [[index for index in team if index in allowed] for team in teams]
            if any(teams):
                yield self._group([team for team in teams if team]), None

    def _group(self, teams: list[list[int]], passed: int = 0) -> Group:
        courses = {index: Course(index, self.trials[index]) for team in teams for index in team}
        names = dict(enumerate(self.names))
        given = self.problem, courses, teams, names, self.keep, self.tell, self.rungs
        return Group(*given, self.how.compiled, self.how.threads, snapshots=self.snapshots, passed=passed)

    def _teams(self, left: list[int], width: int) -> Iterator[list[list[int]]]:
        """The crews of each group. Each is a function of what is left alone, so that a later process makes the same."""
        crews: list[list[int]] = []
        signatures = {index: signature(self.problem, self.trials[index]) for index in left}
        while left:
            alike = [index for index in left if signatures[index] == signatures[left[0]]]
            most = max(1, width) if stackable(self.trials[left[0]]) else 1
            crew = alike[: math.ceil(len(alike) / math.ceil(len(alike) / most))]
            left = [index for index in left if index not in set(crew)]
            if self.rungs is None:
                yield [crew]
            crews.append(crew)
        if self.rungs is not None and crews:
            yield crews


def _nothing(index: int, point: Point) -> None:
    pass


def _all(indices: Sequence[int]) -> Sequence[int]:
    return indices
