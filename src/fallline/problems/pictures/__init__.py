"""Pictures of the user's own: a folder with one folder of pictures a class makes a problem.

    problem = load("flowers/")                 # flowers/rose/1.jpg, flowers/tulip/2.jpg, ...
    problem = load("flowers/")                 # flowers/train/rose/1.jpg, flowers/test/rose/7.jpg, ...

`folder.py` finds files, classes and splits, `survey.py` looks at all of them once and decides on a size and on grey or
colour, `source.py` turns one picture into numbers, and `build.py` keeps them in memory where they are few and reads
them from disk where they are many. Every decision is said in `Problem.notes`.
"""

from __future__ import annotations

from .build import from_folder, from_sources
from .source import Source

__all__ = ["Source", "from_folder", "from_sources"]
