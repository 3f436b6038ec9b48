"""For a rule, the classes of pytorch_optimizer, optimi and HeavyBall that are it, or that do the same kind of work.

Tests compare with them and the benchmark times them; `torch.optim`'s classes are the `TWINS` of `tests/database.py`.

`tolerance` is how nearly both arrive at the same place after 25 steps in float64, as a share of the way that they have
come; None says that the class is close enough to be timed beside the rule, and the note why its numbers are others. A
row names only what differs from the defaults of the class and of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tests.peer import Peer


def _po(name: str, theirs: Mapping[str, Any] | None = None, ours: Mapping[str, Any] | None = None, **said: Any) -> Peer:
    return Peer(f"pytorch_optimizer.{name}", theirs or {}, ours or {}, **said)


def _optimi(
    name: str, theirs: Mapping[str, Any] | None = None, ours: Mapping[str, Any] | None = None, **said: Any
) -> Peer:
    return Peer(f"optimi.{name}", theirs or {}, ours or {}, **said)


def _heavyball(
    name: str, theirs: Mapping[str, Any] | None = None, ours: Mapping[str, Any] | None = None, **said: Any
) -> Peer:
    return Peer(f"heavyball.{name}", theirs or {}, ours or {}, **{"tolerance": None, **said})


def _by_use(params: Sequence[torch.nn.Parameter]) -> list[dict[str, Any]]:
    """Matrices for Muon and the rest for AdamW, at one rate and with one decay."""
    both = {use: [p for p in params if (p.ndim >= 2) is use] for use in (True, False)}
    both_alike = {"lr": 1e-3, "weight_decay": 0.1}
    return [{"params": some, "use_muon": use, **both_alike} for use, some in both.items() if some]


def _low_rank(params: Sequence[torch.nn.Parameter]) -> list[dict[str, Any]]:
    return [{"params": params, "rank": 3, "update_proj_gap": 200, "scale": 0.25, "projection_type": "std"}]


def _from_the_second_step(step: int) -> float:
    """ADOPT's bound, whose first step is the class's second."""
    return float((step - 1) ** 0.25)


def _without_estimate(optimizer: Any) -> None:
    """Leave the Hessian to others, as the rule does; it is zero then."""
    optimizer.compute_hutchinson_hessian = lambda **given: None


_ROOT = "adds 1e-15 under the root"
_SINGLE = "computes in float32"

PEERS: dict[str, list[Peer]] = {
    "accsgd": [_po("AccSGD")],
    "adabelief": [_po("AdaBelief")],
    "adabound": [_po("AdaBound", tolerance=1e-9, note=_ROOT)],
    "adadelta": [_po("AdaDelta")],
    "adafactor": [
        _po("AdaFactor", {"betas": (None, 0.999)}, tolerance=None, note="adds its epsilon to the squared gradients")
    ],
    "adafactor_momentum": [
        _po("AdaFactor", {"momentum_dtype": torch.float32}, tolerance=1e-5, note="keeps momentum in float32")
    ],
    "adam": [
        _optimi("Adam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}),
        _heavyball("AdamW", {"lr": 1e-3, "betas": (0.9, 0.999)}, tolerance=1e-4, note=_SINGLE),
    ],
    "adam_mini_tensor": [
        _po("AdamMini", {"lr": 1e-3, "weight_decay": 0.0}, of_model=True, tolerance=1e-4, note=_SINGLE)
    ],
    "adam_mini": [
        _po(
            "AdamMini",
            {"lr": 1e-3, "weight_decay": 0.0},
            of_model=True,
            tolerance=None,
            note="one second moment for a matrix, where it is not named as a part of attention",
        )
    ],
    "adamax": [_po("AdaMax", {"lr": 2e-3})],
    "adamp": [
        _po(
            "AdamP",
            {"eps": 0.0, "weight_decay": 0.1, "delta": 1.0},
            {"eps": 0.0, "weight_decay": 0.1, "delta": 1.0},
        )
    ],
    "adamuon": [_po("AdaMuon", groups=_by_use, tolerance=None, note="orthogonalizes momentum, not its sign")],
    "adamw": [
        _optimi("AdamW", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}),
        _heavyball("AdamW", {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 1e-2}, tolerance=1e-4, note=_SINGLE),
    ],
    "adan": [
        _po("Adan", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
        _optimi("Adan", {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0}),
    ],
    "adapnm": [_po("AdaPNM", {"eps": 0.0}, {"eps": 0.0}, tolerance=1e-9, note=_ROOT)],
    "ademamix": [
        _po("AdEMAMix", {"t_alpha_beta3": 10}, {"alpha_warmup": 10, "beta3_warmup": 10}),
        _heavyball("AdEMAMix", {"alpha": 5.0}, tolerance=1e-4, note=_SINGLE),
    ],
    "adopt": [
        _po("ADOPT", {"clip_lambda": _from_the_second_step}),
        _heavyball("ADOPT", note="clips nothing"),
    ],
    "aggmo": [_po("AggMo")],
    "amsbound": [_po("AdaBound", {"ams_bound": True}, tolerance=1e-9, note=_ROOT)],
    "apollo": [_po("ApolloDQN", {"lr": 1e-2, "init_lr": 1e-2, "warmup_steps": 1})],
    "apollo_adamw": [
        _po(
            "APOLLO",
            {"scale_type": "channel"},
            {"rank": 3},
            groups=_low_rank,
            dimensions=2,
            most_dimensions=2,
            tolerance=None,
            note="scales the projected gradient",
        )
    ],
    "came": [_po("CAME")],
    "dadapt_adam": [
        _po(
            "DAdaptAdam",
            {"d0": 1e-2, "weight_decay": 0.1, "weight_decouple": True},
            {"d0": 1e-2, "weight_decay": 0.1},
        )
    ],
    "dadapt_sgd": [
        _po(
            "DAdaptSGD",
            {"d0": 1e-2, "weight_decay": 0.1},
            {"d0": 1e-2, "weight_decay": 0.1},
            tolerance=1e-5,
            note="sums the first gradient's norm in float32",
        )
    ],
    "galore": [
        _po(
            "GaLore",
            {"lr": 1e-3, "eps": 0.0},
            {"rank": 3, "eps": 0.0},
            groups=_low_rank,
            dimensions=2,
            most_dimensions=2,
            tolerance=1e-5,
            note="decomposes in float32",
        )
    ],
    "grams": [_po("Grams")],
    "lamb": [
        _po(
            "Lamb",
            {"weight_decay": 1e-2},
            tolerance=None,
            note="neither corrects the second moment nor decays in the norm",
        )
    ],
    "laprop": [
        _po("LaProp", tolerance=1e-7, note=_ROOT),
        _heavyball("LaProp", {"lr": 4e-4, "betas": (0.9, 0.999)}, tolerance=1e-4, note=_SINGLE),
    ],
    "lars": [_po("LARS", {"lr": 1.0, "weight_decay": 5e-4}, dimensions=2)],
    "lion": [_po("Lion"), _optimi("Lion", {"lr": 1e-4})],
    "madgrad": [_po("MADGRAD", {"lr": 1e-2 - 1e-6}, note="adds epsilon to the rate")],
    "mars": [_po("MARS", {"optimize_1d": True, "eps": 0.0}, {"eps": 0.0}, tolerance=1e-9, note=_ROOT)],
    "mars_lion": [_po("MARS", {"optimize_1d": True, "mars_type": "lion", "lr": 3e-4})],
    "momentum": [
        _po("SGDW", {"lr": 1e-3, "momentum": 0.9}),
        _optimi("SGD", {"lr": 1e-3, "momentum": 0.9}),
        _heavyball("SGD", {"lr": 1e-3}, tolerance=1e-4, note=_SINGLE),
    ],
    "muon": [
        _po(
            "Muon",
            {"use_adjusted_lr": True, "adamw_betas": (0.9, 0.999), "adamw_eps": 1e-8},
            groups=_by_use,
        ),
        _heavyball("MuonAdamW", {"lr": 1e-3, "weight_decay": 0.1}, note="keeps its rate for every shape"),
    ],
    "nadam": [_heavyball("NAdam", tolerance=1e-4, note=_SINGLE)],
    "nesterov": [_po("SGDW", {"lr": 1e-3, "momentum": 0.9, "nesterov": True})],
    "normuon": [
        _po(
            "NorMuon",
            {"nesterov": False, "update_scale": "match_rms", "adamw_betas": (0.9, 0.95)},
            {"eps": 1e-10, "weight_decay": 0.1},
            groups=_by_use,
        )
    ],
    "novograd": [_po("NovoGrad", {"lr": 1e-2, "weight_decay": 1e-3})],
    "pnm": [_po("PNM")],
    "prodigy": [
        _po("Prodigy", {"d0": 1e-2, "eps": 0.0, "weight_decay": 0.1}, {"d0": 1e-2, "eps": 0.0, "weight_decay": 0.1})
    ],
    "psgd": [
        _po("Kron", {"pre_conditioner_update_probability": 1.0}, tolerance=None, note="draws other probes"),
        _heavyball("PSGDKron", note="draws other probes"),
    ],
    "qhadam": [
        _po(
            "QHAdam",
            {"betas": (0.995, 0.999), "nus": (0.7, 1.0)},
            tolerance=1e-6,
            note="keeps the corrections in float32",
        )
    ],
    "qhm": [_po("QHM", {"lr": 1.0, "momentum": 0.999, "nu": 0.7})],
    "radam": [
        _po("RAdam", {"degenerated_to_sgd": True}),
        _optimi("RAdam", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0.0}, {"eps": 0.0}),
    ],
    "ranger": [
        _po("Ranger", {"degenerated_to_sgd": True}),
        _optimi(
            "Ranger",
            {"lr": 1e-3, "betas": (0.95, 0.999), "eps": 1e-5},
            tolerance=None,
            note="centers no gradients",
        ),
    ],
    "rmsprop": [_heavyball("RMSprop", {"lr": 1e-2}, note="corrects the second moment")],
    "schedule_free_adamw": [
        _po(
            "ScheduleFreeAdamW",
            {"weight_decay": 0.1, "warmup_steps": 5},
            {"weight_decay": 0.1, "warmup_steps": 5},
        ),
        _heavyball("SFAdamW", {"betas": (0.9, 0.999)}, tolerance=1e-4, note=_SINGLE),
    ],
    "schedule_free_radam": [_po("ScheduleFreeRAdam", {"weight_decay": 0.1}, {"weight_decay": 0.1})],
    "schedule_free_sgd": [
        _po("ScheduleFreeSGD", {"weight_decay": 0.1, "warmup_steps": 5}, {"weight_decay": 0.1, "warmup_steps": 5})
    ],
    "scion": [_po("SCION", {"constraint": True}, {"radius": 1.0}, most_dimensions=2)],
    "scion_unconstrained": [
        _po("SCION", {}, {"radius": 1.0}, most_dimensions=2),
        _heavyball("Scion", {"lr": 1e-3}, note="takes other lengths of its steps"),
    ],
    "sgd": [_po("SGDW", {"lr": 1e-3}), _optimi("SGD", {"lr": 1e-3})],
    "sgdp": [_po("SGDP", {"momentum": 0.9, "weight_decay": 0.01, "delta": 1.0}, {"weight_decay": 0.1, "delta": 1.0})],
    "sgdw": [
        _po("SGDW", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}),
        _optimi("SGD", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "decouple_wd": True}),
    ],
    "shampoo": [
        _po(
            "Shampoo",
            {"lr": 1e-1},
            dimensions=2,
            most_dimensions=2,
        )
    ],
    "signsgd": [_po("SignSGD", {"momentum": 0.0})],
    "signum": [_po("SignSGD", {"lr": 1e-4})],
    "sm3": [_po("SM3", most_dimensions=2)],
    "soap": [
        _po(
            "SOAP",
            {"weight_decay": 0.0, "max_precondition_dim": 2048},
            {"weight_decay": 0.0},
            dimensions=2,
            most_dimensions=2,
            tolerance=1e-4,
            note="orthogonalizes in float32",
        ),
        _heavyball("SOAP", {"betas": (0.95, 0.95), "precondition_frequency": 10}, note="keeps bases in float32"),
    ],
    "sophia": [_po("SophiaH", ours={"eps": 1e-14}, prepare=_without_estimate)],
    "stable_adamw": [_po("StableAdamW", {"eps": 1e-6}), _optimi("StableAdamW", {"lr": 1e-3, "triton": False})],
    "tiger": [_po("Tiger", {"weight_decay": 0.0})],
    "yogi": [_po("Yogi", tolerance=None, note="corrects both moments, and starts the first one too at 1e-6")],
}
