"""Per-layer recipes: the parameter groups that people write by hand.

A recipe takes a model and gives a list of parameter groups, for any optimizer of `fallline.optim` or `torch.optim`. It
says of every parameter to which part it belongs and which settings that part gets; what belongs together is a group
with a readable `name`. Given groups (`within=`), a recipe splits those, so recipes compose. Where two set the same, the
later one counts; rates by depth scale the rates that are there:

    groups = recipes.no_decay(model, weight_decay=0.05)
    groups = recipes.layerwise_decay(model, lr=1e-3, decay=0.75, within=groups)
    optimizer = fallline.optim.AdamW(groups)

    groups = recipes.split_matrices(model, {"lr": 0.02}, rest={"lr": 3e-4, "betas": (0.9, 0.95)})
    optimizer = fallline.optim.Muon(groups)                      # AdamW for the rest

    optimizer = fallline.optim.AdamW(recipes.discriminative(model, lr=1e-3))
    unfreezing = recipes.Unfreezing(model)                       # only the last layer learns
    for epoch in range(epochs):
        unfreezing.step(epoch)                                   # one layer more

Parameters are named by *selectors*: a module's path (`encoder.layers.3`) names all that is in it, a parameter's path
(`pos_embed`) that one, and `*`, `?` and `[...]` stand for what they do in file names (`*.bias`). Every parameter is in
one group, also where several modules share it. What takes no gradient when a recipe is called (`requires_grad=False`)
is left out, so make the groups before you freeze what is to learn later.
"""

from __future__ import annotations

from .decay import no_decay
from .freezing import Unfreezing, freeze, unfreeze
from .layers import Layers, depths
from .matrices import split_matrices
from .parameters import Groups
from .rates import discriminative, layerwise_decay

__all__ = [
    "Groups",
    "Layers",
    "Unfreezing",
    "depths",
    "discriminative",
    "freeze",
    "layerwise_decay",
    "no_decay",
    "split_matrices",
    "unfreeze",
]
