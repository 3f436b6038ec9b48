"""What recipes refuse, and in which words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import InputError
from fallline.optim import recipes
from tests.optim.recipes.models import ResNet


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: recipes.no_decay("resnet"), "model='resnet' is not allowed; a torch.nn.Module is needed"),
        (lambda m: recipes.no_decay(nn.ReLU()), "the model has no parameters"),
        (lambda m: recipes.no_decay(nn.LazyLinear(3)), "weight of the model has no shape yet; run one batch"),
        (lambda m: recipes.no_decay(m, -0.1), "weight_decay=-0.1 is not allowed for no_decay; allowed: at least 0"),
        (
            lambda m: recipes.no_decay(m, also=["layer3"]),
            "also has 'layer3', which names nothing.*It has layer",
        ),
        (lambda m: recipes.no_decay(m, also=[3]), "also has 3; paths of modules or parameters are needed"),
        (lambda m: recipes.no_decay(m.requires_grad_(False)), "no parameter of the model takes a gradient"),
        (
            lambda m: recipes.no_decay(m, within=[{"params": [torch.ones(2, 3)]}]),
            r"tensor of shape \(2, 3\)",
        ),
        (lambda m: recipes.no_decay(m, within=[m.fc.weight]), "parameter groups, dictionaries with 'params'"),
        (lambda m: recipes.layerwise_decay(m), "lr is needed for layerwise_decay"),
        (lambda m: recipes.layerwise_decay(m, -1), "lr=-1 is not allowed for layerwise_decay"),
        (
            lambda m: recipes.layerwise_decay(m, 1, 1.1),
            "decay=1.1 is not allowed for layerwise_decay",
        ),
        (lambda m: recipes.layerwise_decay(m, 1, 0), "decay=0 is not allowed"),
        (lambda m: recipes.layerwise_decay(m, 1, layers=["fc"]), "layers names no layer for stem.weight"),
        (lambda m: recipes.layerwise_decay(m, 1, layers=["", "fd"]), "layers has 'fd', which names nothing"),
        (lambda m: recipes.layerwise_decay(m, 1, layers=lambda _: None), "layers gave None for stem.weight"),
        (
            lambda m: recipes.discriminative(m, 1, 0.5),
            "factor=0.5 is not allowed for discriminative",
        ),
        (lambda m: recipes.discriminative(m, {"fc": 1}), "lr has no rate for stem.weight"),
        (lambda m: recipes.discriminative(m, {"fc": -1}), "lr=-1 is not allowed for discriminative, 'fc'"),
        (lambda m: recipes.split_matrices(m, head="fd"), "head has 'fd', which names nothing"),
        (lambda m: recipes.freeze(m, "layer3"), "selectors has 'layer3', which names nothing"),
        (lambda m: recipes.Unfreezing(m, every=0), "every=0 is not allowed for Unfreezing"),
        (lambda m: recipes.Unfreezing(m.requires_grad_(False)), "nothing is to unfreeze"),
        (lambda m: recipes.Unfreezing(m).step(-1), "epoch=-1 is not allowed for Unfreezing"),
        (lambda m: recipes.Unfreezing(m).load_state_dict({}), "the state of Unfreezing needs 'epoch'"),
    ],
)
def test_a_mistake_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make(ResNet())
