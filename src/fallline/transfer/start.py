"""Where training begins: with the weights of a checkpoint, and with layers that learn later, slower or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..errors import InputError
from ..layers.check import names, number, whole
from ..optim import recipes
from ..optim.recipes.parameters import check_selectors
from ..rules import Rule
from .load import fill, given

if TYPE_CHECKING:
    from ..problems import Problem


class Start:
    """`start(model)` loads the weights of a checkpoint into a model and freezes what `freeze` selects.

    `weights` is a file or directory, which is read once, `head` what `load_weights` does with the last layer; `freeze`
    has selectors of `optim.recipes`, also as a text with commas. With `unfreeze_every` the last layer learns first, and
    one more every so many epochs; with `layer_factor` each learns so many times slower than the next (Howard & Ruder
    2018, arXiv:1801.06146). `notes` say, once a model has begun, what was loaded into the first one. Raises
    `InputError` as `read` does, for a `head` without weights and for numbers that are not allowed.
    """

    def __init__(
        self,
        weights: Path | str | None = None,
        head: str = "auto",
        freeze: str | Sequence[str] = (),
        unfreeze_every: int | None = None,
        layer_factor: float | None = None,
    ) -> None:
        if weights is not None and not isinstance(weights, Path | str):
            raise InputError(
                f"weights must be the file or directory of a checkpoint; it is a {type(weights).__name__}."
            )
        if weights is None and head != "auto":
            raise InputError("head says what becomes of a checkpoint's last layer; give weights (--from) too.")
        self.weights = None if weights is None else str(Path(weights).expanduser().absolute())
        self.head = head
        self.freeze = names("freeze", freeze)
        self.unfreeze_every = None if unfreeze_every is None else whole("unfreeze_every", unfreeze_every)
        self.layer_factor = None if layer_factor is None else number("layer_factor", layer_factor, 1.0)
        self.notes: tuple[str, ...] = ()
        self._held = None if weights is None else given(weights)

    def __call__(self, model: nn.Module) -> None:
        """Have a model begin so.

        Raises `InputError` as `load_weights`, `freeze` and `depths` do, and where nothing can learn.
        """
        if self.freeze:
            parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
            check_selectors("freeze", self.freeze, [*parameters, *(path for path, _ in model.named_modules() if path)])
        if self._held is not None:
            said = tuple(str(fill(model, *self._held, self.head)).splitlines())
            self.notes = self.notes or said
        if self.freeze:
            recipes.freeze(model, *self.freeze)
        if self.by_layer:
            recipes.depths(model)
        if not any(p.requires_grad for p in model.parameters()):
            raise InputError("nothing is left to learn: every parameter of the model is frozen.")

    @property
    def by_layer(self) -> bool:
        """Whether layers learn at rates, or from epochs on, of their own."""
        return self.unfreeze_every is not None or self.layer_factor is not None

    def groups(self, model: nn.Module, rule: Rule, settings: Mapping[str, Any]) -> Any:
        """What an optimizer is given of a model that has begun, before `unfreezing`: what learns, in groups by layer.

        Raises `InputError` for a rule without a learning rate that layers could share.
        """
        if self.layer_factor is None:
            return [p for p in model.parameters() if p.requires_grad]
        lr = settings.get("lr", rule.defaults.get("lr"))
        if lr is None:
            raise InputError(
                f"layer_factor is not allowed: {rule.name} has no learning rate (lr) that layers could share."
            )
        return recipes.discriminative(model, lr, self.layer_factor)

    def unfreezing(self, model: nn.Module) -> recipes.Unfreezing | None:
        """What has one layer more learn, epoch after epoch, where that is asked for; from now on the last one does."""
        return None if self.unfreeze_every is None else recipes.Unfreezing(model, every=self.unfreeze_every)

    @property
    def asked(self) -> dict[str, Any]:
        """Its arguments as plain values; those by layer where they are given."""
        by_layer = {"unfreeze_every": self.unfreeze_every, "layer_factor": self.layer_factor}
        plain = {"weights": self.weights, "head": self.head, "freeze": list(self.freeze)}
        return plain | {name: value for name, value in by_layer.items() if value is not None}


def begun(
    problem: Problem,
    weights: Path | str | None,
    head: str,
    freeze: str | Sequence[str],
    unfreeze_every: int | None,
    layer_factor: float | None,
) -> Problem:
    """The problem that begins as these arguments ask for; where they say nothing, as it does by itself."""
    by_layer = {"unfreeze_every": unfreeze_every, "layer_factor": layer_factor}
    if weights is None and head == "auto" and not freeze and by_layer == dict.fromkeys(by_layer):
        return problem
    return problem.transferred(weights, head=head, freeze=freeze, **by_layer)  # type: ignore[arg-type]
