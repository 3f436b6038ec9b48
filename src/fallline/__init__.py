"""Fallline: which optimizer trains your own PyTorch model best, how sure is that, and how fast can a step be.

    opt = fallline.optim.AdamW(model.parameters(), lr=3e-4)          # drop-in
    result = fallline.compare("digits", rules=["sgd", "adamw"])      # a fair comparison
    result.report("report.html")
    run = fallline.train("digits", "adamw", schedule="warmup(5%) > cosine", out="runs/digits")

Everything named in `__all__` is public; it is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import augmentation as augmentation
    from . import averages as averages
    from . import ensembles as ensembles
    from . import kernels as kernels
    from . import layers as layers
    from . import models as models
    from . import optim as optim
    from . import penalties as penalties
    from . import problems as problems
    from . import rules as rules
    from . import schedules as schedules
    from . import transfer as transfer
    from .errors import FalllineError as FalllineError
    from .errors import InputError as InputError
    from .errors import RecordError as RecordError
    from .errors import RuleError as RuleError
    from .problems import Problem as Problem
    from .rules import modifier as modifier
    from .rules import rule as rule
    from .rules import where as where
    from .runs import Run as Run
    from .runs import train as train
    from .study import Result as Result
    from .study import compare as compare
    from .study import lr_range as lr_range
    from .study import resume as resume
    from .training import EarlyStopping as EarlyStopping

__version__ = "0.1.0"

_HOME = {
    "EarlyStopping": "training",
    "FalllineError": "errors",
    "InputError": "errors",
    "Problem": "problems",
    "RecordError": "errors",
    "Result": "study",
    "RuleError": "errors",
    "Run": "runs",
    "augmentation": "",
    "averages": "",
    "compare": "study",
    "ensembles": "",
    "kernels": "",
    "layers": "",
    "lr_range": "study",
    "models": "",
    "modifier": "rules",
    "optim": "",
    "penalties": "",
    "problems": "",
    "resume": "study",
    "rule": "rules",
    "rules": "",
    "schedules": "",
    "train": "runs",
    "transfer": "",
    "where": "rules",
}

__all__ = sorted(_HOME)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fallline' has no attribute {name!r}")
    home = _HOME[name]
    if not home:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
