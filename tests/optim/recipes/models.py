"""Models of the kinds that recipes are for, and what groups of their parameters are asked."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Residual(4, 4), Residual(4, 4))
        self.layer2 = nn.Sequential(Residual(4, 8))
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(self.bn(self.stem(x)))).mean((2, 3)))


class Language(nn.Module):
    """A small language model: tables of tokens and positions, transformer blocks, a norm, and a head."""

    def __init__(self, tied=False, blocks=3):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 5, 8))
        self.tokens = nn.Embedding(11, 8)
        block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(block, blocks)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, x):
        return self.head(self.norm(self.encoder(self.tokens(x) + self.position)))


def names(model, groups):
    """Of each group its name and the names of its parameters."""
    known = {id(p): name for name, p in model.named_parameters()}
    return {group["name"]: [known[id(p)] for p in group["params"]] for group in groups}


def assert_each_once(model, groups):
    inside = [id(p) for group in groups for p in group["params"]]
    assert len(inside) == len(set(inside))
    assert set(inside) == {id(p) for p in model.parameters() if p.requires_grad}
    assert len({group["name"] for group in groups}) == len(groups)
