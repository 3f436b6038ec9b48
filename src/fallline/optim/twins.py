"""The optimizers that `torch.optim` has too: its names, arguments, defaults and numbers, over rules and modifiers.

Each class says which settings a parameter group has, and reads a group as a rule with its hyper-parameters. States keep
`torch.optim`'s names, so that checkpoints can be exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..rules import amsgrad, decoupled, get, l2
from ..rules.rule import Rule
from .base import RuleOptimizer

Group = Mapping[str, Any]
Read = tuple[Rule, Mapping[str, Any]]


def _plain(group: Group, *names: str) -> dict[str, Any]:
    return {name: group[name] for name in names}


def _with_l2(rule: Rule, values: dict[str, Any], group: Group) -> Read:
    """`torch.optim`'s `weight_decay`: a penalty, except where the group asks for decoupled decay."""
    decay = group["weight_decay"]
    if group.get("decoupled_weight_decay"):
        return decoupled(rule), {**values, "weight_decay": decay}
    return (l2(rule), {**values, "l2": decay}) if decay else (rule, values)


class SGD(RuleOptimizer):
    """Gradient descent, with heavy-ball or Nesterov momentum. Settings and numbers as `torch.optim.SGD`."""

    defaults_ = {
        "lr": 1e-3,
        "momentum": 0.0,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
        "maximize": False,
    }
    state_names = {"v": "momentum_buffer"}

    @classmethod
    def refuse(cls, group: Group) -> None:
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise InputError("nesterov=True is not allowed for SGD without momentum, or with dampening.")

    @classmethod
    def read(cls, group: Group) -> Read:
        if not group["momentum"]:
            return _with_l2(get("sgd"), {"lr": group["lr"]}, group)
        rule = get("nesterov" if group["nesterov"] else "momentum")
        return _with_l2(rule, _plain(group, "lr", "momentum", "dampening"), group)


_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
"""The settings that the family shares, in the order in which all take them."""


class _AdamLike(RuleOptimizer):
    rule_name = "adam"
    state_names = {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}

    @classmethod
    def read(cls, group: Group) -> Read:
        beta1, beta2 = group["betas"]
        rule = get(cls.rule_name)
        if "amsgrad" in cls.defaults_ and group["amsgrad"]:  # elsewhere it is a modifier's setting
            rule = amsgrad(rule)
        values = {"lr": group["lr"], "beta1": beta1, "beta2": beta2, "eps": group["eps"]}
        return _with_l2(rule, values, group)


class Adam(_AdamLike):
    """Adam (Kingma & Ba 2015). Settings and numbers as `torch.optim.Adam`."""

    defaults_ = {
        **_ADAM,
        "amsgrad": False,
        "maximize": False,
        "decoupled_weight_decay": False,
    }


