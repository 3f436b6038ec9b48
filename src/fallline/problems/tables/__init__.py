"""Tables of the user's own: a CSV or Parquet file and the name of its target column make a problem.

    problem = load("houses.csv", target="price")           # or load("houses.csv:price")

A table goes through four steps, a file each: `read.py` makes typed columns of the file, `target.py` decides between
classification and regression, `features.py` learns from the training rows how each column becomes numbers, and
`build.py` puts a network on top. Nothing about a validation or test row enters what is learned: medians, means,
categories, vocabularies are those of the training rows. Every decision is said in `Problem.notes`.
"""

from __future__ import annotations

from .build import from_columns, from_file
from .read import is_table, split_target

__all__ = ["from_columns", "from_file", "is_table", "split_target"]
