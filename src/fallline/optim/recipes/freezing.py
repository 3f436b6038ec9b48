"""Freezing, and gradual unfreezing from the last layer to the first.

A frozen parameter takes no gradient, and an optimizer leaves alone what has none: it may hold every parameter from the
start, and schedules and checkpoints stay as they are when a layer thaws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from ...errors import InputError
from .layers import Layers, depths
from .parameters import bare, check_selectors, matches, places

_FLAG = "_fallline_keeps_statistics"


def freeze(model: nn.Module, *selectors: str, statistics: bool = True) -> list[str]:
    """Stop the parameters that the selectors name from learning; without a selector, all. Returns their names.

    Gradients that are there are dropped. With `statistics`, the running means and variances of batch norms (of whatever
    has a `running_mean`) stay as they are and are what is normalized by, also after `model.train()`. A parameter with
    several names is frozen under all of them. Raises `InputError` for a selector that names nothing.
    """
    return _set(model, selectors, learns=False, statistics=statistics)


def unfreeze(model: nn.Module, *selectors: str) -> list[str]:
    """Let the parameters that the selectors name learn again, and their statistics; without a selector, all.

    Returns the parameters' names. Raises `InputError` for a selector that names nothing.
    """
    return _set(model, selectors, learns=True, statistics=True)


def _set(model: nn.Module, selectors: tuple[str, ...], learns: bool, statistics: bool) -> list[str]:
    model = bare(model)
    found = places(model)
    modules = [path for path, _ in model.named_modules() if path]
    chosen = check_selectors("selectors", selectors, [*(n for place in found for n in place.names), *modules]) or [""]

    def named(name: str) -> bool:
        return any(matches(selector, name) for selector in chosen)

    changed = [place for place in found if any(named(name) for name in place.names)]
    for place in changed:
        _let(place.parameter, learns)
    if statistics:
        for path, module in model.named_modules():
            if named(path):
                _keep_statistics(module, not learns, model.training)
    return [place.name for place in changed]


def _let(parameter: nn.Parameter, learns: bool) -> None:
    whole_numbers = not (parameter.is_floating_point() or parameter.is_complex())
    parameter.requires_grad_(learns and not whole_numbers)
    if not learns:
        parameter.grad = None  # or the next step would still go along it


def _keep_statistics(module: nn.Module, keep: bool, training: bool) -> None:
    """Hold a module with running statistics in evaluation, or let it train as its model does."""
    if getattr(module, "running_mean", None) is None or bool(getattr(module, _FLAG, False)) is keep:
        return
    if not hasattr(module, _FLAG):
        module.register_forward_pre_hook(_evaluate)
    setattr(module, _FLAG, keep)
    module.train(training and not keep)


def _evaluate(module: nn.Module, _: Any) -> None:
    # at every call: `model.train()` reaches all modules
    if module.training and getattr(module, _FLAG):
        module.training = False


class Unfreezing:
    """Gradual unfreezing: the last layer learns first, and one layer more every `every` epochs.

    `step(epoch)` at the start of an epoch, or of anything else that is counted from 0, sets what learns; the layers
    are those of `depths(model, layers)`. What took no gradient before never does, and `statistics` are kept with their
    layer (see `freeze`). Wrap the model for distributed training before, with `find_unused_parameters=True`.

    Raises `InputError` for an `every` that is no whole number from 1 on, and as `depths` does. Source: Howard & Ruder
    2018, arXiv:1801.06146, section 3.3.
    """

    def __init__(
        self, model: nn.Module, *, every: int = 1, layers: Layers | None = None, statistics: bool = True
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every={every!r} is not allowed for Unfreezing; a whole number from 1 on is needed.")
        self.every = every
        self.epoch = 0
        self._model = bare(model)
        depth = depths(model, layers)
        learning = [place for place in places(model) if place.parameter.requires_grad]
        if not learning:
            raise InputError("no parameter of the model takes a gradient (requires_grad): nothing is to unfreeze.")
        order = sorted({depth[place.name] for place in learning}, reverse=True)
        self._parameters = [(place.name, place.parameter, order.index(depth[place.name])) for place in learning]
        self._norms = list(_norms(self._model, {n: r for n, _, r in self._parameters})) if statistics else []
        self.layers = len(order)
        self.step(0)

    @property
    def learning(self) -> list[str]:
        """The names of the parameters that learn now."""
        return [name for name, parameter, _ in self._parameters if parameter.requires_grad]

    def step(self, epoch: int | None = None) -> list[str]:
        """Set what learns in `epoch`, without one in the next. Returns the names of what did not learn before."""
        self.epoch = self.epoch + 1 if epoch is None else _epoch(epoch)
        thawed = self.epoch // self.every
        before = set(self.learning)
        for _, parameter, rank in self._parameters:
            _let(parameter, rank <= thawed)
        for module, rank in self._norms:
            _keep_statistics(module, rank > thawed, self._model.training)
        return [name for name in self.learning if name not in before]

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint needs to hold."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where a checkpoint was written."""
        if "epoch" not in state:
            raise InputError(f"the state of Unfreezing needs 'epoch'; it has {', '.join(state) or 'nothing'}.")
        self.step(state["epoch"])


def _norms(model: nn.Module, ranks: Mapping[str, int]) -> Iterable[tuple[nn.Module, int]]:
    """The modules whose running statistics are not frozen yet, and the rank of their layer: that of their parameters,
    or of the last ones before."""
    rank = max(ranks.values())
    for path, module in model.named_modules():
        for leaf, _ in module.named_parameters(recurse=False):
            rank = ranks.get(f"{path}.{leaf}" if path else leaf, rank)
        if getattr(module, "running_mean", None) is not None and not getattr(module, _FLAG, False):
            yield module, rank


def _epoch(epoch: int) -> int:
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise InputError(f"epoch={epoch!r} is not allowed for Unfreezing; a whole number from 0 on is needed.")
    return epoch
