"""Averages of a model's weights against closed forms and PyTorch's own loops."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from fallline.averages import Average
from fallline.errors import InputError
from fallline.optim import recipes

STEPS = 40


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def batches(count: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    made = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 3, generator=made), torch.randint(0, 2, (8,), generator=made)) for _ in range(count)]


def training(model: nn.Module, steps: int = STEPS):
    """Train, giving the number of each step after it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = batches()
    for step in range(steps):
        x, y = data[step % len(data)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        yield step


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in [*model.named_parameters(), *model.named_buffers()]}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("ema(0.9)", lambda k, n: 0.9 ** (n - 1 - k)),
        ("polyak", lambda k, n: 1.0),
        ("swa(start=50%, every=4)", lambda k, n: float(k >= n / 2 and (n - 1 - k) % 4 == 0)),
    ],
)
def test_the_average_is_its_closed_form_over_the_iterates(text, share):
    model = network()
    average, iterates = Average(model, text), []
    for step in training(model):
        average.update(step, STEPS)
        iterates.append(torch.cat([p.detach().flatten() for p in model.parameters()]).double().numpy())
    weights = np.array([share(k, STEPS) for k in range(STEPS)])
    expected = weights @ np.array(iterates) / weights.sum()
    found = torch.cat([p.flatten() for p in average.averaged.parameters()])
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "how"),
    [("ema(0.99, debias=off)", {"multi_avg_fn": get_ema_multi_avg_fn(0.99)}), ("polyak", {})],
    ids=["ema", "swa"],
)
def test_it_is_what_pytorch_s_own_loop_gives(text, how):
    model = network()
    theirs, ours = AveragedModel(model, **how), Average(model, text)
    for step in training(model):
        theirs.update_parameters(model)
        ours.update(step, STEPS)
    update_bn(batches(), theirs)
    ours.recalibrate(batches())
    for mine, other in zip(tensors(ours.averaged).values(), tensors(theirs.module).values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_the_model_holds_the_average_inside_and_its_own_weights_again_after():
    model = network()
    average = Average(model, "ema(0.9)")
    for step in training(model):
        average.update(step, STEPS)
    average.recalibrate(batches())
    before = tensors(model)
    with average.applied() as inside:
        assert inside is model
        assert same(tensors(model), tensors(average.averaged))
        with average.applied():
            assert same(tensors(model), tensors(average.averaged))
        with pytest.raises(InputError, match="outside"):
            average.update(0, STEPS)
    assert same(tensors(model), before)
    with pytest.raises(ZeroDivisionError), average.applied():
        _ = 1 / 0
    assert same(tensors(model), before)


def test_before_anything_is_averaged_a_model_is_its_own_average():
    model = network()
    average = Average(model, "swa")
    for step in training(model, 10):
        average.update(step, STEPS)
    before = tensors(model)
    average.recalibrate(batches())
    with average.applied():
        assert same(tensors(model), before)
    assert average.count == 0


def test_recalibrated_statistics_are_those_of_the_averaged_weights():
    model = network()
    average = Average(model, "polyak")
    for step in training(model):
        average.update(step, STEPS)
    lone = (torch.randn(1, 3), torch.zeros(1))
    average.recalibrate([*batches(), lone])  # one example has no variance
    linear, norm = average.averaged[0], average.averaged[1]
    hidden = [linear(x) for x, _ in batches()]
    torch.testing.assert_close(norm.running_mean, torch.stack([h.mean(0) for h in hidden]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([h.var(0) for h in hidden]).mean(0))
    assert norm.momentum == model[1].momentum


def test_frozen_statistics_are_kept():
    model = network()
    recipes.freeze(model, "1")
    model[1].running_mean.fill_(0.3)
    average = Average(model, "polyak")
    for step in training(model, 5):
        average.update(step, STEPS)
    average.recalibrate(x for x, _ in batches())
    assert bool((average.averaged[1].running_mean == 0.3).all())


def test_it_goes_on_from_its_state_with_the_same_bits():
    model = network()
    whole, first = Average(model, "ema(0.9)"), Average(model, "ema(0.9)")
    for step in training(model):
        whole.update(step, STEPS)
        if step == 17:
            second = Average(model, "ema(0.9)")
            second.load(load(save(first.state())))
            first = second
        first.update(step, STEPS)
    assert same(first.state(), whole.state())
    assert first.count == STEPS


def test_the_state_of_tied_weights_can_be_written():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight

    model = Tied()
    average = Average(model, "ema")
    average.update(0, 1)
    average.load(load(save(average.state())))
    with torch.no_grad():
        model.embedding.weight.add_(1)
    with average.applied():
        assert torch.equal(model.head.weight, average.averaged.embedding.weight)


def test_the_state_of_another_model_is_refused():
    state = Average(network()).state()
    with pytest.raises(InputError, match="has another shape"):
        Average(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))).load(state)
    with pytest.raises(InputError, match="more tensors"):
        Average(nn.Sequential(nn.Linear(3, 4))).load(state)


def test_half_types_are_averaged_in_float32():
    """Steps of a thousandth of the distance are lost in bfloat16."""
    model = nn.Linear(3, 2, bias=False).to(torch.bfloat16)
    nn.init.zeros_(model.weight)
    average = Average(model, "ema(0.999, debias=off)")
    average.update(0, 1001)
    nn.init.ones_(model.weight)
    for step in range(1, 1001):
        average.update(step, 1001)
    torch.testing.assert_close(average.averaged.weight, torch.full((2, 3), 1 - 0.999**1000), rtol=1e-4, atol=0)
    with average.applied():
        assert model.weight.dtype == torch.bfloat16
        assert model.weight[0, 0].item() == pytest.approx(1 - 0.999**1000, rel=1e-2)


def test_training_beside_an_average_is_undisturbed():
    plain, averaged = network(), network()
    list(training(plain))
    average = Average(averaged, "ema(0.9)")
    for step in training(averaged):
        average.update(step, STEPS)
        with average.applied(), torch.no_grad():
            averaged.eval()
            averaged(torch.randn(2, 3))
            averaged.train()
    assert same(tensors(plain), tensors(averaged))


def test_a_model_that_cannot_be_copied_is_refused():
    model = nn.Linear(2, 2)
    model.kept = (copy.copy(x) for x in [1])  # a generator
    with pytest.raises(InputError, match="cannot be copied"):
        Average(model)
