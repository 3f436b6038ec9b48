"""What each rule is compared with, a row a rule: all rule tests are generated from here and from the registry.

A new rule adds a row: a twin in `torch.optim` (`TWINS`), a class of another library (`tests/peers.py`), or, where none
is what the paper says, the paper in NumPy (`tests/papers/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.papers import PAPERS
from tests.peer import Peer
from tests.peers import PEERS

__all__ = [
    "ALMOST_SQUARE",
    "AMPLIFIED",
    "OTHERS",
    "PAPERS",
    "PEERS",
    "TRAINED_WITH",
    "TWINS",
    "VARIANTS",
    "Peer",
    "Twin",
]


@dataclass(frozen=True)
class Twin:
    """The class of `torch.optim` (and of `fallline.optim`) and the settings with which it is the rule."""

    cls: str
    settings: dict[str, Any] = field(default_factory=dict)
    takes: Callable[[Sequence[int]], bool] = lambda shape: True
    """Whether `torch.optim` can step a parameter of that shape."""

    def __str__(self) -> str:
        return f"{self.cls}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


def _matrices(shape: Sequence[int]) -> bool:
    return len(shape) == 2


def _not_empty(shape: Sequence[int]) -> bool:
    return 0 not in shape


TWINS = {
    "sgd": Twin("SGD"),
    "momentum": Twin("SGD", {"momentum": 0.9}),
    "nesterov": Twin("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": Twin("Adam"),
    "amsgrad": Twin("Adam", {"amsgrad": True}),
    "adamw": Twin("AdamW"),
    "adamax": Twin("Adamax"),
    "nadam": Twin("NAdam"),
    "radam": Twin("RAdam"),
    "adagrad": Twin("Adagrad"),
    "rmsprop": Twin("RMSprop"),
    "rmsprop_momentum": Twin("RMSprop", {"momentum": 0.9}),
    "rmsprop_centered": Twin("RMSprop", {"centered": True}),
    "rmsprop_centered_momentum": Twin("RMSprop", {"centered": True, "momentum": 0.9}),
    "adadelta": Twin("Adadelta"),
    "rprop": Twin("Rprop"),
    "asgd": Twin("ASGD"),
    "adafactor": Twin("Adafactor", takes=_not_empty),
    "muon": Twin("Muon", {"adjust_lr_fn": "match_rms_adamw"}, takes=_matrices),
}

VARIANTS = [
    Twin("SGD", {"momentum": 0.9, "dampening": 0.3}),
    Twin("SGD", {"weight_decay": 0.1, "maximize": True}),
    Twin("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    Twin("Adam", {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    Twin("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    Twin("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    Twin("AdamW", {"amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    Twin("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Twin("RAdam", {"weight_decay": 0.1, "betas": (0.8, 0.95)}),
    Twin("NAdam", {"weight_decay": 0.1, "momentum_decay": 1e-2}),
    Twin("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Twin("Adamax", {"weight_decay": 0.1}),
    Twin("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    Twin("RMSprop", {"weight_decay": 0.1, "alpha": 0.9}),
    Twin("Adadelta", {"rho": 0.5, "weight_decay": 0.1}),
    Twin("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1)}),
    Twin("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 20, "weight_decay": 0.1, "maximize": True}),
    Twin(
        "Adafactor",
        {"eps": (1e-4, 1e-2), "d": 1.5, "beta2_decay": -0.5, "weight_decay": 0.1, "maximize": True},
        _not_empty,
    ),
    Twin("Muon", takes=_matrices),
    Twin(
        "Muon",
        {"adjust_lr_fn": "original", "nesterov": False, "ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 3, "eps": 5.0},
        takes=_matrices,
    ),
]

OTHERS: dict[str, dict[str, float]] = {
    "lars": {"weight_decay": 0.0, "trust": 0.1},
    "lamb": {"weight_decay": 0.3},
    "dog": {"weight_decay": 0.1, "reps_rel": 1e-2},
    "ldog": {"weight_decay": 0.1, "reps_rel": 1e-2},
    "qhadam": {"nu1": 0.4, "nu2": 0.6},
    "sophia": {"every": 1},
    "shampoo": {"precondition_frequency": 4},
    "soap": {"precondition_frequency": 3, "weight_decay": 0.1},
    "psgd": {"precondition_frequency": 2, "seed": 3},
    "galore": {"rank": 2, "update_proj_gap": 7, "weight_decay": 0.1},
    "apollo_adamw": {"rank": 2, "update_proj_gap": 7, "scale": 0.5, "weight_decay": 0.1},
    "adafactor_momentum": {"eps1": 1e-2, "eps2": 1.0, "d": 1.5},
    "adamp": {"eps": 0.1, "delta": 1.0, "weight_decay": 0.1},
    "adapnm": {"eps": 0.1, "beta0": 0.5},
    "dadapt_sgd": {"d0": 1e-2, "weight_decay": 0.1},
    "mars": {"eps": 0.1},
    "prodigy": {"d0": 1e-2, "eps": 0.1, "weight_decay": 0.1},
}
"""Settings with which a rule is compared with its paper once more."""

AMPLIFIED = {"shampoo": 1e5}
"""By how much rounding errors grow in a rule: Shampoo divides by eigenvalues that are nothing but its eps."""

ALMOST_SQUARE = {"soap"}
"""Rules of eigenbases, which one gradient determines only where a matrix is square or lacks one row or column."""

_RATES = {
    10.0: "lars",
    1.0: "pnm",
    0.3: "accsgd asgd sgd",
    0.1: "adafactor adafactor_momentum adamuon aggmo apollo_adamw classical_momentum galore momentum muon nesterov "
    "nesterov_lookahead normuon radam ranger schedule_free_radam sgdp sgdw",
    0.03: "lamb psgd schedule_free_adamw scion scion_unconstrained soap",
    0.01: "adabound adam adam_epsilon_hat adam_mini adam_mini_tensor adamax adamp adamw adan adapnm ademamix adopt "
    "amsbound amsgrad grams laprop lion mars_lion qhadam signsgd signum sophia sparse_adam stable_adamw tiger",
}
TRAINED_WITH: dict[str, dict[str, Any]] = {
    **{name: {"lr": rate} for rate, names in _RATES.items() for name in names.split()},
    "dadapt_adam": {"lr": 0.3, "d0": 1e-3},
    "dadapt_sgd": {"lr": 0.3, "d0": 1e-3},
    "dog": {"reps_rel": 1e-2},
    "ldog": {"reps_rel": 1e-2},
}
"""The settings with which a rule's class trains the small problem of `tests/rules/test_training.py`, in sixty steps."""
