"""The members of an ensemble in training: taken from runs, kept, found again, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..training import Execution, Outcome, Point, Snapshots, Trial, Weights
from ..training import train as train_trials
from .combine import Combination
from .ensemble import Ensemble, described, filled
from .files import INDEX, read_index, read_member, write_index, write_member
from .kinds import Plan
from .progress import Watch

_CHECKPOINTS = "checkpoints"
_INSTEAD = "Choose another directory (out), or start again (fresh)."


@dataclass
class Keeper:
    """The members of a plan that are trained, in memory or in a directory."""

    plan: Plan
    directory: Path | None
    asked: Mapping[str, Any]
    held: dict[tuple[int, int], Weights] = field(default_factory=dict)
    """Members by run and update."""
    diverged: dict[int, str] = field(default_factory=dict)
    """Why a run ended early."""
    watch: Watch | None = None

    def clear(self) -> None:
        """Remove the ensemble that the directory holds."""
        if self.directory is None:
            return
        facts = read_index(self.directory) or {"members": []}
        files = [self.directory / member["file"] for member in facts["members"]]
        for path in [self.directory / INDEX, *files, *(self.directory / _CHECKPOINTS).glob("*.safetensors")]:
            path.unlink(missing_ok=True)

    def find(self) -> None:
        """Take up what the directory holds. Raises `InputError` where that is another ensemble."""
        facts = None if self.directory is None else read_index(self.directory)
        if facts is None or self.directory is None:
            return
        before = facts.get("asked")
        if before is None:
            raise InputError(f"{self.directory} holds an ensemble that was saved there. {_INSTEAD}")
        other = [name for name, value in self.asked.items() if before.get(name) != _plain(value)]
        if other:
            said = [f"{name} was {before.get(name)}, now {self.asked[name]}" for name in other if name != "problem"]
            said = said or ["the problem has other data, another model or another schedule"]
            raise InputError(f"{self.directory} holds another ensemble: {'; '.join(said)}. {_INSTEAD}")
        for member in facts["members"]:
            self.held[(member["run"], member["step"])] = read_member(self.directory, member["file"])
        self.diverged = {int(run): reason for run, reason in facts["diverged"].items()}

    def train(self, trials: Sequence[Trial], execution: Execution | None) -> bool:
        """Train what is missing; whether that was done to the end."""
        missing = {run for run, step in self.plan.members if (run, step) not in self.held} - self.diverged.keys()
        if not missing:
            return True
        self._write(complete=False)
        runs = train_trials(
            self.plan.problem,
            trials,
            on_epoch=self._told,
            execution=execution,
            keep=None if self.directory is None else self.directory / _CHECKPOINTS,
            names=[f"run {run}" for run in range(len(trials))],
            may_start=lambda places: [run for run in places if run in missing],
            snapshots=Snapshots(frozenset(self.plan.steps), self._take),
        )
        try:
            for ended in runs:
                for run, outcome in ended:
                    self._ended(run, outcome)
        except KeyboardInterrupt:
            return False
        return True

    def ensemble(self, complete: bool) -> Ensemble:
        """What is trained. Raises `InputError` where all runs diverged, KeyboardInterrupt where nothing is yet."""
        if not self.held and not complete:
            raise KeyboardInterrupt
        if not self.held:
            reason = next(iter(self.diverged.values()))
            raise InputError(f"no run gave a member: {reason}. Try a lower rate (lr).")
        problem = self.plan.problem
        members = [filled(problem.build(0), self.held[key], self._name(key)) for key in sorted(self.held)]
        names = [self._name(key) for key in sorted(self.held)]
        made = Ensemble.of(problem, members, names=names, notes=self._notes(complete), complete=complete)
        self._write(complete, made.combination)
        return made

    def _told(self, run: int, point: Point) -> None:
        if self.watch is not None:
            self.watch.epoch(run, point.epoch)

    def _take(self, run: int, step: int, weights: Weights) -> None:
        if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
            return  # a run that diverges, which is found out at the next look at its losses
        self.held[(run, step)] = weights
        if self.directory is not None:
            write_member(self.directory / self._file((run, step)), weights)
            self._write(complete=False)
        if self.watch is not None:
            self.watch.taken(len(self.held))

    def _ended(self, run: int, outcome: Outcome) -> None:
        if outcome.state == "diverged":
            self.diverged[run] = outcome.reason
            sound = outcome.curve[-1].step if outcome.curve else 0
            for key in [key for key in self.held if key[0] == run and key[1] > sound]:
                del self.held[key]  # taken after the last epoch that was in order
            self._write(complete=False)

    def _write(self, complete: bool, how: Combination | None = None) -> None:
        if self.directory is None:
            return
        listed = [
            {"name": self._name(key), "file": self._file(key), "run": key[0], "step": key[1]}
            for key in sorted(self.held)
        ]
        facts = described(how or Combination(), listed, self._notes(complete), complete)
        diverged = {str(run): reason for run, reason in self.diverged.items()}
        write_index(self.directory, {**facts, "asked": _plain(self.asked), "diverged": diverged})

    def _name(self, key: tuple[int, int]) -> str:
        run, step = key
        seed = f"seed {self.plan.seeds[run]}"
        return seed if len(self.plan.steps) == 1 else f"{seed}, step {step}"

    def _file(self, key: tuple[int, int]) -> str:
        return f"run-{key[0]:03}-step-{key[1]:07}.safetensors"

    def _notes(self, complete: bool) -> list[str]:
        said = [f"The run of seed {self.plan.seeds[run]} diverged: {reason}." for run, reason in self.diverged.items()]
        if not complete:
            said.append(f"Interrupted: {len(self.held)} of {len(self.plan.members)} members are finished.")
        return said


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    if isinstance(value, Mapping):
        return {str(name): _plain(held) for name, held in value.items()}
    return value
