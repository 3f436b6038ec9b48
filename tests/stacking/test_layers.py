"""Every family of layers gives in a stack what each trial gives alone: outputs, gradients, buffers, random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from benchmarks.models import MODELS
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from .both import Both, classes


class Case(NamedTuple):
    make: Callable[[], nn.Module]
    example: tuple[int, ...]
    tokens: int = 0


class Function(nn.Module):
    """A module that does what a function says."""

    def __init__(self, run: Callable[[nn.Module, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)
        self.weight = nn.Parameter(torch.randn(5, 4))

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x).tanh())


class Own(nn.Module):
    """Arithmetic, functions and a buffer of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x.detach().mean(0)
        y = torch.where(x > 0, x * self.scale, F.softplus(x))
        y = torch.cat([y, torch.einsum("ni,nj->nij", y, y).flatten(1)], 1)
        return F.linear(y, torch.ones(2, 20, dtype=y.dtype)) + torch.randn_like(y[:, :2]) * torch.rand(2)


def seq(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


def encoder(mask: str = "", layers: int = 2, **options: Any) -> nn.Module:
    def run(self: Any, x: Tensor) -> Tensor:
        causal = nn.Transformer.generate_square_subsequent_mask(x.size(1), dtype=self.weight.dtype)
        padding = torch.arange(x.size(1)) > 3 if mask == "padding" else None
        padding = None if padding is None else padding.expand(len(x), -1)
        return self.encoder(x, causal if mask == "causal" else None, padding)

    options = {"batch_first": True, **options}
    layer = nn.TransformerEncoderLayer(8, 2, 12, **options)
    return Function(run, encoder=nn.TransformerEncoder(layer, layers, enable_nested_tensor=False))


def functional_attention(self: Any, x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x.flip(1), x * 2, is_causal=True, dropout_p=0.3 if self.training else 0.0)


CASES = {
    "linear": Case(lambda: seq(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2, bias=False)), (4,)),
    "linear over more axes": Case(lambda: nn.Linear(4, 5), (3, 2, 4)),
    "bilinear": Case(lambda: Function(lambda m, x: m.b(x, x), b=nn.Bilinear(4, 4, 3)), (4,)),
    "parametric activations": Case(lambda: seq(nn.PReLU(3), nn.SiLU(), nn.GELU(), nn.Softmax(-1)), (3, 5)),
    "dropout": Case(lambda: seq(nn.Dropout(0.3), nn.Linear(4, 5), nn.Dropout(0.6)), (4,)),
    "dropout in place, of all and of none": Case(
        lambda: seq(nn.Linear(4, 5), nn.Dropout(0.4, inplace=True), nn.Dropout(0.0), nn.Dropout(1.0)), (4,)
    ),
    "dropout of a transposed input": Case(lambda: Function(lambda m, x: m.d(x.mT), d=nn.Dropout(0.4)), (3, 5)),
    "dropout of channels": Case(lambda: seq(nn.Dropout2d(0.4), nn.AlphaDropout(0.2), nn.RReLU()), (3, 4, 4)),
    "convolution": Case(lambda: seq(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.Conv1d(5, 3, 4, 2, 3, 2)), (2, 11)),
    "convolution in groups": Case(lambda: nn.Conv2d(4, 6, 3, (2, 1), (0, 2), (1, 2), groups=2), (4, 9, 8)),
    "depthwise convolution": Case(lambda: nn.Conv2d(6, 6, 3, padding="same", groups=6), (6, 7, 7)),
    "convolution around the edge": Case(lambda: nn.Conv2d(5, 4, 3, padding=1, padding_mode="circular"), (5, 6, 6)),
    "large pictures": Case(lambda: nn.Conv2d(5, 3, 3, padding=1, bias=False), (5, 17, 17)),
    "even kernel of the same size": Case(lambda: nn.Conv1d(2, 3, 4, padding="same"), (2, 9)),
    "convolution of one example": Case(lambda: Function(lambda m, x: m.c(x[0]), c=nn.Conv1d(2, 3, 2)), (2, 9)),
    "transposed convolution": Case(
        lambda: seq(nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), nn.ConvTranspose2d(3, 2, 2)), (2, 4, 4)
    ),
    "convolution in space": Case(lambda: nn.Conv3d(2, 3, 2), (2, 4, 4, 4)),
    "batch norm": Case(lambda: seq(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)), (4,)),
    "batch norm of sequences": Case(lambda: seq(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU()), (2, 9)),
    "batch norm of pictures": Case(lambda: seq(nn.BatchNorm2d(3, eps=0.1, momentum=0.3), nn.ReLU()), (3, 4, 4)),
    "batch norm, cumulative average": Case(lambda: nn.BatchNorm1d(4, momentum=None), (4,)),
    "batch norm without running statistics": Case(lambda: nn.BatchNorm2d(3, track_running_stats=False), (3, 4, 4)),
    "batch norm of a transposed input": Case(lambda: Function(lambda m, x: m.b(x.mT), b=nn.BatchNorm1d(5)), (3, 5)),
    "weight norm": Case(
        lambda: seq(
            weight_norm(nn.Conv1d(2, 3, 2)), weight_norm(nn.Linear(4, 4), dim=1), weight_norm(nn.Linear(4, 2), dim=None)
        ),
        (2, 5),
    ),
    "other norms": Case(lambda: seq(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm(3)), (4, 3, 3)),
    "root mean square norm": Case(lambda: nn.RMSNorm(4), (4,)),
    "pooling": Case(
        lambda: seq(nn.MaxPool2d(2), nn.AvgPool2d(3, 1), nn.AdaptiveMaxPool2d(2), nn.Flatten()), (3, 12, 12)
    ),
    "overlapping pooling": Case(lambda: seq(nn.MaxPool2d((3, 2), 2, (1, 0)), nn.MaxPool2d(2, 1)), (3, 9, 9)),
    "pooling of sequences": Case(lambda: seq(nn.MaxPool1d(3, 1, 1, 2), nn.AdaptiveAvgPool1d(2)), (3, 9)),
    "pooling, rounded up": Case(lambda: nn.MaxPool2d(2, ceil_mode=True), (3, 5, 5)),
    "embedding": Case(lambda: seq(nn.Embedding(9, 4, padding_idx=-3), nn.Linear(4, 2)), (5,), 9),
    "embedding, by frequency": Case(lambda: nn.Embedding(9, 4, scale_grad_by_freq=True), (5,), 9),
    "tied weights": Case(Tied, (5,), 9),
    "own module": Case(Own, (4,)),
    "LSTM": Case(lambda: nn.LSTM(3, 5), (4, 3)),
    "LSTM, layers, directions, dropout": Case(
        lambda: nn.LSTM(3, 5, 3, batch_first=True, bidirectional=True, dropout=0.4), (7, 3)
    ),
    "LSTM, no bias": Case(lambda: nn.LSTM(3, 5, bias=False, batch_first=True), (7, 3)),
    "LSTM of one sequence": Case(lambda: Function(lambda m, x: m.r(x[0])[0], r=nn.LSTM(3, 5)), (4, 3)),
    "LSTM's last states": Case(lambda: Function(lambda m, x: torch.cat(m.r(x)[1], -1), r=nn.LSTM(3, 5, 2)), (4, 3)),
    "LSTM from a state": Case(
        lambda: Function(
            lambda m, x: m.r(x, (x[:1, :, :1].expand(-1, -1, 5) * m.weight[0, 0],) * 2)[0], r=nn.LSTM(3, 5)
        ),
        (4, 3),
    ),
    "GRU": Case(lambda: nn.GRU(3, 5, 2, bidirectional=True, dropout=0.2), (4, 3)),
    "GRU, no bias": Case(lambda: nn.GRU(3, 5, bias=False, batch_first=True), (4, 3)),
    "RNN": Case(lambda: nn.RNN(3, 5, 2, bidirectional=True), (4, 3)),
    "RNN, ReLU": Case(lambda: nn.RNN(3, 5, nonlinearity="relu", batch_first=True), (4, 3)),
    "LSTM cells": Case(
        lambda: Function(lambda m, x: m.c(x)[1] + m.g(x), c=nn.LSTMCell(3, 5), g=nn.GRUCell(3, 5)), (3,)
    ),
    "attention": Case(lambda: Function(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, 0.3)), (5, 8)),
    "attention, averaged weights": Case(
        lambda: Function(
            lambda m, x: m.a(x, x, x, need_weights=True)[1], a=nn.MultiheadAttention(8, 2, batch_first=True)
        ),
        (5, 8),
    ),
    "functional attention": Case(lambda: Function(functional_attention), (5, 4)),
    "transformer": Case(lambda: encoder(dropout=0.2), (5, 8)),
    "transformer, norm first, GELU": Case(lambda: encoder(dropout=0.1, norm_first=True, activation="gelu"), (5, 8)),
    "transformer, steps first": Case(lambda: encoder(dropout=0.1, batch_first=False), (5, 8)),
    "transformer, causal mask": Case(lambda: encoder("causal", dropout=0.0), (5, 8)),
    "transformer, causal mask, dropout": Case(lambda: encoder("causal"), (5, 8)),
    "transformer, padding": Case(lambda: encoder("padding", dropout=0.1), (5, 8)),
    "decoder": Case(
        lambda: Function(lambda m, x: m.d(x, x * 2), d=nn.TransformerDecoderLayer(8, 2, 12, batch_first=True)), (5, 8)
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", CASES)
def test_layer(name: str, train: bool) -> None:
    case = CASES[name]
    Both(case.make, case.example, tokens=case.tokens, train=train).check()


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", MODELS)
def test_model_of_the_benchmark(name: str, train: bool) -> None:
    model = MODELS[name]
    both = Both(model.make, model.example, tokens=model.tokens, trials=2, n=5, loss=classes, train=train)
    both.check(steps=1, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["MLP, batch norm, dropout", "2-d CNN, batch norm", "LSTM", "transformer"])
def test_model_in_float32(name: str) -> None:
    model = MODELS[name]
    both = Both(model.make, model.example, tokens=model.tokens, n=5, loss=classes, dtype=torch.float32)
    both.check(steps=1, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_have_a_form_for_every_type_of_number(make: Callable[..., nn.Module]) -> None:
    """Where there is no machine code, PyTorch's operations do it."""
    both = Both(lambda: make(3, 5, 2, bidirectional=True), (4, 3), dtype=torch.bfloat16)
    both.check(steps=1, rtol=0.1, atol=0.1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": F.cross_entropy,
    "sum": lambda outputs, y: F.cross_entropy(outputs, y, reduction="sum"),
    "each": lambda outputs, y: F.cross_entropy(outputs, y, reduction="none").square().sum(),
    "smoothed": lambda outputs, y: F.cross_entropy(outputs, y, label_smoothing=0.2),
    "weighted": lambda outputs, y: F.cross_entropy(
        outputs, y, torch.linspace(1, 2, 5, dtype=outputs.dtype), ignore_index=2, label_smoothing=0.1
    ),
    "some left out": lambda outputs, y: F.cross_entropy(outputs, y.where(y != 3, -100)),
    "probabilities": lambda outputs, y: F.cross_entropy(outputs, F.one_hot(y, 5).to(outputs.dtype) * 0.9 + 0.02),
    "negative log-likelihood": lambda outputs, y: F.nll_loss(outputs.log_softmax(-1), y),
    "binary": lambda outputs, y: F.binary_cross_entropy_with_logits(outputs, F.one_hot(y, 5).to(outputs.dtype)),
    "square": lambda outputs, y: F.mse_loss(outputs[:, 0], y.to(outputs.dtype)),
    "Huber": lambda outputs, y: F.smooth_l1_loss(outputs[:, 0], y.to(outputs.dtype)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name: str) -> None:
    Both(lambda: nn.Linear(4, 5), (4,), loss=LOSSES[name]).check(steps=1)


def test_loss_of_every_place() -> None:
    both = Both(
        lambda: nn.Conv1d(2, 5, 3), (2, 8), loss=lambda outputs, y: F.cross_entropy(outputs, y[:, None].expand(-1, 6))
    )
    both.check(steps=1)


@pytest.mark.parametrize("name", ["1-d CNN", "MLP, batch norm, dropout", "LSTM"])
def test_threads_share_the_trials(name: str) -> None:
    torch.set_num_threads(3)
    model = MODELS[name]
    both = Both(model.make, model.example, trials=7, seeds=range(7), n=32, loss=classes)
    both.check(steps=1, rtol=1e-8, atol=1e-10)
