"""Transfer learning: begin from weights that were learned on something else.

Any checkpoint is a mapping from names to tensors once it is read (`read.py`: ours, PyTorch's, safetensors), and a model
is another one; what has the same name and the same shape is loaded (`load_weights`). The head, which says the classes,
is the part that seldom fits: it is replaced (`replace_head`) or left fresh.

    model = resnet18()
    transfer.replace_head(model, classes=5)
    print(transfer.load_weights(model, "resnet18.pt"))           # what was loaded, what was not, and why

How the loaded layers learn is said by the recipes of `fallline.optim`, which take any model:

    recipes.freeze(model, "conv1", "layer1")                     # these stay as they are
    optimizer = fl.optim.AdamW(recipes.discriminative(model, lr=1e-3))   # earlier layers learn 2.6 times slower each
    unfreezing = recipes.Unfreezing(model)                       # only the head learns at first
    for epoch in range(epochs):
        unfreezing.step(epoch)                                   # one layer more
        ...

Trials of a problem do all of it by `problem.transferred("resnet18.pt", freeze="layer1", layer_factor=2.6)`
(`start.py`), which `compare(..., weights="resnet18.pt")` and `--from` of the command line come down to.
"""

from __future__ import annotations

from .head import head_of, replace_head
from .load import Report, load_weights
from .read import read
from .start import Start

__all__ = ["Report", "Start", "head_of", "load_weights", "read", "replace_head"]
