"""Models that predict together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import InputError, RecordError
from ..problems import Problem, Split, seeded
from ..shown import Tabled
from ..transfer import load_weights
from .calibration import Calibration, measure
from .combine import Combination, combination, mean
from .diversity import Diversity, of_classes, of_values
from .files import INDEX, read_index, read_member, write_index, write_member
from .score import Scores, check_bins, score

if TYPE_CHECKING:
    from rich.table import Table

_AT_ONCE = 1024
"""Examples that a member is given at once."""


class Ensemble(Tabled):
    """Models whose predictions are averaged.

    - `members`: models of one kind of output. They are put in evaluation mode.
    - `combination`: what is averaged. `Combination("softmax")` averages the probabilities of classes (axis 1 of the
      outputs), `Combination("mean")` the outputs themselves; `Ensemble.of(problem, members)` chooses by the problem's
      loss. `said` says which it is.
    - `names` are told in tables; `notes` are sentences about how it came about; `complete` says whether it has all the
      members that were asked for.

    Raises `InputError` where there is no member.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        combination: Combination | None = None,
        *,
        names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        complete: bool = True,
    ) -> None:
        self.members = list(members)
        if not self.members or not all(isinstance(member, nn.Module) for member in self.members):
            raise InputError("an ensemble needs at least one member, and members are nn.Modules.")
        self.combination = combination if combination is not None else Combination()
        self.names = list(names) if names is not None else [f"member {k + 1}" for k in range(len(self.members))]
        if len(self.names) != len(self.members):
            raise InputError(f"names must name each of the {len(self.members)} members; there are {len(self.names)}.")
        self.notes, self.complete = list(notes), complete
        for member in self.members:
            member.eval()

    def __len__(self) -> int:
        return len(self.members)

    def table(self) -> Table:
        """The members as a Rich table."""
        from .words import members

        return members(self)

    def sentences(self) -> list[str]:
        """What a prompt shows below the table."""
        said = f"A prediction is {self.said}."
        return [said, *self.notes, 'More: .score(problem), .predict(x), .save("directory")']

    @classmethod
    def of(cls, problem: Problem, members: Sequence[nn.Module], **about: Any) -> Ensemble:
        """An ensemble of models of a problem, averaged as fits its loss."""
        if not members:
            raise InputError("an ensemble needs at least one member.")
        members[0].eval()
        device = next(members[0].parameters()).device
        x, y = next(problem.valid.batches(problem.batch_size, device))
        with torch.no_grad(), seeded(0):
            return cls(members, combination(problem, members[0](x), y), **about)

    @property
    def said(self) -> str:
        """What a prediction is, in words."""
        return self.combination.said

    @torch.no_grad()
    def outputs(self, x: Tensor) -> list[Tensor]:
        """Every member's outputs for the inputs `x`."""
        x = x.to(next(self.members[0].parameters()).device)
        return [torch.cat([member(part) for part in torch.split(x, _AT_ONCE)]) for member in self.members]

    def predict(self, x: Tensor) -> Tensor:
        """The mean over members for the inputs `x`: of probabilities where they are of classes, else of outputs."""
        each = self.outputs(x)
        return mean([self.combination.probabilities(outputs) for outputs in each]).to(each[0].dtype)

    def score(self, problem: Problem, split: str | Split = "test", *, bins: int = 15) -> Scores:
        """Loss and metric of every member and of all together, their diversity and calibration.

        `split` is "train", "valid", "test" or other examples; `bins` those of the calibration error.
        """
        return score(self.members, self.names, self.combination, problem, split, bins)

    def diversity(self, x: Tensor) -> Diversity:
        """How the members' predictions for the inputs `x` differ."""
        how = self.combination
        each = [how.probabilities(outputs) for outputs in self.outputs(x)]
        return of_classes([how.rows(p) for p in each]) if how.of_classes else of_values(each)

    def calibration(self, x: Tensor, y: Tensor, *, bins: int = 15) -> Calibration:
        """Whether the ensemble's probabilities for the inputs `x` mean what they say, by the labels `y`.

        Raises `InputError` where outputs are not of classes.
        """
        check_bins(bins)
        how = self.combination
        if not how.of_classes:
            raise InputError("calibration is of probabilities of classes; this ensemble averages outputs.")
        combined = mean([how.probabilities(outputs) for outputs in self.outputs(x)])
        labels, counted = how.labels(y.to(combined.device))
        return measure(how.rows(combined)[counted], labels[counted], bins)

    def save(self, directory: Path | str) -> Path:
        """Write the members and an index into a directory, which is made; the index's path."""
        place = Path(directory)
        listed = []
        for k, (name, member) in enumerate(zip(self.names, self.members, strict=True)):
            file = f"member-{k + 1:03}.safetensors"
            write_member(place / file, {**dict(member.named_parameters()), **dict(member.named_buffers())})
            listed.append({"name": name, "file": file})
        return write_index(place, described(self.combination, listed, self.notes, self.complete))

    @classmethod
    def load(cls, directory: Path | str, build: Problem | Callable[[], nn.Module]) -> Ensemble:
        """The ensemble in a directory. `build` makes a member: its problem, or a function that gives such a model.

        Raises `InputError` where there is none or the models are others, `RecordError` for damaged files.
        """
        place = Path(directory)
        facts = read_index(place)
        if facts is None:
            raise InputError(f"there is no ensemble in {str(place)!r}: it has no {INDEX}.")
        make = partial(build.build, 0) if isinstance(build, Problem) else build
        members = [filled(make(), read_member(place, member["file"]), member["file"]) for member in facts["members"]]
        if not members:
            raise InputError(f"the ensemble in {str(place)!r} has no finished member yet.")
        try:
            how = Combination(**facts["combination"])
            names = [str(member["name"]) for member in facts["members"]]
            return cls(members, how, names=names, notes=facts["notes"], complete=facts["complete"])
        except (KeyError, TypeError) as error:
            raise RecordError(f"{place / INDEX} is damaged: {type(error).__name__}: {error}") from error


def described(
    how: Combination, members: Sequence[Mapping[str, Any]], notes: Sequence[str], complete: bool
) -> dict[str, Any]:
    """What an index says of an ensemble."""
    return {"combination": vars(how), "complete": complete, "notes": list(notes), "members": list(members)}


def filled(model: nn.Module, weights: Mapping[str, Tensor] | Path, what: str) -> nn.Module:
    """The model with all its weights from elsewhere: a mapping or a file.

    Raises `InputError` where one is missing or has another shape.
    """
    missing = load_weights(model, weights, head="load").missing
    if missing:
        raise InputError(f"{what} is of another model: it has no {missing[0]}.")
    return model
