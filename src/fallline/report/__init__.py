"""Reports: a result told so that a reader can act on it, and can check it.

The answer comes first, in a sentence or two; everything after it is there to be trusted or doubted. A report
reads a result and computes nothing, so what it shows is what the record holds:

- `write(result, "report.html")` is the page: one file that opens anywhere, with no network;
- `figure(result, "comparison.pdf")` is the ranking and the learning curves for a paper;
- `check()` says early that a package is missing;
- a new picture is one decorated function in a file of `report/pictures/`; the page finds it.

Plotly, Matplotlib and Jinja come with `pip install 'fallline[report]'` and are imported where they are used.
"""

from __future__ import annotations

from .figure import figure
from .files import check
from .page import write

__all__ = ["check", "figure", "write"]