class AdamW(_AdamLike):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019). Settings and numbers as `torch.optim.AdamW`."""

    defaults_ = {
        **_ADAM,
        "weight_decay": 1e-2,
        "amsgrad": False,
        "maximize": False,
    }

    @classmethod
    def read(cls, group: Group) -> Read:
        return super().read({**group, "decoupled_weight_decay": True})


class RAdam(_AdamLike):
    """Adam with a rectified rate (Liu et al. 2020). Settings and numbers as `torch.optim.RAdam`."""

    rule_name = "radam"
    defaults_ = {
        **_ADAM,
        "decoupled_weight_decay": False,
        "maximize": False,
    }


class Adamax(_AdamLike):
    """Adam with the infinity norm (Kingma & Ba 2015). Settings and numbers as `torch.optim.Adamax`."""

    rule_name = "adamax"
    defaults_ = {**_ADAM, "lr": 2e-3, "maximize": False}
    state_names = {"m": "exp_avg", "u": "exp_inf"}


class NAdam(_AdamLike):
    """Adam with Nesterov momentum (Dozat 2016). Settings and numbers as `torch.optim.NAdam`."""

    rule_name = "nadam"
    defaults_ = {
        **_ADAM,
        "lr": 2e-3,
        "momentum_decay": 4e-3,
        "decoupled_weight_decay": False,
        "maximize": False,
    }

    @classmethod
    def read(cls, group: Group) -> Read:
        rule, values = super().read(group)
        return rule, {**values, "momentum_decay": group["momentum_decay"]}


class Adagrad(RuleOptimizer):
    """Adagrad (Duchi et al. 2011). Settings and numbers as `torch.optim.Adagrad`."""

    defaults_ = {
        "lr": 1e-2,
        "lr_decay": 0.0,
        "weight_decay": 0.0,
        "initial_accumulator_value": 0.0,
        "eps": 1e-10,
        "maximize": False,
    }
    state_names = {"s": "sum"}

    @classmethod
    def read(cls, group: Group) -> Read:
        values = _plain(group, "lr", "lr_decay", "eps", "initial_accumulator_value")
        return _with_l2(get("adagrad"), values, group)


class RMSprop(RuleOptimizer):
    """RMSProp (Tieleman & Hinton 2012), epsilon outside the root. Settings and numbers as `torch.optim.RMSprop`."""

    defaults_ = {
        "lr": 1e-2,
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "centered": False,
        "maximize": False,
    }
    state_names = {"v": "square_avg", "g_avg": "grad_avg", "b": "momentum_buffer"}

    @classmethod
    def read(cls, group: Group) -> Read:
        name = "rmsprop" + ("_centered" if group["centered"] else "")
        values = _plain(group, "lr", "alpha", "eps")
        if group["momentum"]:
            return _with_l2(get(f"{name}_momentum"), {**values, "momentum": group["momentum"]}, group)
        return _with_l2(get(name), values, group)


class Adadelta(RuleOptimizer):
    """Adadelta (Zeiler 2012). Settings and numbers as `torch.optim.Adadelta`."""

    defaults_ = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0, "maximize": False}
    state_names = {"v": "square_avg", "u": "acc_delta"}

    @classmethod
    def read(cls, group: Group) -> Read:
        return _with_l2(get("adadelta"), _plain(group, "lr", "rho", "eps"), group)


class Rprop(RuleOptimizer):
    """Rprop (Riedmiller & Braun 1993), for full batches. Settings and numbers as `torch.optim.Rprop`."""

    defaults_ = {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0), "maximize": False}
    state_names = {"g_prev": "prev", "size": "step_size"}

    @classmethod
    def refuse(cls, group: Group) -> None:
        if not 0 < group["etas"][0] < 1 < group["etas"][1]:
            raise InputError(
                f"etas={group['etas']!r} is not allowed for Rprop: the first must be below 1, the second above."
            )

    @classmethod
    def read(cls, group: Group) -> Read:
        (eta_minus, eta_plus), (low, high) = group["etas"], group["step_sizes"]
        values = {"eta_minus": eta_minus, "eta_plus": eta_plus, "size_min": low, "size_max": high}
        return get("rprop"), {"lr": group["lr"], **values}


class Adafactor(RuleOptimizer):
    """Adafactor (Shazeer & Stern 2018), as in PyTorch. Settings and numbers as `torch.optim.Adafactor`.

    `eps=(None, ...)` is the rounding error of the group's first parameter's type.
    """

    defaults_ = {
        "lr": 1e-2,
        "beta2_decay": -0.8,
        "eps": (None, 1e-3),
        "d": 1.0,
        "weight_decay": 0.0,
        "maximize": False,
    }
    state_names = {"r": "row_var", "c": "col_var", "v": "variance"}

    @classmethod
    def read(cls, group: Group) -> Read:
        eps1, eps2 = group["eps"]
        if eps1 is None:
            params = group.get("params", ())
            known = isinstance(params, list) and params and isinstance(params[0], Tensor)
            eps1 = torch.finfo(params[0].dtype if known else torch.float32).eps
        return get("adafactor"), {
            **_plain(group, "lr", "beta2_decay", "d", "weight_decay"),
            "eps1": eps1,
            "eps2": eps2,
        }


class Muon(RuleOptimizer):
    """Muon (Jordan et al. 2024). Settings and numbers as `torch.optim.Muon`, which takes matrices alone.

    AdamW steps all that has fewer than two dimensions, at the group's rate: give `adjust_lr_fn="match_rms_adamw"`, with
    which one rate serves both, or such parameters a group with a rate of its own. A group with `elementwise=True`
    (embeddings, output layers) is AdamW's whole. Tensors of more dimensions are matrices of their first by all others.
    """

    defaults_ = {
        "lr": 1e-3,
        "weight_decay": 0.1,
        "momentum": 0.95,
        "nesterov": True,
        "ns_coefficients": (3.4445, -4.7750, 2.0315),
        "eps": 1e-7,
        "ns_steps": 5,
        "adjust_lr_fn": None,
        "maximize": False,
    }
    state_names = {"m": "momentum_buffer"}

    @classmethod
    def refuse(cls, group: Group) -> None:
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise InputError(
                f"adjust_lr_fn={group['adjust_lr_fn']!r} is not allowed for Muon; allowed: None, 'original', "
                "'match_rms_adamw'."
            )

    @classmethod
    def read(cls, group: Group) -> Read:
        rule = _of_any_size("muon")
        values = _plain(group, "lr", "weight_decay", "momentum", "nesterov", "ns_steps")
        values |= dict(zip(("ns_a", "ns_b", "ns_c"), group["ns_coefficients"], strict=True))
        values |= {"ns_eps": group["eps"], "match_rms": group["adjust_lr_fn"] == "match_rms_adamw"}
        values |= dict(zip(("beta1", "beta2"), group.get("betas", ()), strict=False))
        return rule, {**rule.defaults, **values}


@lru_cache(maxsize=None)
def _of_any_size(name: str) -> Rule:
    return replace(get(name), largest=None)


class SparseAdam(_AdamLike):
    """Adam for sparse gradients, lazily. Settings and numbers as `torch.optim.SparseAdam`; takes dense ones too."""

    rule_name = "sparse_adam"
    defaults_ = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "maximize": False}

    @classmethod
    def read(cls, group: Group) -> Read:
        return super().read({**group, "weight_decay": 0.0})


class ASGD(RuleOptimizer):
    """Averaged SGD (Polyak & Juditsky 1992), the average in `ax`. Settings and numbers as `torch.optim.ASGD`."""

    defaults_ = {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0.0, "maximize": False}

    @classmethod
    def read(cls, group: Group) -> Read:
        return _with_l2(get("asgd"), _plain(group, "lr", "lambd", "alpha", "t0"), group)
