"""One look per rule, the same in every picture of a report: a colour, a line and a marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

# Okabe and Ito's palette without the yellow that vanishes on white and the black that vanishes at night, and with two
# colours that stay apart from it in simulated protanopia, deuteranopia and tritanopia.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#992233", "#9955FF")


@dataclass(frozen=True)
class Line:
    """A way to draw a line in Plotly's, SVG's and Matplotlib's words."""

    plotly: str
    svg: str
    matplotlib: str


_LINES = (
    Line("solid", "", "-"),
    Line("dash", "7 4", "--"),
    Line("dot", "2 3", ":"),
    Line("dashdot", "7 3 2 3", "-."),
)
_MARKERS = (("circle", "o"), ("square", "s"), ("diamond", "D"), ("triangle-up", "^"))


@dataclass(frozen=True)
class Look:
    """How a rule is drawn: colour, line, and the marker's name in Plotly and in Matplotlib."""

    colour: str
    line: Line
    symbol: str
    marker: str

    def wash(self, alpha: float) -> str:
        """The colour, let through."""
        red, green, blue = (int(self.colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},{alpha:g})"


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, in order. When the colours run out, line and marker change."""
    styles = [
        Look(colour, line, symbol, marker)
        for (line, (symbol, marker)), colour in product(zip(_LINES, _MARKERS, strict=True), _COLOURS)
    ]
    return {name: styles[i % len(styles)] for i, name in enumerate(names)}
