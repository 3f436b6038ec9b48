"""The layers of a model, and rates that differ between them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from fallline.optim import recipes
from tests.optim.recipes.models import Language, ResNet, names


def test_depths_of_a_transformer():
    depth = recipes.depths(Language())
    assert depth["tokens.weight"] == depth["position"] == 0
    assert [depth[f"encoder.layers.{k}.linear1.weight"] for k in range(3)] == [1, 2, 3]
    assert depth["norm.weight"] == depth["head.weight"] == 4
    tied = recipes.depths(Language(tied=True))
    assert (tied["tokens.weight"], tied["norm.weight"], max(tied.values())) == (0, 3, 3)


def test_depths_of_a_resnet():
    by_depth: dict[int, set[str]] = {}
    for name, depth in recipes.depths(ResNet()).items():
        by_depth.setdefault(depth, set()).add(name.partition(".conv")[0].partition(".bn")[0].partition(".short")[0])
    assert [by_depth[k] for k in range(5)] == [
        {"stem.weight", "bn.weight", "bn.bias"},
        {"layer1.0"},
        {"layer1.1"},
        {"layer2.0"},
        {"fc.weight", "fc.bias"},
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2)), [0, 0, 0, 0, 1, 1]),
        (lambda: nn.Sequential(nn.Embedding(3, 2), nn.LSTM(2, 2), nn.Linear(2, 1)), [0, 1, 1, 1, 1, 2, 2]),
        (
            lambda: nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))),
            [0] * 4 + [1] * 4,
        ),
        (
            lambda: nn.ModuleDict({"a": nn.Linear(1, 2), "norm": nn.LayerNorm(2), "b": nn.Linear(2, 2)}),
            [0, 0, 0, 0, 1, 1],
        ),
        (
            lambda: nn.Sequential(
                nn.Embedding(3, 4),
                nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), 2),
                nn.Linear(4, 1),
            ),
            [0] + [1] * 12 + [2] * 12 + [3, 3],
        ),
        (lambda: nn.Linear(1, 1), [0, 0]),
    ],
    ids=["sequential", "recurrent", "alike links", "no series", "a trunk inside", "one layer"],
)
def test_depths_are_read_off_the_order_of_blocks(model, expected):
    assert list(recipes.depths(model()).values()) == expected


LEAVES = st.sampled_from([lambda: nn.Linear(2, 2), lambda: nn.LayerNorm(2), lambda: nn.LSTM(2, 2), nn.ReLU])


SERIES = st.sampled_from([nn.ModuleList, lambda parts: nn.Sequential(*parts)])


def compound(inside):
    """Modules that hold up to four of those `inside`, as links of a series or under names."""
    several = st.lists(inside, min_size=1, max_size=4)
    series = st.builds(lambda make, parts: lambda: make([part() for part in parts]), SERIES, several)
    named = st.builds(lambda parts: lambda: nn.ModuleDict({f"p{k}": part() for k, part in enumerate(parts)}), several)
    return series | named


@given(st.recursive(LEAVES, compound, max_leaves=12))
def test_depths_of_any_model_rise_in_order_and_without_gaps(make):
    model = make()
    assume(any(p.ndim > 1 for p in model.parameters()))
    depths = recipes.depths(model)
    assert depths.keys() == dict(model.named_parameters()).keys()
    assert list(depths.values()) == sorted(depths.values())
    assert set(depths.values()) == set(range(max(depths.values()) + 1))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's compiler imports it
def test_depths_are_those_of_the_bare_model():
    model = ResNet()
    assert recipes.depths(nn.DataParallel(model)) == recipes.depths(torch.compile(model)) == recipes.depths(model)


def test_layers_as_the_user_says():
    model = ResNet()
    by_selectors = recipes.depths(model, ["", "layer1", "layer2", "fc"])
    by_function = recipes.depths(model, lambda name: {"layer1": 1, "layer2": 2, "fc": 3}.get(name.split(".")[0], 0))
    assert by_selectors == by_function
    rates = {
        g["name"]: g["lr"] for g in recipes.layerwise_decay(model, 0.8, 0.5, layers=["", "layer1", "layer2", "fc"])
    }
    assert rates == {"layer 0": 0.1, "layer 1": 0.2, "layer 2": 0.4, "layer 3": 0.8}


def test_discriminative_rates():
    rates = {g["name"]: g["lr"] for g in recipes.discriminative(Language(), 0.1)}
    assert rates == pytest.approx({f"layer {k}": 0.1 / 2.6 ** (4 - k) for k in range(5)})
    model = ResNet()
    groups = recipes.discriminative(model, {"layer1": 0.1, "layer1.0": 0.2, "": 0.3})
    assert {g["name"]: g["lr"] for g in groups} == {"the rest": 0.3, "layer1.0": 0.2, "layer1": 0.1}
    assert all(name.startswith("layer1.1") for name in names(model, groups)["layer1"])


def test_layerwise_decay_scales_the_rates_of_the_groups_it_splits():
    split = recipes.split_matrices(model := Language(), {"lr": 0.02}, rest={"lr": 0.001})
    rates = {g["name"]: g["lr"] for g in recipes.layerwise_decay(model, decay=0.5, within=split)}
    assert rates["matrices, layer 3"] == 0.01
    assert rates["rest, layer 4"] == 0.001
    assert rates["rest, layer 0"] == 0.001 / 16
