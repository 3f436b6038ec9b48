"""Outputs and gradients against the papers' equations, written out in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fallline import models

Weights = Mapping[str, Tensor]


def assert_equal(model: nn.Module, x: Tensor, written_out: Callable[[Weights, Tensor], Tensor]) -> None:
    """The model and the function of its weights give the same outputs and the same gradients."""
    outputs = model(x)
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    expected = written_out(weights, x)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-10)
    direction = torch.randn_like(outputs)
    outputs.backward(direction)
    expected.backward(direction)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, weights[name].grad, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: n + m)


def norm(x: Tensor, w: Weights, name: str) -> Tensor:
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    gain, bias = (w[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * gain + bias


def resnet8(w: Weights, x: Tensor, skip: bool = True) -> Tensor:
    """y = relu(F(x) + x), with every second pixel and channels of zeros where the size changes."""
    y = norm(F.conv2d(x, w["stem.0.weight"], padding=1), w, "stem.1").relu()
    for stage in (1, 2, 3):
        name, stride = f"stage{stage}.0", 1 if stage == 1 else 2
        z = norm(F.conv2d(y, w[f"{name}.conv1.weight"], stride=stride, padding=1), w, f"{name}.norm1").relu()
        z = norm(F.conv2d(z, w[f"{name}.conv2.weight"], padding=1), w, f"{name}.norm2")
        if stride == 2:
            y = torch.cat([y[:, :, ::2, ::2], torch.zeros_like(y[:, :, ::2, ::2])], 1)
        y = (z + y if skip else z).relu()
    return y.mean((2, 3)) @ w["head.weight"].T + w["head.bias"]


def test_a_resnet_is_the_papers_equations():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 9, 8, dtype=torch.float64)
    assert_equal(models.resnet(8, width=4).double(), x, resnet8)


def test_without_skip_connections_only_the_additions_are_gone():
    torch.manual_seed(0)
    with_skips, without = models.resnet(8, width=4).double(), models.resnet(8, width=4, skip=False).double()
    assert list(with_skips.state_dict()) == list(without.state_dict())
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    assert_equal(without, x, lambda w, x: resnet8(w, x, skip=False))


def test_a_fire_module_squeezes_and_expands_and_adds_its_input():
    torch.manual_seed(0)

    def fire(w: Weights, x: Tensor) -> Tensor:
        squeezed = torch.einsum("nchw,oc->nohw", x, w["squeeze.weight"][..., 0, 0]) + w["squeeze.bias"].view(-1, 1, 1)
        squeezed = squeezed.relu()
        one = torch.einsum("nchw,oc->nohw", squeezed, w["expand1.weight"][..., 0, 0]) + w["expand1.bias"].view(-1, 1, 1)
        three = F.conv2d(squeezed, w["expand3.weight"], w["expand3.bias"], padding=1)
        added = x if "bypass.weight" not in w else F.conv2d(x, w["bypass.weight"], w["bypass.bias"])
        return torch.cat([one, three], 1).relu() + added

    x = torch.randn(3, 6, 5, 5, dtype=torch.float64)
    assert_equal(models.Fire(6, 2, 2, 4, "simple").double(), x, fire)
    assert_equal(models.Fire(6, 2, 3, 5, "complex").double(), x, fire)


def test_a_fire_module_may_have_filters_of_one_kind_alone():
    torch.manual_seed(0)

    def fire(w: Weights, x: Tensor) -> Tensor:
        kernel = "expand1" if "expand1.weight" in w else "expand3"
        squeezed = F.conv2d(x, w["squeeze.weight"], w["squeeze.bias"]).relu()
        return F.conv2d(squeezed, w[f"{kernel}.weight"], w[f"{kernel}.bias"], padding="same").relu()

    x = torch.randn(3, 6, 5, 5, dtype=torch.float64)
    assert_equal(models.Fire(6, 2, 4, 0).double(), x, fire)
    assert_equal(models.Fire(6, 2, 0, 4).double(), x, fire)


def lstm(w: Weights, x: Tensor) -> Tensor:
    """Input, forget, cell and output gates, step by step; scores by the embedding's own table."""
    inputs = w["embedding.weight"][x]
    n, width = len(x), w["lstm.weight_hh_l0"].shape[1]
    h, c, scores = torch.zeros(n, width, dtype=torch.float64), torch.zeros(n, width, dtype=torch.float64), []
    for t in range(x.shape[1]):
        gates = inputs[:, t] @ w["lstm.weight_ih_l0"].T + h @ w["lstm.weight_hh_l0"].T
        i, f, g, o = (gates + w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"]).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        scores.append(h @ w["embedding.weight"].T + w["head.bias"])
    return torch.stack(scores, 1)


def test_the_lstm_is_its_equations_with_a_tied_embedding():
    torch.manual_seed(0)
    model = models.CharLSTM(11, 6).double()
    assert_equal(model, torch.randint(11, (4, 7)), lstm)
    assert set(model.lstm.bias_ih_l0[6:12].tolist()) == {1.0}


def layer_norm(x: Tensor, w: Weights, name: str) -> Tensor:
    centered = x - x.mean(-1, keepdim=True)
    scaled = centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def transformer(w: Weights, x: Tensor) -> Tensor:
    """One block with its norms first, two heads of width 4."""
    time, d, heads = x.shape[1], 8, 2
    waves = torch.zeros(time, d, dtype=torch.float64)
    for position in range(time):
        for i in range(d // 2):
            angle = position / 10_000 ** (2 * i / d)
            waves[position, 2 * i], waves[position, 2 * i + 1] = math.sin(angle), math.cos(angle)
    y = w["embedding.weight"][x] * math.sqrt(d) + waves
    z = layer_norm(y, w, "blocks.0.norm1") @ w["blocks.0.self_attn.in_proj_weight"].T
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2)
        for part in (z + w["blocks.0.self_attn.in_proj_bias"]).chunk(3, -1)
    )
    scores = q @ k.mT / math.sqrt(d // heads)
    scores = scores.masked_fill(torch.ones(time, time).triu(1).bool(), -math.inf)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(-2)
    y = y + mixed @ w["blocks.0.self_attn.out_proj.weight"].T + w["blocks.0.self_attn.out_proj.bias"]
    z = layer_norm(y, w, "blocks.0.norm2") @ w["blocks.0.linear1.weight"].T + w["blocks.0.linear1.bias"]
    y = y + z.relu() @ w["blocks.0.linear2.weight"].T + w["blocks.0.linear2.bias"]
    return layer_norm(y, w, "norm") @ w["embedding.weight"].T


def test_the_transformer_is_its_equations_with_a_tied_embedding():
    torch.manual_seed(0)
    model = models.CharTransformer(11, 8, layers=1, heads=2, feedforward=12, dropout=0.0).double()
    assert_equal(model, torch.randint(11, (4, 7)), transformer)


def test_character_models_see_nothing_of_what_comes_later():
    torch.manual_seed(0)
    x = torch.randint(11, (2, 9))
    changed = x.clone()
    changed[:, 5:] = (x[:, 5:] + 1) % 11
    for model in (models.CharLSTM(11, 8, 2), models.CharTransformer(11, 8), models.CharTransformer(11, 8, tied=False)):
        model.eval()
        with torch.no_grad():
            before, after = model(x), model(changed)
        torch.testing.assert_close(before[:, :5], after[:, :5])
        assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_dropout_is_of_training_alone():
    torch.manual_seed(0)
    x = torch.randint(11, (2, 9))
    for model in (models.CharLSTM(11, 8, 2, dropout=0.5), models.CharTransformer(11, 8, dropout=0.5)):
        assert not torch.equal(model(x), model(x))
        model.eval()
        torch.testing.assert_close(model(x), model(x))


def test_the_last_blocks_are_left_out_most():
    model = models.resnet(20, stochastic_depth=0.45)
    rates = [m.drop.rate for m in model.modules() if isinstance(m, models.Residual)]
    torch.testing.assert_close(rates, [0.45 * k / 9 for k in range(1, 10)])


def test_a_block_that_is_left_out_hands_on_its_input():
    block = models.Residual(4, 4, rate=0.999_999)
    x = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(block(x), x.relu(), rtol=0, atol=0)
    assert not torch.allclose(block.eval()(x), x.relu())
