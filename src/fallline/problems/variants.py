"""The same problem with something else around its model: each method gives a copy, which was tried as a problem is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from torch import Tensor, nn

from ..averages.kinds import Kind
from ..averages.kinds import parse as parse_average
from ..errors import InputError
from ..layers.check import number
from ..schedules import Schedules, parse
from . import augment as augmenting
from .identity import described
from .metric import Loss, loss_name
from .own import told
from .settings import checked, missing, settable, without
from .space import Setting, Space

if TYPE_CHECKING:
    from ..transfer import Start

Augment: TypeAlias = Callable[..., tuple[Tensor, Tensor]]
"""`augment(x, y, *, ...)`: a training batch, changed."""


class Variants:
    """What a `Problem` can be made another one by."""

    model: Any
    loss: Loss
    augment: Augment | None
    space: Space
    settings: dict[str, Setting]
    """Values of keyword arguments that `with_settings` was given."""
    augment_text: str | None
    """What `augmented_by` was given, where that was a text."""
    start: Start | None
    notes: list[str]
    source: str

    def scheduled(self, schedule: str | Schedules | None) -> Self:
        """The same problem with another schedule, or (None) without one.

        Raises `InputError` for a schedule that does not fit into its epochs.
        """
        other = self._with(schedule=None if schedule is None else parse(schedule))
        other._check_run()
        return other

    def averaged(self, average: str | Kind | None) -> Self:
        """The same problem judged at another average of the weights, or (None) at the weights themselves.

        Raises `InputError` for a text that names none, and for one that begins after the end of a run.
        """
        other = self._with(average=None if average is None else parse_average(average))
        other._check_run()
        return other

    def patient(self, patience: int | str | None) -> Self:
        """The same problem with another patience, or (None, "none") without any. Raises `InputError`."""
        return self._with(patience=patience_of(patience))

    def penalized(self, l1: float = 0.0, l2: float = 0.0, penalize: str | Sequence[str] = ()) -> Self:
        """The same problem whose trials lower a penalty too (`penalties.elastic`), or (both 0) without one.

        `penalize` selects the weights (default: all). The losses of curves are without it. Raises `InputError` for
        penalties below 0 and for a selector that names nothing.
        """
        from ..penalties import Penalty  # which reads losses as problems do

        penalty = Penalty(l1, l2, penalize)
        penalty.of(self.build(0))
        return self._with(penalty=penalty if l1 or l2 else None)

    def transferred(
        self,
        weights: Path | str | None = None,
        *,
        head: str = "auto",
        freeze: str | Sequence[str] = (),
        unfreeze_every: int | None = None,
        layer_factor: float | None = None,
    ) -> Self:
        """The same problem whose trials begin with the weights of a checkpoint, and whose layers learn as is said.

        The checkpoint is read now. `head` is that of `transfer.load_weights`; `freeze` has selectors of
        `optim.recipes`, whose batch norms keep their statistics. `unfreeze_every` so many epochs one more layer learns,
        the last one first; each learns `layer_factor` times slower than the next. With either of these two, trials are
        trained one by one. Without arguments they begin as the model is made. Raises `InputError` for a checkpoint that
        does not fit, for a selector that names nothing, for numbers that are not allowed, and where nothing is left to
        learn.
        """
        from ..transfer import Start  # which knows optimizers' recipes

        asked = Start(weights, head, freeze, unfreeze_every, layer_factor)
        start = asked if weights is not None or asked.freeze or asked.by_layer else None
        told = () if self.start is None else self.start.notes
        other = self._with(start=start, notes=[note for note in self.notes if note not in told])
        other._tried()
        other.notes += () if start is None else start.notes
        return other

    def augmented_by(self, augment: str | Augment | None) -> Self:
        """The same problem with another augmentation: a text such as "flip > crop(4)", a function, or (None) without.

        Raises `InputError` for a text that names none, and for one that does not take the problem's data.
        """
        text = "none" if augment is None else augment.strip() if isinstance(augment, str) else None
        how = "not changed" if text == "none" else f"changed by {text or described(augment)}"
        said = f"Training batches are {how}."
        other = self._with(augment=augmenting.read(augment), augment_text=text, notes=[*self.notes, said])
        if text is None:
            other.source = ""  # from which it would be loaded without the function
        other._retaken()
        return other

    def smoothed(self, label_smoothing: float) -> Self:
        """The same problem trained on labels of which so much, from 0 to 1, is spread evenly over the classes.

        Validation and test losses stay those of the labels. For `F.cross_entropy`, `nn.CrossEntropyLoss` and whatever
        other loss takes `label_smoothing`; raises `InputError` for others, and for what is no share. Source: Szegedy et
        al. 2016, arXiv:1512.00567, section 7.
        """
        if "label_smoothing" not in self.keywords["loss"]:
            raise InputError(
                f"label_smoothing is for cross-entropy; the problem's loss, {loss_name(self.loss)}, does not take it."
            )
        if not 0 <= number("label_smoothing", label_smoothing) <= 1:
            raise InputError(f"label_smoothing={label_smoothing!r} is not allowed; allowed are numbers from 0 to 1.")
        return self.with_settings({"label_smoothing": label_smoothing})

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """The same problem with other values of keyword arguments of its model, augmentation and loss.

        They are the same in every trial: what the space searched of them is searched no more. Validation and test
        losses stay those of `loss` as it was given. Raises `InputError` for a name that is none of `keywords`, and for
        values at which the model cannot be trained.
        """
        if not settings:
            return self
        given = checked(settings, settable(self._functions))
        other = self._with(
            settings={**self.settings, **given},
            space=without(self.space, given),
            notes=[*self.notes, f"Set: {told(given)}."],
        )
        other._retaken()
        return other

    def changed(
        self,
        *,
        augment: str | Augment | None = None,
        label_smoothing: float | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Self:
        """The same problem after `augmented_by`, `smoothed` and `with_settings`, those for which something is given."""
        other = self if augment is None else self.augmented_by(augment)
        other = other if label_smoothing is None else other.smoothed(label_smoothing)
        return other.with_settings(settings or {})

    @property
    def keywords(self) -> dict[str, dict[str, Any]]:
        """What `with_settings` can change: keyword arguments of "model", "augment" and "loss", with their values."""
        found = settable(self._functions)
        return {
            taker: {name: self.settings.get(name, value) for name, value in found[taker].items()} for taker in found
        }

    def divided(self, settings: Mapping[str, Any], others: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Those settings that are not the problem's but among the names of `others`, and the problem's.

        Raises `InputError` for a name that neither knows, listing what there is.
        """
        known = self.keywords
        taken = {name for names in known.values() for name in names} - set(others) | self.space.keys()
        for name in settings:
            if name not in taken and name not in others:
                raise missing(name, known, others)
        theirs = {name: value for name, value in settings.items() if name not in taken}
        return theirs, {name: value for name, value in settings.items() if name in taken}

    @property
    def _functions(self) -> dict[str, Any]:
        """What takes keyword arguments. A finished module takes none to be built."""
        made = None if isinstance(self.model, nn.Module) else self.model
        return {"model": made, "augment": self.augment, "loss": self.loss}

    def _with(self, **values: Any) -> Self:
        """A copy with other values of these attributes."""
        other = copy.copy(self)
        vars(other).pop("fingerprint", None)
        vars(other).update(values)
        return other

    def build(self, seed: int) -> nn.Module:
        """A fresh model."""
        raise NotImplementedError

    def _check_run(self) -> None:
        raise NotImplementedError

    def _tried(self) -> nn.Module:
        raise NotImplementedError

    def _retaken(self) -> None:
        raise NotImplementedError


def patience_of(value: Any) -> int | None:
    """So many epochs, or None for none; also as a text."""
    if value is None or value == "none":
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not hasattr(number, "__index__") or number.__index__() < 1:
        raise InputError(f"patience={value!r} is not allowed; allowed are whole numbers from 1 up, and 'none'.")
    return int(number.__index__())
