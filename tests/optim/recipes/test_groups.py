"""Parameter groups made from a model, alone and composed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fallline import optim
from fallline.optim import recipes
from tests.optim.recipes.models import Language, ResNet, assert_each_once, names

RECIPES = {
    "no_decay": lambda model, **k: recipes.no_decay(model, 0.1, **k),
    "layerwise_decay": lambda model, **k: recipes.layerwise_decay(model, 0.01, **k),
    "discriminative": lambda model, **k: recipes.discriminative(model, 0.01, **k),
    "split_matrices": lambda model, **k: recipes.split_matrices(model, rest={"eps": 1e-6}, **k),
}
MODELS = {
    "resnet": ResNet,
    "language": Language,
    "tied": lambda: Language(tied=True),
    "mlp": lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
    "one layer": lambda: nn.Linear(3, 2),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", MODELS)
def test_every_parameter_is_in_one_group_that_any_optimizer_takes(kind, name):
    model = MODELS[kind]()
    groups = RECIPES[name](model)
    assert_each_once(model, groups)
    for make in (torch.optim.AdamW, optim.AdamW, optim.Lion):
        optimizer = make([dict(group) for group in groups])
        assert [group["name"] for group in optimizer.param_groups] == [group["name"] for group in groups]


@pytest.mark.parametrize("inner", RECIPES)
@pytest.mark.parametrize("outer", RECIPES)
def test_recipes_compose(outer, inner):
    model = Language(tied=True)
    groups = RECIPES[outer](model, within=RECIPES[inner](model))
    assert_each_once(model, groups)
    for recipe in (outer, inner):
        alone = {id(p): group for group in RECIPES[recipe](model) for p in group["params"]}
        for group in groups:
            for parameter in group["params"]:
                said = {
                    key: value for key, value in alone[id(parameter)].items() if key not in ("params", "name", "lr")
                }
                assert said.items() <= group.items()


def test_no_decay_on_biases_norms_and_vectors():
    model = ResNet()
    assert names(model, recipes.no_decay(model, 0.1))["decay"] == [
        "stem.weight",
        "layer1.0.conv.weight",
        "layer1.0.shortcut.0.weight",
        "layer1.1.conv.weight",
        "layer1.1.shortcut.0.weight",
        "layer2.0.conv.weight",
        "layer2.0.shortcut.0.weight",
        "fc.weight",
    ]
    groups = {group["name"]: group for group in recipes.no_decay(model, 0.1)}
    assert groups["decay"]["weight_decay"] == 0.1
    assert groups["no decay"]["weight_decay"] == 0


def test_no_decay_agrees_with_what_transformers_decays():
    from transformers import BertConfig, BertForSequenceClassification, Trainer

    config = BertConfig(vocab_size=13, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    model = BertForSequenceClassification(config)
    theirs = Trainer.get_decay_parameter_names(None, model)
    assert sorted(names(model, recipes.no_decay(model))["decay"]) == sorted(theirs)


class ScaleNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 4, 1))
        self.mixing = nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize(
    ("norm", "free"),
    [
        (lambda: nn.LayerNorm((3, 4)), ["weight", "bias"]),
        (lambda: nn.RMSNorm((3, 4)), ["weight"]),
        (lambda: nn.GroupNorm(2, 4), ["weight", "bias"]),
        (lambda: nn.InstanceNorm1d(4, affine=True), ["weight", "bias"]),
        (lambda: nn.SyncBatchNorm(4), ["weight", "bias"]),
        (ScaleNorm, ["scale"]),
    ],
    ids=["LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm1d", "SyncBatchNorm", "a class of one's own"],
)
def test_no_decay_on_norms_of_every_kind(norm, free):
    model = norm()
    assert names(model, recipes.no_decay(model))["no decay"] == free


def test_no_decay_on_embeddings_and_on_what_is_named():
    model = Language()
    free = names(model, recipes.no_decay(model, decay_embeddings=False, also=["position", "encoder.*.linear2"]))
    assert {"position", "tokens.weight", "encoder.layers.2.linear2.weight"} <= set(free["no decay"])
    assert {"head.weight", "encoder.layers.2.linear1.weight"} <= set(free["decay"])


def test_without_a_decay_of_its_own_a_group_takes_the_optimizers():
    groups = {g["name"]: g for g in optim.AdamW(recipes.no_decay(ResNet()), weight_decay=0.3).param_groups}
    assert groups["decay"]["weight_decay"] == 0.3
    assert groups["no decay"]["weight_decay"] == 0


def test_a_recipe_trains_as_groups_written_by_hand():
    torch.manual_seed(0)
    one = Language(tied=True, blocks=2).double()
    two = copy.deepcopy(one)
    groups = recipes.layerwise_decay(one, lr=0.01, decay=0.5, within=recipes.no_decay(one, 0.1))
    ours = optim.SGD(groups, momentum=0.9, weight_decay=9.0)
    rate = {"tokens": 0.0025, "position": 0.0025, "encoder.layers.0": 0.005, "encoder.layers.1": 0.01, "norm": 0.01}
    theirs = torch.optim.SGD(
        [
            {
                "params": [p],
                "lr": next(lr for prefix, lr in rate.items() if name.startswith(prefix)),
                "weight_decay": 0.0 if p.ndim < 2 else 0.1,
            }
            for name, p in two.named_parameters()
        ],
        momentum=0.9,
    )
    for model, optimizer in ((one, ours), (two, theirs)):
        generator = torch.Generator().manual_seed(1)
        for _ in range(5):
            x = torch.randint(11, (4, 5), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x).flatten(0, 1), x.flatten()).backward()
            optimizer.step()
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_frozen_parameters_are_left_out():
    model = ResNet()
    recipes.freeze(model, "stem", "layer1.0")
    groups = recipes.no_decay(model)
    assert_each_once(model, groups)
    assert not any(name.startswith(("stem", "layer1.0")) for inside in names(model, groups).values() for name in inside)
