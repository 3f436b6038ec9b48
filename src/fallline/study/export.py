"""A study's trials as a table, for other tools: one row a trial, or one row a point of its curve.

    result.frame()                                   # pandas
    save(columns(result), "parquet", path)           # also csv and json
    to_optuna(result, "sqlite:///optuna.db")         # what optuna-dashboard opens

A hyper-parameter's column has its name (`lr`, `beta1`, `width`); where that is taken, `setting_` or `own_` stands
before it. Versions are `torch_version`, what is known of the machine is `machine_cores`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .record.curve import COLUMNS, Curve, pack
from .result import Result, TrialRecord
from .to_optuna import to_optuna as to_optuna

if TYPE_CHECKING:
    import pandas

Columns = dict[str, list[Any]]

_FIRST = ("study", "rule", "kind", "number", "seed", "state")
_OUTCOME: dict[str, Callable[[TrialRecord], Any]] = {
    "score": lambda t: t.score,
    "valid_loss": lambda t: t.valid_loss,
    "test_metric": lambda t: t.test_metric,
    "test_loss": lambda t: t.test_loss,
    "epochs": lambda t: t.last.epoch,
    "steps": lambda t: t.steps,
    "seconds": lambda t: t.seconds,
    "step_seconds": lambda t: t.step_seconds,
    "started": lambda t: t.started,
    "reason": lambda t: t.reason,
}


def columns(result: Result) -> Columns:
    """The trials, a row each, by rule (the best first), kind and number. `score` is the final validation metric."""
    trials = _trials(result)
    table = _identity(result, trials)
    table |= {name: [value(t) for t in trials] for name, value in _OUTCOME.items()}
    table |= _named(trials, lambda t: t.versions, lambda name: f"{name}_version")
    return table | _named(trials, lambda t: t.machine, lambda name: f"machine_{name}")


def curve_columns(result: Result) -> Columns:
    """The points of the trials' curves, a row each, with what tells the trials apart repeated in every row."""
    trials = _trials(result)
    curves = [t.curve if isinstance(t.curve, Curve) else Curve(pack(t.curve)) for t in trials]
    table = {
        name: [value for value, curve in zip(values, curves, strict=True) for _ in range(len(curve))]
        for name, values in _identity(result, trials).items()
    }
    return table | {name: [value for curve in curves for value in curve.values(name)] for name in COLUMNS}


def frame(result: Result, curves: bool = False) -> pandas.DataFrame:
    """The trials as a DataFrame, a row each; with `curves` the points of their curves.

    Raises `InputError` when pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise _missing("a data frame", error) from None
    return pandas.DataFrame(curve_columns(result) if curves else columns(result))


def save(table: Columns, form: str, path: Path) -> None:
    """Write a table as "parquet", "csv" or "json" (a list of objects; numbers that are not finite become null)."""
    _FORMS[form](table, path)


def check_form(form: str) -> None:
    """Raises `InputError` for a form that cannot be written, or not with what is installed."""
    if form not in _FORMS:
        raise InputError(f"format {form!r} is not allowed; allowed are {', '.join(_FORMS)} and optuna.")
    if form == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise _missing("parquet", error) from None


def hyper_columns(trials: Iterable[TrialRecord]) -> tuple[dict[str, str], dict[str, str]]:
    """The columns of the rules' hyper-parameters and of the problem's own, by their names."""
    trials = list(trials)
    settings = dict.fromkeys(name for t in trials for name in t.settings)
    own = dict.fromkeys(name for t in trials for name in t.own)
    others = {*_FIRST, *_OUTCOME, *COLUMNS}
    of_rules = {name: f"setting_{name}" if name in others else name for name in settings}
    taken = others | set(of_rules.values())
    return of_rules, {name: f"own_{name}" if name in taken else name for name in own}


def _trials(result: Result) -> list[TrialRecord]:
    return [t for rule in result.rules for t in (*rule.search, *rule.tuned, *rule.default)]


def _identity(result: Result, trials: Sequence[TrialRecord]) -> Columns:
    settings, own = hyper_columns(trials)
    return {
        "study": [result.study.id] * len(trials),
        **{name: [getattr(t, name) for t in trials] for name in _FIRST[1:]},
        **_named(trials, lambda t: t.settings, settings.__getitem__),
        **_named(trials, lambda t: t.own, own.__getitem__),
    }


def _named(
    trials: Sequence[TrialRecord], values: Callable[[TrialRecord], Mapping[str, Any]], column: Callable[[str], str]
) -> Columns:
    """A column for every name that any trial has a value of; None for the others."""
    names = dict.fromkeys(name for t in trials for name in values(t))
    return {column(name): [values(t).get(name) for t in trials] for name in names}


def _to_parquet(table: Columns, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({name: _array(pyarrow, v) for name, v in table.items()}), path)


def _array(pyarrow: Any, values: list[Any]) -> Any:
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # of several types, such as a choice between 1 and "auto"
        return pyarrow.array([None if value is None else str(value) for value in values])


def _to_csv(table: Columns, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


def _to_json(table: Columns, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        before = "[\n"
        for row in zip(*table.values(), strict=True):
            finite = (None if isinstance(v, float) and not math.isfinite(v) else v for v in row)
            file.write(before + json.dumps(dict(zip(table, finite, strict=True)), allow_nan=False))
            before = ",\n"
        file.write("\n]\n" if before != "[\n" else "[]\n")


def _missing(what: str, error: ImportError) -> InputError:
    package = (error.name or "pandas").partition(".")[0]
    return InputError(f"{what} needs {package}; install it with: pip install 'fallline[export]'")


_FORMS: dict[str, Callable[[Columns, Path], None]] = {"parquet": _to_parquet, "csv": _to_csv, "json": _to_json}
