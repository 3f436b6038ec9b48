"""Dozens of trials of one model as one program.

Trials of one model differ in numbers, not in what is done with them. So their parameters are stacked along a leading
trial axis, the model is run once for all by `torch.func`'s vectorizing map, and one backward pass gives the gradients
of all. What the map leaves slow on a CPU is done by a *form*: a layer's function written for stacked tensors.

    losses = over_trials(loss_of_one_trial, in_dims=(0, 0, 0, 0), draws=draws)(params, buffers, x, y)
    losses.sum().backward()

- A new form is a decorated function in a file of `layers` (see `form`); nothing else names it.
- `Draws` holds a stream of random numbers for each trial, so that dropout in the stack is that of the trial alone.
- `CannotStack` says, for the user, what a model does that cannot be done for many trials at once.
"""

from __future__ import annotations

from .compiled import without_machine_code
from .draws import Draws
from .over import over_trials
from .refusal import CannotStack

__all__ = ["CannotStack", "Draws", "over_trials", "without_machine_code"]
