"""The optimizer over a rule: PyTorch's contract on the outside, one kernel call a step on the inside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..errors import InputError
from ..kernels import storage
from ..kernels.gpu.capture import refuse_capture
from ..kernels.stepper import Stepper
from ..kernels.text import fresh
from ..rules import ascend
from ..rules.rule import Rule
from ..rules.trace import Walk, side_by_side, together
from . import averages, guard, loading, modified, partition, saving, settings, starting
from .climbing import gradients_uphill
from .sharded import on_shards
from .sparse import lazily

if TYPE_CHECKING:
    from .backward import InBackward

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class RuleOptimizer(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` that steps by a rule.

    A subclass says two things: `defaults_`, the settings of a parameter group with their defaults, and `read`, which
    gives the rule for a group and the values of that rule's hyper-parameters.
    """

    defaults_: ClassVar[Mapping[str, Any]] = {}
    state_names: ClassVar[Mapping[str, str]] = {}
    """The name that a rule's state has in `state`, where that is another."""
    _is_uphill = False
    """Whether the gradients were taken where the rule climbs to."""
    in_backward: InBackward | None = None
    """What steps its parameters in the backward pass, if that is asked for."""
    _others: Any = None
    """The process group whose processes step other parameters."""

    def __init__(self, params: Params, *args: Any, **by_name: Any) -> None:
        self._others = partition.group_of_maker()
        self._steppers: dict[Rule, Stepper] = {}
        self._switches = modified.switches(self.defaults_)
        given = settings.of_group(type(self), settings.by_name(type(self), args, by_name))
        super().__init__(params, {**self.defaults_, **given})

    @classmethod
    def read(cls, group: Mapping[str, Any]) -> tuple[Rule, Mapping[str, Any]]:
        """The rule that a group is stepped by, and its hyper-parameters."""
        raise NotImplementedError

    def rule_of(self, group: Mapping[str, Any]) -> tuple[Rule, Mapping[str, Any]]:
        """The rule that a group is stepped by, modified as its settings ask for, and its hyper-parameters."""
        rule, values = self.read(group)
        if not self._switches.isdisjoint(group):
            rule, values = modified.with_modifiers(rule, values, group, self._switches)
        return (ascend(rule) if group["maximize"] else rule), values

    @classmethod
    def refuse(cls, group: Mapping[str, Any]) -> None:
        """Raises `InputError` for settings that are allowed each, but not together."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters with settings of its own; raises `InputError` for a setting that is not allowed."""
        group = settings.of_group(type(self), param_group)
        rule = settings.check(self, {**self.defaults, **group})
        guard.add_param_group(self, group)
        added = self.param_groups[-1]
        try:
            settings.check_parameters(self, rule, added)
            if self.in_backward is not None:
                self.in_backward.check(added)
        except InputError:
            self.param_groups.pop()
            raise
        if self.in_backward is not None:
            self.in_backward.watch(added)

    zero_grad = guard.zero_grad

    def state_dict(self) -> dict[str, Any]:
        """The state of all parameters and the groups' settings, as plain data that `load_state_dict` takes.

        States in eight bits are given as bfloat16, all numbers of theirs, so that shards of any number and
        `torch.optim` can load them: two bytes an element are needed for as long as the checkpoint is there.
        """
        for stepper in self._steppers.values():
            stepper.settle(self.state)
        return saving.state_dict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a checkpoint of this class, or of the class of `torch.optim` with the same name.

        As with PyTorch, settings come from it too, and states take the type and the device of their parameters;
        settings that it does not mention stay. Raises `InputError` for one of another rule or another model.
        """
        loading.load(self, state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._steppers = {}
        self._switches = modified.switches(self.defaults_)
        for group in self.param_groups:
            for name, default in self.defaults_.items():
                group.setdefault(name, default)

    @guard.hooked
    @guard.opaque
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step. `closure`, if given, computes the loss and its gradients again and its value is returned.

        A rule that takes the gradient at another point (`sam=`, `asam=`) needs a closure, which is called twice, or
        `uphill` before. Raises `InputError` without, and between `eval()` and `train()`.

        A first step at a rate of zero, with gradients of zeros, does no more than `begin()`.
        """
        loss = None
        if closure is None and not self.state and starting.is_asked(self):
            self.begin()
            return loss
        if closure is not None:
            averages.refuse(self)
            with torch.enable_grad():
                loss = closure()
            self.uphill(closure)
        try:
            self.advance((group, group["params"]) for group in self.param_groups)
        finally:
            self._is_uphill = False
        return loss

    def begin(self) -> None:
        """Make the states of the parameters that have a gradient, as they are before the first step."""
        averages.refuse(self)
        for group in self.param_groups:
            whole, values = self.rule_of(group)
            for rule, params in _shared_out(whole, group, group["params"]):
                keeps = self._stepper(rule).keeps
                for p in (p for p in params if keeps and p.grad is not None):
                    self._start(rule, values, p, self.state[p])

    def uphill(self, closure: Callable[[], Any]) -> None:
        """Have the closure compute the gradients where the rule wants them, before a `step()` without a closure.

        The parameters climb there by the gradients that they have, and come back exactly. This is sharpness-aware
        minimization with a `GradScaler`, which takes no closure: `scaler.scale(loss).backward()`, then
        `optimizer.uphill(closure)` with a closure that clears the gradients and computes those of the scaled loss, then
        `scaler.step(optimizer)`. Does nothing for rules that climb nowhere.
        """
        gradients_uphill(self, closure)
        self._is_uphill = True

    def advance(self, parts: Iterable[tuple[Mapping[str, Any], Sequence[Tensor]]]) -> None:
        """Step the parameters given, each list of them with the settings of its group, that have a gradient."""
        averages.refuse(self)
        used: dict[Rule, Stepper] = {}
        self._places: dict[int, int] = {}
        for group, wanted in parts:
            whole, values = self.rule_of(group)
            if whole.climb is not None and not self._is_uphill:
                raise InputError(
                    f"{whole.climb.name} takes a second gradient: call step(closure), with a closure that clears the "
                    "gradients, computes the loss and its gradients, and returns the loss."
                )
            for rule, params in _shared_out(whole, group, wanted):
                stepper = self._stepper(rule)
                if rule not in used:
                    used[rule] = stepper
                    stepper.begin()
                numbers = tuple([x if type(x := values[name]) is float else _number(x) for name in rule.hypers])
                stepper.add(params, self.state, numbers, partial(self._start, rule, values))
        if len(used) > 1:
            modified.refuse_other_sums(tuple(used))
        self.run(used.values())

    def run(self, steppers: Collection[Stepper]) -> None:
        """Take the steps that were added to the steppers, all together."""
        try:
            apart = [step for stepper in steppers if stepper.apart for step in _in_place_of(stepper)]
            steps = [*(step for stepper in steppers for step in stepper.steps()), *apart]
            if self._others is not None:
                steps = [partition.over_processes(side_by_side(steps), self._others, self._device())]
            together(steps)
        finally:
            for stepper in steppers:
                stepper.begin()

    def sum_over(self, group: Any) -> None:
        """Take sums over all parameters (a global norm) over those of a process group's other processes too.

        For processes that step different parameters, as the stages of a pipeline do. `ZeroRedundancyOptimizer` and
        FSDP2 need nothing said.
        """
        self._others = group

    def _device(self) -> torch.device:
        return next((p.device for group in self.param_groups for p in group["params"]), torch.device("cpu"))

    def eval(self) -> None:
        """Put the weights to evaluate at into the parameters, where the rule has others than it trains: averages.

        The trained weights are kept in the state, so that checkpoints hold both; `train()` brings them back, and until
        then a step is an error. Nothing changes for other rules. The statistics of batch norms stay those of the
        trained weights: for an average far from these, `torch.optim.swa_utils.update_bn` computes them anew.
        """
        averages.put(self)

    def train(self) -> None:
        """Put the trained weights back, exactly."""
        averages.put_back(self)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """`eval()` for a `with` block, and back at its end to what was before."""
        before = averages.is_evaluating(self)
        self.eval()
        try:
            yield
        finally:
            if not before:
                self.train()

    def _stepper(self, rule: Rule) -> Stepper:
        stepper = self._steppers.get(rule)
        if stepper is None:
            keys = [self.state_names.get(name, name) for name in rule.states]
            stepper = self._steppers[rule] = Stepper(rule, keys, self._place)
        return stepper

    def _place(self, p: Tensor) -> int:
        """The parameter's place among all parameters, in the order in which a checkpoint counts them."""
        if id(p) not in self._places:
            params = (q for group in self.param_groups for q in group["params"])
            self._places = {id(q): place for place, q in enumerate(params)}
        return self._places[id(p)]

    def _start(self, rule: Rule, values: Mapping[str, Any], p: Tensor, state: dict[str, Any]) -> None:
        """Make the states that the parameter lacks: all at first, some when a group's settings change its rule.

        A checkpoint of `torch.optim` brings its numbers as tensors, and no count of steps where the rule needs none.
        """
        refuse_capture(p.device)
        state["step"] = int(state.get("step", any(value is not None for value in state.values())))
        for name in rule.states:
            key = self.state_names.get(name, name)
            if state.get(key) is None:
                state[key] = fresh(rule, name, p, values)
            storage.keep(rule, name, key, state, p)
        for name, number in rule.numbers.items():
            state[name] = float(state.get(name, number))


def _number(value: Any) -> Any:
    """A hyper-parameter for kernels: one that is a tensor on another device stays there, since reading it waits."""
    return value if isinstance(value, Tensor) and value.device.type != "cpu" else float(value)


def _in_place_of(stepper: Stepper) -> list[Walk]:
    """The steps of parameters that are spread over processes, or whose gradients are sparse."""
    rows = [item for item in stepper.apart if item.gradient.layout is not torch.strided]
    shards = [item for item in stepper.apart if item.gradient.layout is torch.strided]
    return [*(lazily(stepper, item) for item in rows), *on_shards(stepper, shards)]


def _shared_out(
    rule: Rule, group: Mapping[str, Any], params: Sequence[Tensor]
) -> Iterable[tuple[Rule, Sequence[Tensor]]]:
    """A group's parameters by the rule that steps them: a rule for matrices names another for the rest."""
    if rule.otherwise is None:
        return [(rule, params)]
    parts: dict[Rule, list[Tensor]] = {}
    elementwise = group.get("elementwise", False)
    for p in params:
        parts.setdefault(_of_shape(rule, p.shape, elementwise), []).append(p)
    return parts.items()


_of_shape = lru_cache(maxsize=None)(Rule.of_shape)
