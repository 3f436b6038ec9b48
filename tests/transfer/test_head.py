"""Heads found and replaced, and what learns after it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import optim, transfer
from fallline.errors import InputError
from fallline.optim import recipes


def test_the_last_layer_gets_as_many_outputs_as_there_are_classes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 10, bias=False, dtype=torch.float64))
    first = model[0].weight
    same = transfer.replace_head(model, 5)
    assert same is model
    assert model[0].weight is first
    head = model[2]
    assert (head.in_features, head.out_features, head.bias, head.weight.dtype) == (8, 5, None, torch.float64)


def test_a_head_of_convolutions_keeps_how_it_convolves():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 10, 1, stride=2, padding="valid"), nn.AdaptiveAvgPool2d(1))
    transfer.replace_head(model, 3)
    assert model(torch.randn(2, 3, 9, 9)).shape == (2, 3, 1, 1)
    assert model[1].stride == (2, 2)


def test_the_head_can_be_named_and_may_be_the_whole_model():
    model = nn.ModuleDict({"head": nn.Linear(4, 10), "body": nn.Linear(3, 4)})
    assert transfer.head_of(model) == "body"
    transfer.replace_head(model, 2, head="head")
    assert model["head"].out_features == 2
    assert transfer.replace_head(nn.Linear(3, 10), 2).out_features == 2


def tied() -> nn.Module:
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "out": nn.Linear(3, 5, bias=False)})
    model["out"].weight = model["embedding"].weight
    return model


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 4)), (0,), "a whole number from 1 on"),
        (lambda: nn.Sequential(nn.Linear(3, 4)), (2.0,), "a whole number from 1 on"),
        (lambda: nn.Sequential(nn.ReLU()), (2,), "no linear or convolution layer"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (2, "1"), "the last are 0"),
        (tied, (2,), "embedding.weight and out.weight are the same weights"),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 1, groups=2)), (2,), "set it yourself"),
    ],
)
def test_what_cannot_be_replaced_is_told(model, arguments, said):
    with pytest.raises(InputError, match=said):
        transfer.replace_head(model(), *arguments)


def test_fine_tuning_as_the_documentation_shows_it():
    """A new head learns at once, earlier layers later and slower, frozen ones not at all."""
    torch.manual_seed(0)
    old = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(3)), nn.Linear(6, 10))
    model = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(3)), nn.Linear(6, 2))
    transfer.load_weights(model, old)
    recipes.freeze(model, "0")
    optimizer = optim.SGD(recipes.discriminative(model, lr=0.1))
    unfreezing = recipes.Unfreezing(model)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    moved = []
    x, y = torch.randn(16, 6), torch.randint(0, 2, (16,))
    for epoch in range(4):
        unfreezing.step(epoch)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        moved.append({name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, start[name])})
    assert moved == [{"3"}, {"2", "3"}, {"1", "2", "3"}, {"1", "2", "3"}]
    rates = [group["lr"] for group in optimizer.param_groups]
    assert sorted(rates) == pytest.approx([0.1 / 2.6**2, 0.1 / 2.6, 0.1])
