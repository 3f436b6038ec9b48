"""The problem: a model, its data, a loss and a metric, checked once so that whatever exists can be trained."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ..averages.kinds import Kind
from ..averages.kinds import parse as parse_average
from ..errors import InputError
from ..schedules import Follower, Schedules, follow, parse
from .check import NOTHING, check_model, check_training
from .data import Split, digest_tensor, hold_out, split
from .metric import Loss, Metric, find_metric, loss_name
from .own import complete, corners, read_keywords, text, told
from .seeds import seeded
from .space import Setting, Space, checked_space, describe

Augment: TypeAlias = Callable[..., tuple[Tensor, Tensor]]
"""`augment(x, y, *, ...)`: a training batch, changed."""

SHARES = {"valid": 0.20, "test": 0.15}
"""Share of the given training examples held out for a split that was not given."""


class Problem:
    """A model to train, its data, the loss to lower and the metric to judge by.

    - `model`: a class or function without arguments that gives a fresh `nn.Module`, or an `nn.Module`, whose
      weights every trial then starts from.
    - `train`, `valid`, `test`: each a pair (x, y) of tensors, arrays or lists of equal length, or a map-style
      Dataset of such pairs. Splits that are missing are held out of `train` (20 % and 15 %, by `split_seed`);
      `notes` says so.
    - `loss(outputs, targets)`: the mean over the batch. `metric`: a name or a `Metric`.
    - `batch_size` in examples, `epochs` in passes over `train`.
    - `schedule`: what every trial's learning rate, momentum, weight decay and batch size follow, as a text (see
      `fallline.schedules`), each as a factor of the trial's own value; `batch_size` is then that of the first epoch.
    - `average`: the average of its weights that every trial is judged at, as a text (see `fallline.averages`). Batch
      norms are given its statistics by some of the training data.
    - `augment(x, y)`: changes a training batch and gives it back; its random numbers come from PyTorch's global
      generator, which every trial seeds.
    - `space`: the problem's own hyper-parameters (see `problems.space`). Each is a keyword argument, with a default, of
      `model`, `augment` or `loss`, and is searched beside those of the rules. Validation and test losses are always
      those of `loss` with its defaults, so that trials can be compared.

    Raises `InputError` if anything does not fit: one batch of every split is run through model, loss and
    metric, at the defaults and at the ends of the space.
    """

    def __init__(
        self,
        model: Callable[..., nn.Module] | nn.Module,
        train: Any,
        valid: Any = None,
        test: Any = None,
        *,
        loss: Loss = F.cross_entropy,
        metric: str | Metric = "accuracy",
        batch_size: int = 32,
        epochs: int = 15,
        name: str | None = None,
        split_seed: int = 0,
        space: Space | None = None,
        augment: Augment | None = None,
        schedule: str | Schedules | None = None,
        average: str | Kind | None = None,
    ) -> None:
        self.batch_size = _positive(batch_size, "batch_size")
        self.epochs = _positive(epochs, "epochs")
        self.loss = _callable(loss, "loss", "a function of outputs and targets")
        self.metric = find_metric(metric, loss)
        self.model = _callable(model, "model", "an nn.Module, or a class or function that gives one")
        self.augment = None if augment is None else _callable(augment, "augment", "a function of inputs and targets")
        self.space = checked_space(space)
        made = None if isinstance(self.model, nn.Module) else self.model
        self._keywords = read_keywords(self.space, {"model": made, "augment": self.augment, "loss": self.loss})
        if not isinstance(split_seed, int):
            raise InputError(f"split_seed must be a whole number; it is {split_seed!r}.")
        self.notes: list[str] = []
        self.train, self.valid, self.test = self._splits(train, valid, test, split_seed)
        self.schedule = None if schedule is None else parse(schedule)
        self.average = None if average is None else parse_average(average)
        self._check_run()
        first = self.build(0)
        self._check_fresh(first)
        self._untrained = check_model(first, self)
        for own in corners(self.space, self.defaults) if self.space else ():
            check_training(self, own)
        self.parameters_count = sum(p.numel() for p in first.parameters() if p.requires_grad)
        self.named = name is not None
        self.name = name if name is not None else type(first).__name__
        self.source = ""
        """What it was loaded from (`load`), to be found again; nothing when it was made in Python."""
        self.data: str | None = None
        """The directory of data that it was loaded with."""

    def __repr__(self) -> str:
        return f"Problem({self.name!r}, sizes={self.sizes}, parameters_count={self.parameters_count})"

    @property
    def sizes(self) -> dict[str, int]:
        """The number of examples of each split."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}

    @property
    def defaults(self) -> dict[str, Setting]:
        """The default of every hyper-parameter of the problem's own."""
        return dict(self._keywords.defaults)

    def follow(self) -> Follower:
        """The schedule in a run of a trial. Raises `InputError` where it does not fit into the epochs."""
        return follow(self.schedule, examples=len(self.train), batch_size=self.batch_size, epochs=self.epochs)

    def scheduled(self, schedule: str | Schedules | None) -> Problem:
        """The same problem with another schedule, or (None) without one.

        Raises `InputError` for a schedule that does not fit into its epochs.
        """
        other = copy.copy(self)
        vars(other).pop("fingerprint", None)
        other.schedule = None if schedule is None else parse(schedule)
        other._check_run()
        return other

    def averaged(self, average: str | Kind | None) -> Problem:
        """The same problem judged at another average of the weights, or (None) at the weights themselves.

        Raises `InputError` for a text that names none, and for one that begins after the end of a run.
        """
        other = copy.copy(self)
        vars(other).pop("fingerprint", None)
        other.average = None if average is None else parse_average(average)
        other._check_run()
        return other

    def _check_run(self) -> None:
        """Raises `InputError` where schedule or average do not fit into the epochs."""
        steps = self.follow().steps
        if self.average is not None:
            self.average.counts(0, steps)

    def check(self, own: Mapping[str, Any]) -> dict[str, Setting]:
        """The values, completed with defaults. Raises `InputError` for a name or a value that the space lacks."""
        return complete(self.space, self._keywords, own)

    def build(self, seed: int, own: Mapping[str, Setting] = NOTHING) -> nn.Module:
        """A fresh model in training mode, its initial weights those after `torch.manual_seed(seed)`.

        `own` are values of the problem's own hyper-parameters; those that are missing are at their defaults.
        """
        arguments = self._keywords.part("model", self.check(own)) if own else {}
        with seeded(seed):
            model = self._copied() if isinstance(self.model, nn.Module) else self._called(arguments)
            if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
                self._see_shapes(model)
        return model.train()

    def loss_of(self, own: Mapping[str, Setting]) -> Loss:
        """The loss that these values train with: `loss` with its part of them."""
        part = self._keywords.part("loss", own)
        return partial(self.loss, **part) if part else self.loss

    def augmented(self, x: Tensor, y: Tensor, own: Mapping[str, Setting]) -> tuple[Tensor, Tensor]:
        """A training batch after `augment` with its part of these values; the batch itself where there is none."""
        if self.augment is None:
            return x, y
        changed: tuple[Tensor, Tensor] = self.augment(x, y, **self._keywords.part("augment", own))
        return changed

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of what a trial's numbers depend on besides the trial; the same in every process."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.train, self.valid, self.test):
            part.digest(digest)
        model = self.build(0)
        for key, value in model.state_dict().items():
            digest.update(key.encode())
            if isinstance(value, torch.Tensor):
                digest_tensor(value, digest)
        untrained = ", ".join(f"{value:.4g}" for value in self._untrained)
        facts = (
            _described(model),
            _described(self.loss),
            f"{self.metric.name} {self.metric.maximize}",
            untrained,
            f"{self.batch_size} {self.epochs}",
        )
        digest.update("\n".join(facts).encode())
        if self.space or self.augment is not None:
            # what the untrained model at its defaults does not show
            digest.update(f"{describe(self.space, self.defaults)}".encode())
            texts = (self.augment, self.model if self.space else None, self.loss if self.space else None)
            digest.update("\n".join(_described(part) + text(part) for part in texts if part is not None).encode())
        if self.schedule is not None:
            digest.update(f"schedule {self.schedule}".encode())
        if self.average is not None:
            digest.update(f"average {self.average}".encode())
        return digest.hexdigest()

    def _splits(self, train: Any, valid: Any, test: Any, seed: int) -> tuple[Split, Split, Split]:
        kept = split(train, "train")
        given = {name: split(part, name) for name, part in (("valid", valid), ("test", test)) if part is not None}
        shares = {name: share for name, share in SHARES.items() if name not in given}
        if shares:
            whole = len(kept)
            kept, held = hold_out(kept, shares, seed)
            given |= held
            for name, share in shares.items():
                self.notes.append(
                    f"No {name} data was given: {len(held[name])} of the {whole} training examples ({share:.0%}, "
                    f"drawn with split_seed={seed}) were held out for it."
                )
        if isinstance(self.model, nn.Module):
            self.notes.append("Every trial starts from the weights that the model was given with.")
        return kept, given["valid"], given["test"]

    def _copied(self) -> nn.Module:
        try:
            return copy.deepcopy(cast(nn.Module, self.model))
        except Exception as error:
            raise InputError(
                f"the model cannot be copied for each trial ({type(error).__name__}: {error}); "
                "give a function that makes it instead."
            ) from error

    def _called(self, arguments: Mapping[str, Setting]) -> nn.Module:
        assert not isinstance(self.model, nn.Module)
        try:
            model = self.model(**arguments)
        except Exception as error:
            how = f"with {told(arguments)}" if arguments else "without arguments"
            raise InputError(
                f"model must give an nn.Module when called {how}, but {_described(self.model)}() "
                f"raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise InputError(f"model must give an nn.Module; {_described(self.model)}() gave a {type(model).__name__}.")
        return model

    def _check_fresh(self, first: nn.Module) -> None:
        shared = {id(p) for p in first.parameters()} & {id(p) for p in self.build(0).parameters()}
        if shared:
            raise InputError(
                "model() gives the same weights each time it is called, so trials would share them; make the "
                "nn.Module inside the function, or give the nn.Module itself."
            )

    def _see_shapes(self, model: nn.Module) -> None:
        """Run one batch, from which lazy modules learn their shapes."""
        x, _ = next(self.train.batches(self.batch_size, torch.device("cpu")))
        try:
            with torch.no_grad():
                model(x)
        except Exception as error:
            raise InputError(f"the model fails on its first batch: {type(error).__name__}: {error}") from error


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 1:
        raise InputError(f"{name} must be a whole number of at least 1; it is {value!r}.")
    return int(value.__index__())


def _callable(value: Any, name: str, wanted: str) -> Any:
    if not callable(value):
        raise InputError(f"{name} must be {wanted}; it is {value!r}.")
    return value


def _described(value: Any) -> str:
    """A text of a function or module that is the same in every process."""
    if isinstance(value, nn.Module):
        plain = {k: v for k, v in vars(value).items() if isinstance(v, str | int | float) and k != "training"}
        return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{value!r} {plain}")
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) or loss_name(value)
