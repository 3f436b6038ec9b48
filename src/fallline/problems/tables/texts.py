"""Text that holds numbers or dates."""

from __future__ import annotations

from typing import Any

_MOST = 0.95
"""Share of a text column's values that must be numbers (or dates) for it to count as a column of these."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THOUSANDS = r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?"
_DECIMAL_COMMA = r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+"
_AROUND = r"^[$€£¥\s]+|[%$€£¥\s]+$"
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")
_FORMS = tuple(f"{date}{time}" for date in _DATES for time in _TIMES)
_SAMPLE = 50
"""Values that every form of dates is tried on; one that reads few of them is not tried on the rest."""


def numbers(texts: Any) -> tuple[Any, str] | None:
    """A Series of texts as numbers, NaN where one is none, and what to know of it; None if they are not numbers.

    Currency and percent signs around a number are passed over, and commas between groups of three digits, unless some
    number shows that a comma stands for the decimal point.
    """
    import pandas as pd

    known = texts.dropna().str.replace(_AROUND, "", regex=True)
    if known.empty:
        return None
    thousands = known.str.fullmatch(_THOUSANDS)
    comma = known.str.fullmatch(_DECIMAL_COMMA)
    notes = []
    if bool((comma & ~thousands).any()):
        plain = known.where(~comma, known.str.replace(".", "").str.replace(",", "."))
        notes.append("commas are decimal points")
    else:
        plain = known.where(~thousands, known.str.replace(",", ""))
        if bool(thousands.any()):
            notes.append("commas separate thousands")
    right = plain.str.fullmatch(_NUMBER)
    if right.mean() < _MOST:
        return None
    values = pd.to_numeric(plain.where(right), errors="coerce").astype("float64")
    return values.reindex(texts.index), ", ".join(
        [*notes, *_wrong(texts[~right.reindex(texts.index, fill_value=True)])]
    )


def dates(texts: Any) -> tuple[Any, str] | None:
    """A Series of texts as dates, NaT where one is none, and what to know of it; None if they are not dates.

    Of the forms that read most of the values the first is taken: a month stands before a day where both would fit.
    """
    known = texts.dropna()
    sample = known.iloc[:_SAMPLE]
    likely = [form for form in _FORMS if _parsed(sample, form).notna().mean() >= 0.5]
    read = {form: _parsed(known, form) for form in likely}
    counts = {form: int(values.notna().sum()) for form, values in read.items()}
    most = max(counts.values(), default=0)
    if most < max(1, _MOST * len(known)):
        return None
    form, *others = [form for form in likely if counts[form] == most]
    notes = [f"read as {form}" + (f", though {' or '.join(others)} would fit too" if others else "")]
    wrong = texts[read[form].isna().reindex(texts.index, fill_value=False)]
    return read[form].reindex(texts.index), ", ".join([*notes, *_wrong(wrong)])


def _parsed(texts: Any, form: str) -> Any:
    import pandas as pd

    return pd.to_datetime(texts, format=form, errors="coerce")


def _wrong(texts: Any) -> list[str]:
    if texts.empty:
        return []
    shown = ", ".join(repr(text) for text in list(dict.fromkeys(texts))[:3])
    return [f"{len(texts)} of its rows ({shown}) count as missing"]
