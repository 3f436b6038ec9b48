"""Schedules as one of `torch.optim.lr_scheduler`, for a loop of the user's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import InputError
from .length import Run
from .plan import Schedules
from .settings import NAMES, bases, put, scheduled
from .text import parse

_SAME = 1e-6
"""Values that differ by less than this share are one value, which a tensor in float32 has rounded."""


class Scheduler(LRScheduler):
    """Sets learning rate, momentum and weight decay of an optimizer, update by update.

    Call `step()` after every `optimizer.step()`. `steps` are the updates of the whole run, `epoch` those of an epoch,
    which are needed where a length is in epochs. A schedule that watches the validation loss is told of it with
    `observe`. Groups keep their own base values; what else changes them in the meantime (another scheduler, the
    user) is kept as a factor, so that schedulers can be chained.

    Raises `InputError` for a schedule that does not fit, for one of a quantity that the optimizer does not have, and
    for one of the batch size, which is the data loader's: `follow` tells it.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: str | Schedules,
        steps: int,
        epoch: float | None = None,
        last_epoch: int = -1,
    ) -> None:
        self.schedules = parse(schedule)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InputError(f"steps={steps!r} is not allowed; allowed: whole numbers of at least 1.")
        if epoch is not None and not epoch > 0:
            raise InputError(f"epoch={epoch!r} is not allowed; allowed: numbers above 0.")
        self.run = Run(steps, epoch)
        self._at = self.schedules.over(self.run)
        self._base = bases(optimizer)
        self._put: list[dict[str, float]] = [{} for _ in self._base]
        self._others = [dict.fromkeys(base, 1.0) for base in self._base]
        self._seen: list[tuple[float, float]] = []
        self._refuse()
        super().__init__(optimizer, last_epoch)

    def _refuse(self) -> None:
        for clause in self.schedules.clauses:
            if "batch_size" in clause.sets:
                raise InputError(
                    f"schedule {str(clause)!r} sets the batch size, which is the data loader's: ask "
                    "schedules.follow(...).batch_size(epoch) for it."
                )
            wanted = clause.quantity
            if wanted is not None and not any(name in base for base in self._base for name in NAMES[wanted]):
                raise InputError(f"schedule {str(clause)!r} sets {wanted}, which the optimizer does not have.")

    def observe(self, valid_loss: float) -> None:
        """Take note of a validation loss, once an epoch, after its last `step()`; the next update follows it."""
        self._seen.append((float(self.last_epoch), float(valid_loss)))
        rates = self._rates(alone=False)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            put(group, "lr", float(rate))
        self._last_lr = [rate.clone() if isinstance(rate, Tensor) else rate for rate in rates]

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of every group at this step, other schedulers' factors included.

        As with PyTorch's `OneCycleLR`, this also sets the groups' other scheduled values.
        """
        if not self._get_lr_called_within_step:
            return self.get_last_lr()
        return self._rates(alone=False)

    def _get_closed_form_lr(self) -> list[float | Tensor]:
        """The same by this schedule alone: `SequentialLR` asks for it where one scheduler follows another."""
        return self._rates(alone=True)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as plain values."""
        made = {"optimizer", "schedules", "run", "_at", "_put"}
        kept = {name: value for name, value in vars(self).items() if name not in made}
        return {**kept, "schedule": str(self.schedules), "steps": self.run.updates, "epoch": self.run.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from such a state, with the schedule that it had."""
        kept = dict(state_dict)
        self.schedules = parse(kept.pop("schedule"))
        self.run = Run(kept.pop("steps"), kept.pop("epoch"))
        self._at = self.schedules.over(self.run)
        self._put = [{} for _ in self._base]
        vars(self).update(kept)

    def _rates(self, alone: bool) -> list[float | Tensor]:
        time = float(self.last_epoch)
        factors = {name: at(time, self._seen) for name, at in self._at.items()}
        rates: list[float | Tensor] = []
        for k, group in enumerate(self.optimizer.param_groups):
            values = {}
            for name, value in scheduled(self._base[k], factors).items():
                self._others[k][name] = 1.0 if alone else self._of_others(k, name, group)
                values[name] = value * self._others[k][name]
            for name in values.keys() - {"lr"}:
                put(group, name, values[name])
            self._put[k] = values
            rates.append(values.get("lr", group["lr"]))
        return rates

    def _of_others(self, k: int, name: str, group: dict[str, Any]) -> float:
        """The factor by which others changed a value of group k."""
        now = float(group["betas"][0] if name == "beta1" and "betas" in group else group[name])
        if self._is_initial and self.last_epoch == 0:
            first = self._base[k][name]
            return now / first if name == "lr" and first else 1.0
        before = self._put[k].get(name, 0.0)
        changed = before != 0 and abs(now - before) > _SAME * abs(before)
        return self._others[k][name] * (now / before if changed else 1.0)
