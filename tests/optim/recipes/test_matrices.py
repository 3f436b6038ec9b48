"""Matrices of hidden layers for Muon, the rest for AdamW: as one optimizer or as two."""

from __future__ import annotations

import copy

import torch
from torch import nn

from fallline import optim
from fallline.optim import recipes
from tests.optim.recipes.models import Language, ResNet, names


def test_matrices_of_hidden_layers():
    model = Language()
    groups = names(model, recipes.split_matrices(model))
    inside = ("self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight")
    assert groups["matrices"] == [f"encoder.layers.{k}.{name}" for k in range(3) for name in inside]
    residual = names(model := ResNet(), recipes.split_matrices(model))
    assert "fc.weight" in residual["rest"]
    assert {"stem.weight", "layer2.0.conv.weight"} <= set(residual["matrices"])
    tied = names(model := Language(tied=True), recipes.split_matrices(model))
    assert tied["matrices"] == groups["matrices"]
    named = names(model := ResNet(), recipes.split_matrices(model, also=["stem"], head=["layer2"]))
    assert {"stem.weight", "layer2.0.conv.weight"} <= set(named["rest"])
    assert "fc.weight" in named["matrices"]
    flat = names(model, recipes.split_matrices(model, convolutions=False, head=()))
    assert flat["matrices"] == ["fc.weight"]


def test_a_block_at_the_end_has_no_head():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), 2)
    assert "layers.1.linear2.weight" in names(encoder, recipes.split_matrices(encoder))["matrices"]


def test_matrices_and_rest_for_two_optimizers():
    model = Language()
    groups = recipes.split_matrices(model, {"lr": 0.02}, rest={"lr": 0.001}, convolutions=False)
    groups = recipes.no_decay(model, 0.1, within=groups)
    muon = torch.optim.Muon([group for group in groups if not group.get("elementwise")])
    adamw = torch.optim.AdamW([group for group in groups if group.get("elementwise")])
    assert [group["name"] for group in muon.param_groups] == ["matrices, decay"]
    assert [group["name"] for group in adamw.param_groups] == ["rest, decay", "rest, no decay"]


def test_one_muon_steps_the_rest_as_adamw():
    torch.manual_seed(0)
    one = Language(tied=True, blocks=1).double()
    two = copy.deepcopy(one)
    rest = {"lr": 0.003, "betas": (0.8, 0.9), "weight_decay": 0.01}
    both = optim.Muon(recipes.split_matrices(one, {"lr": 0.02}, rest=rest), weight_decay=0.1)
    groups = {group.pop("name"): group for group in recipes.split_matrices(two, {"lr": 0.02}, rest=rest)}
    alone = [optim.Muon([groups["matrices"]], weight_decay=0.1), torch.optim.AdamW([groups["rest"]])]
    for model, optimizers in ((one, [both]), (two, alone)):
        generator = torch.Generator().manual_seed(1)
        for _ in range(3):
            x = torch.randint(11, (4, 5), generator=generator)
            model.zero_grad()
            model(x).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)
