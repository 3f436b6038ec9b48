"""The problem: a model, its data, a loss and a metric, checked once so that whatever exists can be trained."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ..averages.kinds import Kind
from ..averages.kinds import parse as parse_average
from ..errors import InputError
from ..schedules import Follower, Schedules, follow, parse
from . import augment as augmenting
from .check import NOTHING, check_corner, check_model, check_training
from .data import Split, digest_tensor, hold_out, split
from .identity import described, text
from .metric import Loss, Metric, find_metric
from .own import complete, corners, read_keywords, told
from .seeds import seeded
from .settings import calling, checked, settable
from .space import Setting, Space, checked_space, describe
from .variants import Augment, Variants, patience_of

if TYPE_CHECKING:
    from ..penalties import Penalty
    from ..transfer import Start

SHARES = {"valid": 0.20, "test": 0.15}
"""Share of the given training examples held out for a split that was not given."""


class Problem(Variants):
    """A model to train, its data, the loss to lower and the metric to judge by.

    - `model`: a class or function without arguments that gives a fresh `nn.Module`, or an `nn.Module`, whose
      weights every trial then starts from.
    - `train`, `valid`, `test`: each a pair (x, y) of tensors, arrays or lists of equal length, a map-style Dataset of
      such pairs, or a split of another problem (`load("digits").train`). Splits that are missing are held out of
      `train` (20 % and 15 %, by `split_seed`); `notes` says so.
    - `loss(outputs, targets)`: the mean over the batch. `metric`: a name or a `Metric`.
    - `batch_size` in examples, `epochs` in passes over `train`.
    - `schedule`: what every trial's learning rate, momentum, weight decay and batch size follow, as a text (see
      `fallline.schedules`), each as a factor of the trial's own value; `batch_size` is then that of the first epoch.
    - `average`: the average of its weights that every trial is judged at, as a text (see `fallline.averages`). Batch
      norms are given its statistics by some of the training data.
    - `patience`: a trial ends after so many epochs without a better validation metric (of equal ones, a lower loss),
      and counts with the weights of its best epoch. A schedule is not shortened by it.
    - `augment(x, y)`: changes a training batch and gives it back; its random numbers come from PyTorch's global
      generator, which every trial seeds. Or a text, such as "flip > crop(4) > cutmix" (see `fallline.augmentation`).
    - `space`: the problem's own hyper-parameters (see `problems.space`). Each is a keyword argument, with a default, of
      `model`, `augment` or `loss`, and is searched beside those of the rules. Validation and test losses are always
      those of `loss` with its defaults, so that trials can be compared.

    The same problem with something else is made by its methods, such as `problem.scheduled("cosine")`: see `Variants`.

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
        augment: str | Augment | None = None,
        schedule: str | Schedules | None = None,
        average: str | Kind | None = None,
        patience: int | None = None,
    ) -> None:
        self.batch_size = _positive(batch_size, "batch_size")
        self.epochs = _positive(epochs, "epochs")
        self.loss = _callable(loss, "loss", "a function of outputs and targets")
        self.metric = find_metric(metric, loss)
        self.model = _callable(model, "model", "an nn.Module, or a class or function that gives one")
        self.augment = augmenting.read(augment)
        self.augment_text = None
        self.space = checked_space(space)
        self.settings = {}
        self._keywords, self._given = read_keywords(self.space, self._functions), dict[str, dict[str, Setting]]()
        if not isinstance(split_seed, int):
            raise InputError(f"split_seed must be a whole number; it is {split_seed!r}.")
        self.notes: list[str] = []
        self.train, self.valid, self.test = self._splits(train, valid, test, split_seed)
        self.schedule = None if schedule is None else parse(schedule)
        self.average = None if average is None else parse_average(average)
        self.patience = patience_of(patience)
        self.penalty: Penalty | None = None
        self.start: Start | None = None
        self._check_run()
        first = self._tried()
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

    def check(self, own: Mapping[str, Any]) -> dict[str, Setting]:
        """The values, completed with defaults. Raises `InputError` for a name or a value that the space lacks."""
        return complete(self.space, self._keywords, own)

    def build(self, seed: int, own: Mapping[str, Setting] = NOTHING) -> nn.Module:
        """A fresh model in training mode, its initial weights those after `torch.manual_seed(seed)`.

        `own` are values of the problem's own hyper-parameters; those that are missing are at their defaults.
        """
        arguments = self._part("model", self.check(own) if own else {})
        with seeded(seed):
            model = self._copied() if isinstance(self.model, nn.Module) else self._called(arguments)
            if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
                self._see_shapes(model)
            if self.start is not None:
                self.start(model)
        return model.train()

    def loss_of(self, own: Mapping[str, Setting]) -> Loss:
        """The loss that these values train with: `loss` with its part of them."""
        loss: Loss = calling(self.loss, self._part("loss", own))
        return loss

    def augmented(self, x: Tensor, y: Tensor, own: Mapping[str, Setting]) -> tuple[Tensor, Tensor]:
        """A training batch after `augment` with its part of these values; the batch itself where there is none."""
        if self.augment is None:
            return x, y
        changed: tuple[Tensor, Tensor] = self.augment(x, y, **self._part("augment", own))
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
            described(model),
            described(self.loss),
            f"{self.metric.name} {self.metric.maximize}",
            untrained,
            f"{self.batch_size} {self.epochs}",
        )
        digest.update("\n".join(facts).encode())
        if self.space or self.augment is not None:
            # what the untrained model at its defaults does not show
            digest.update(f"{describe(self.space, self.defaults)}".encode())
            texts = (self.augment, self.model if self.space else None, self.loss if self.space else None)
            digest.update("\n".join(described(part) + text(part) for part in texts if part is not None).encode())
        if self.schedule is not None:
            digest.update(f"schedule {self.schedule}".encode())
        if self.average is not None:
            digest.update(f"average {self.average}".encode())
        # weights to start from are the model's, digested above
        further = {
            "settings": self.settings,
            "patience": self.patience,
            "penalty": self.penalty,
            "freeze": self.start and self.start.freeze,
            "unfreeze every": self.start and self.start.unfreeze_every,
            "layer factor": self.start and self.start.layer_factor,
        }
        digest.update("".join(f"{name} {value}" for name, value in further.items() if value).encode())
        return digest.hexdigest()

    def _retaken(self) -> None:
        """See again who takes what, and try it."""
        known = settable(self._functions)
        checked(self.settings, known)
        self._keywords = read_keywords(self.space, self._functions)
        self._given = {
            taker: {name: value for name, value in self.settings.items() if name in names}
            for taker, names in known.items()
        }
        self._tried()

    def _tried(self) -> nn.Module:
        """A fresh model, with which a batch of every split was tried; augmentation learns what it needs to know."""
        first = self.build(0)
        self._check_fresh(first)
        self._untrained = check_model(first, self)
        self.augment = augmenting.fit(self.augment, self, first)
        check_training(first, self)
        for own in corners(self.space, self.defaults) if self.space else ():
            check_corner(self, own)
        self.parameters_count = sum(p.numel() for p in first.parameters() if p.requires_grad)
        return first

    def _part(self, taker: str, own: Mapping[str, Setting]) -> dict[str, Setting]:
        """What "model", "augment" or "loss" is called with: what was set, and its part of the problem's own."""
        return {**self._given.get(taker, {}), **self._keywords.part(taker, own)}

    def _check_run(self) -> None:
        """Raises `InputError` where schedule or average do not fit into the epochs."""
        run = self.follow()
        if self.average is not None:
            self.average.counts(0, run.steps, run.epoch_steps)

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
            if arguments and isinstance(error, InputError):
                raise
            how = f"with {told(arguments)}" if arguments else "without arguments"
            raise InputError(
                f"model must give an nn.Module when called {how}, but {described(self.model)}() "
                f"raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise InputError(f"model must give an nn.Module; {described(self.model)}() gave a {type(model).__name__}.")
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
