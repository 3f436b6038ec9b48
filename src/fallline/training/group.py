"""A group: trials that begin together and are checkpointed together, from their untrained models to their outcomes.

Without rungs a group is one crew. With them it is all trials among which the rungs select, in as many crews as it
takes, which reach each rung before any goes beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..problems import Problem
from ..tensors import under
from .alone import Alone
from .checkpoint import Checkpoints, Saved
from .course import Course, Tell
from .crew import Crew, at_most, score_on_test
from .evaluate import Score
from .interrupt import Interrupt
from .snapshots import Snapshots
from .stack import Stack
from .stopping import best_epoch
from .trial import Outcome, Point

Ended = list[tuple[int, Outcome]]
"""Trials that ended at the same moment: their places among all trials, and their outcomes."""


@dataclass(frozen=True)
class Rungs:
    """Successive halving (Jamieson & Talwalkar 2016; Li et al. 2018, Hyperband): at each of `epochs`, some go on.

    `survivors(epoch, curves)` is given the curve of every trial that is still in training, by its place among all
    trials, and returns the places of those that go on.
    """

    epochs: tuple[int, ...]
    survivors: Callable[[int, Mapping[int, Sequence[Point]]], set[int]]


@dataclass
class Group:
    """Trials in training together. `teams` says which of them, by place, form a crew."""

    problem: Problem
    courses: dict[int, Course]
    teams: list[list[int]]
    names: Mapping[int, str]
    directory: Path | None
    tell: Tell
    rungs: Rungs | None = None
    compiled: bool = False
    threads: int = 0
    stop: Callable[[], bool] = lambda: False
    """Whether somebody else than Ctrl-C wants an end."""
    snapshots: Snapshots | None = None
    crews: list[Crew] = field(default_factory=list)
    passed: int = 0
    """The last rung at which it was decided who goes on."""
    given: set[int] = field(default_factory=set)
    """The places of the trials whose outcomes the caller has."""

    def __post_init__(self) -> None:
        self.checkpoints = Checkpoints(self.directory, [self.names[k] for team in self.teams for k in team])

    @property
    def unfinished(self) -> list[int]:
        """The places of the trials whose outcome the caller does not have."""
        return [index for index in self.courses if index not in self.given]

    def run(self, saved: Saved | None = None) -> Iterator[Ended]:
        """Train all; gives trials as they end."""
        if saved is not None:
            self.checkpoints = Checkpoints(self.directory, saved.names)
        for ended in self._run(saved):
            if ended:
                self.given.update(index for index, _ in ended)
                yield ended
        self.checkpoints.remove()

    def _run(self, saved: Saved | None) -> Iterator[Ended]:
        yield self._begin() if saved is None else self._go_on(saved)
        for stop in self._stops():
            for crew in self.crews:
                while crew.courses and crew.epoch < stop:
                    yield self._advance(crew)
            yield self._decide(stop)
        yield self._finish()

    def _stops(self) -> list[int]:
        rungs = self.rungs.epochs if self.rungs else ()
        last = self.problem.epochs
        return [epoch for epoch in sorted({*rungs, last}) if self.passed < epoch <= last]

    def _begin(self) -> Ended:
        self.checkpoints.save({}, {"teams": [[self.names[k] for k in team] for team in self.teams]})
        with Interrupt() as interrupt, at_most(self.threads):
            for team in self.teams:
                crew = self._crew(team, len(team) > 1)
                crew.begin()
                self.crews.append(crew)
        if interrupt.asked:
            raise KeyboardInterrupt
        self._tell([course for crew in self.crews for course in crew.courses], [])
        return []

    def _crew(self, team: Sequence[int], stacked: bool) -> Crew:
        courses = [self.courses[k] for k in team]
        return Stack(self.problem, courses, self.compiled) if stacked else Alone(self.problem, courses)

    def _advance(self, crew: Crew) -> Ended:
        """Train a crew for an epoch, or to the next checkpoint."""

        def pause() -> bool:
            self._snapshot(crew)
            return interrupt.asked or self.checkpoints.due() or self.stop()

        with Interrupt() as interrupt, at_most(self.threads):
            whole = crew.advance(pause)
        stopped = [course for course in crew.left if not course.reason]
        ended = [(course.index, self._left(course)) for course in crew.left]
        crew.left.clear()
        if interrupt.asked or (not whole and self.stop()):
            self._save(ended)
            raise KeyboardInterrupt
        if ended or self.checkpoints.due():
            self._save(ended)
        if whole:
            self._tell([*stopped, *crew.courses], ended)
        return ended

    def _snapshot(self, crew: Crew) -> None:
        """Give the weights away, where it is time for it."""
        if self.snapshots is not None and crew.courses and crew.courses[0].steps in self.snapshots.steps:
            for course, weights in zip(crew.courses, crew.weights(), strict=True):
                self.snapshots.take(course.index, course.steps, weights)

    def _tell(self, courses: Sequence[Course], ended: Ended) -> None:
        for course in courses:
            try:
                self.tell(course.index, course.curve[-1])
            except KeyboardInterrupt:
                self._save(ended)
                raise

    def _decide(self, epoch: int) -> Ended:
        """At a rung, end those that do not survive it."""
        if self.rungs is None or epoch not in self.rungs.epochs or epoch >= self.problem.epochs:
            return []
        running = {course.index: course for crew in self.crews for course in crew.courses}
        stay = self.rungs.survivors(epoch, {index: tuple(course.curve) for index, course in running.items()})
        self.passed = epoch
        ended = []
        for crew in self.crews:
            gone = [course for course in crew.courses if course.index not in stay]
            for course in gone:
                course.reason = f"it was not among the {len(stay)} of {len(running)} that went on after epoch {epoch}"
                ended.append((course.index, course.outcome(state="pruned")))
            crew.drop(gone)
        self._save(ended)
        return ended

    def _finish(self) -> Ended:
        """The outcomes of those that trained to the end, scored on test data unless they only searched."""
        ended: Ended = []
        with Interrupt() as interrupt, at_most(self.threads):
            for crew in self.crews:
                courses, patient = list(crew.courses), self.problem.patience is not None
                scored = any(course.trial.kind != "search" for course in courses)
                scores = crew.test() if scored and not patient else [None] * len(courses)
                for k, course in enumerate(courses):
                    score = scores[k] if k < len(scores) else None  # one alone that diverges as it is tested
                    ended.append((course.index, self._outcome(course, self._kept(course) if patient else score)))
        if interrupt.asked:
            self._save([])
            raise KeyboardInterrupt
        return ended

    def _outcome(self, course: Course, test: Any) -> Outcome:
        if course.trial.kind == "search":
            return course.outcome()
        if test is None or not course.check(test, "test", self.problem.epochs):
            return self._diverged(course)
        return course.outcome(test)

    def _left(self, course: Course) -> Outcome:
        """The outcome of a trial that left its crew: it diverged, or its patience was over."""
        if course.reason:
            return self._diverged(course)
        early = self._outcome(course, self._kept(course))
        if course.reason:
            return early
        best = best_epoch(course.curve, self.problem.metric.maximize)
        reason = f"no epoch was better than epoch {best} for {self.problem.patience}"
        return replace(early, state="stopped early", reason=reason)

    def _kept(self, course: Course) -> Score | None:
        """The test scores at the best epoch, of a trial that is to be scored."""
        return None if course.trial.kind == "search" else score_on_test(self.problem, course.trial, course.kept)

    def _diverged(self, course: Course) -> Outcome:
        return course.outcome(score_on_test(self.problem, course.trial) if course.trial.kind != "search" else None)

    def _save(self, ended: Ended) -> None:
        """Checkpoint all crews; `ended` are trials whose outcomes the caller does not have yet."""
        if self.checkpoints.path is None:
            return
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"passed": self.passed, "crews": []}
        for n, crew in enumerate(self.crews):
            if crew.courses:
                state, said = crew.state()
                tensors |= {f"{n} {name}": value for name, value in state.items()}
                courses = [_to_plain(course, self.names[course.index]) for course in crew.courses]
                stacked = isinstance(crew, Stack)
                facts["crews"].append({"number": n, "stacked": stacked, "courses": courses, "said": said})
                for k, course in enumerate(crew.courses):
                    tensors |= {f"kept {n} {k} {name}": value for name, value in course.kept.items()}
        facts["ended"] = [[self.names[index], asdict(outcome)] for index, outcome in ended]
        self.checkpoints.save(tensors, facts)

    def _go_on(self, saved: Saved) -> Ended:
        """Take up what a checkpoint holds; returns what had ended and was not given to the caller."""
        facts, places = saved.facts, {name: index for index, name in self.names.items()}
        if "crews" not in facts:
            return self._begin()
        self.passed = facts["passed"]
        for held in facts["crews"]:
            team = [places[course["name"]] for course in held["courses"] if course["name"] in places]
            for k, course in enumerate(held["courses"]):
                _from_plain(self.courses[places[course["name"]]], course)
                self.courses[places[course["name"]]].kept = under(saved.tensors, f"kept {held['number']} {k} ")
            crew = self._crew(team, held["stacked"])
            crew.load(under(saved.tensors, f"{held['number']} "), held["said"])
            self.crews.append(crew)
        return [(places[name], _outcome_of(values)) for name, values in facts["ended"] if name in places]


_NUMBERS = ("steps", "seconds", "stepping", "timed")


def _to_plain(course: Course, name: str) -> dict[str, Any]:
    curve = [list(vars(point).values()) for point in course.curve]
    return {"name": name, "curve": curve, **{name: getattr(course, name) for name in _NUMBERS}}


def _from_plain(course: Course, values: Mapping[str, Any]) -> None:
    course.curve = [Point(*point) for point in values["curve"]]
    for name in _NUMBERS:
        setattr(course, name, values[name])


def _outcome_of(values: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**values, "curve": tuple(Point(**point) for point in values["curve"])})
