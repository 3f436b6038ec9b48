"""The learning-rate range test: training while the rate grows from step to step, and what that says of a good rate.

The rate grows exponentially from `low` to `high`, one value a mini-batch, and the loss is watched: flat where the rate
is too small to learn, falling where it learns, rising where it is too large (Smith 2017, arXiv:1506.01186, section 3.3;
Smith & Topin 2018, arXiv:1708.07120). The suggestion is a tenth of the rate at which the smoothed loss is lowest
(Gugger 2018, "How do you find a good learning rate"). Several seeds tell how far it can be trusted.

    found = lr_range("digits", "adamw")
    found.suggestion                    # Estimate(mean=0.0075, low=0.0062, high=0.0091, n=5)
    found.report("lr-range.html")

`curve` reads one sweep, `run` makes them, `result` holds what was found, `words` says it.
"""

from __future__ import annotations

from .curve import Sweep
from .result import LrRange
from .run import lr_range

__all__ = ["LrRange", "Sweep", "lr_range"]
