"""Which rule trains a problem best, at which settings, and how sure that is.

A study is a list of trials, a trial is a few values (rule, settings, seed, kind), and all that was ever trained is in
the record under those values. Whatever is said about a study is computed from the record, so it can be said again
later:

    result = compare("digits", ["sgd", "adamw", "lion"], trials=16, seeds=5, out="results")
    result = compare("digits", ["sgd", "adamw", "lion"], trials=32, seeds=5, out="results")   # trains the new half
    result = resume("results")                                                                # goes on after Ctrl-C
    result = Result.load("results")                                                           # trains nothing

Pure functions do the work: `search/` says which trials a study has, `findings/` turns trials into a result. Effects are
at the edges: `record/` is the database, `work` calls the training and shares it among processes, `conduct` leads from
one to the next.
"""

from __future__ import annotations

from .candidates import DEFAULT_RULES, load_rule
from .comparison import compare
from .range_test import LrRange, lr_range
from .result import Difference, Estimate, Result, RuleResult, Study, TrialRecord
from .resuming import resume
from .search.pruners import Halving, Hyperband

__all__ = [
    "DEFAULT_RULES",
    "Difference",
    "Estimate",
    "Halving",
    "Hyperband",
    "LrRange",
    "Result",
    "RuleResult",
    "Study",
    "TrialRecord",
    "compare",
    "load_rule",
    "lr_range",
    "resume",
]
