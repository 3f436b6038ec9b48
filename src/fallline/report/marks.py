"""The marks that several pictures share: a dot with its interval, an arrow past the edge, a note."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .style import Look


def plain(text: str) -> str:
    """Text for Plotly, which reads a few tags: here it has none."""
    return escape(text, quote=False)


def reach(at: tuple[float, float, float], thickness: float, colour: str) -> dict[str, Any]:
    """The line through a marker from low to high; `at` is mean, low, high."""
    mean, low, high = at
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean],
        "arrayminus": [mean - low],
        "thickness": thickness,
        "width": 0,
        "color": colour,
    }


def dot(
    look: Look, at: tuple[float, float, float], y: float, hover: str, rule: str, *, filled: bool = True
) -> dict[str, Any]:
    """A marker at the mean with a line from low to high; `at` is mean, low, high."""
    return {
        "x": [at[0]],
        "y": [y],
        "error_x": reach(at, 2.4 if filled else 1.2, look.colour),
        "mode": "markers",
        "marker": {
            "symbol": look.symbol if filled else f"{look.symbol}-open",
            "size": 11 if filled else 9,
            "color": look.colour,
            "line": {"width": 1.5, "color": look.colour},
        },
        "hovertext": [hover],
        "hoverinfo": "text",
        "meta": rule,
    }


def beyond(left: bool, y: float, text: str) -> dict[str, Any]:
    """An arrow at the edge that a value lies beyond, with the value."""
    return {
        "xref": "paper",
        "x": 0.004 if left else 0.996,
        "xanchor": "left" if left else "right",
        "y": y,
        "text": f"◂ {text}" if left else f"{text} ▸",
        "showarrow": False,
        "font": {"size": 12},
    }


def note(y: float, text: str) -> dict[str, Any]:
    """Words in a row that has nothing to draw."""
    return {
        "xref": "paper",
        "x": 0.01,
        "xanchor": "left",
        "y": y,
        "text": f"<i>{text}</i>",
        "showarrow": False,
    }


def value(y: float, text: str) -> dict[str, Any]:
    """A number in the right margin."""
    return {"xref": "paper", "x": 1.015, "xanchor": "left", "y": y, "text": text, "showarrow": False}


def rows(names: Sequence[str]) -> dict[str, Any]:
    """A vertical axis with one named row each, the first on top."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [plain(name) for name in names],
        "range": [len(names) - 0.4, -0.6],
        "showgrid": False,
    }
