"""Samplers: which settings a search tries next.

A sampler is a function of a `Request` (the space, what was tried so far, how many are wanted, a seed) and of nothing
else, so a study that is gone on with asks for the settings that it had asked for:

    settings = propose("random", request)     # evenly over the space; a small budget is a prefix of a large one
    settings = propose("tpe", request)        # from what the batches before have found

A new sampler is a decorated function in `known.py`.
"""

from __future__ import annotations

from .known import SAMPLERS, Sampler, propose
from .request import Request, Tried

__all__ = ["SAMPLERS", "Request", "Sampler", "Tried", "propose"]
