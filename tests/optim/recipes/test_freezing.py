"""Layers that stay as they are, and layers that thaw one after the other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fallline import optim
from fallline.optim import recipes
from tests.optim.recipes.models import Language, ResNet


def learn(model, optimizer, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(6, 1, 8, 8, generator=generator)
        y = torch.randint(3, (6,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def kept(before, model):
    """The names of parameters and buffers that are what they were."""
    return {name for name, value in model.state_dict().items() if torch.equal(before[name], value)}


def test_what_is_frozen_stays_with_its_statistics_until_it_is_unfrozen():
    model = ResNet()
    optimizer = optim.AdamW(model.parameters(), weight_decay=0.1)
    learn(model, optimizer, 2)
    frozen = recipes.freeze(model, "stem", "bn", "layer1")
    assert set(frozen) == {n for n, _ in model.named_parameters() if n.startswith(("stem", "bn", "layer1"))}
    optimizer.step()  # gradients from before the freezing
    before = copy.deepcopy(model.state_dict())
    model.train()
    learn(model, optimizer, 2)
    same = kept(before, model)
    assert same == {name for name in before if name.startswith(("stem", "bn", "layer1"))}
    again = copy.deepcopy(model)
    for each in (model, again):
        recipes.unfreeze(each, "layer1")
        each.train()
        before = copy.deepcopy(each.state_dict())
        learn(each, optim.AdamW(each.parameters(), lr=0.01), 2)
        assert kept(before, each) == {name for name in before if name.startswith(("stem", "bn"))}


def test_statistics_may_go_on_in_a_frozen_layer():
    model = ResNet()
    recipes.freeze(model, "bn", statistics=False)
    before = copy.deepcopy(model.state_dict())
    learn(model, optim.SGD(model.parameters()), 1)
    assert kept(before, model) >= {"bn.weight", "bn.bias"}
    assert not kept(before, model) & {"bn.running_mean", "bn.running_var"}


def test_a_tied_parameter_is_frozen_under_all_its_names():
    model = Language(tied=True)
    assert recipes.freeze(model, "head") == ["tokens.weight"]
    assert not model.tokens.weight.requires_grad


def test_layers_thaw_from_the_last_to_the_first():
    model = ResNet()
    recipes.freeze(model, "stem")
    optimizer = optim.SGD(recipes.layerwise_decay(model, 0.1))
    unfreezing = recipes.Unfreezing(model, every=2)
    assert unfreezing.layers == 5
    seen = []
    for epoch in range(10):
        thawed = unfreezing.step(epoch)
        assert set(thawed) <= set(unfreezing.learning)
        before = copy.deepcopy(model.state_dict())
        learn(model.train(), optimizer, 1, seed=epoch)
        changed = before.keys() - kept(before, model) - {n for n in before if "num_batches" in n}
        seen.append({name.partition(".conv")[0].partition(".short")[0].partition(".bn")[0] for name in changed})
    stages = [{"fc.weight", "fc.bias"}, {"layer2.0"}, {"layer1.1"}, {"layer1.0"}]
    stages.append({"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"})
    assert seen == [set().union(*stages[: epoch // 2 + 1]) for epoch in range(10)]


def test_unfreezing_goes_on_from_a_checkpoint():
    def start():
        torch.manual_seed(0)
        model = ResNet()
        optimizer = optim.AdamW(recipes.discriminative(model, 0.01))
        unfreezing = recipes.Unfreezing(model)
        return model, optimizer, unfreezing, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def run(parts, epochs):
        model, optimizer, unfreezing, schedule = parts
        for epoch in epochs:
            unfreezing.step(epoch)
            learn(model, optimizer, 2, seed=epoch)
            schedule.step()

    whole, first, second = start(), start(), start()
    run(whole, range(6))
    run(first, range(3))
    for part, state in zip(second, [copy.deepcopy(part.state_dict()) for part in first], strict=True):
        part.load_state_dict(state)
    assert second[2].learning == first[2].learning
    run(second, range(3, 6))
    for p, q in zip(whole[0].state_dict().values(), second[0].state_dict().values(), strict=True):
        assert torch.equal(p, q)


def test_unfreezing_counts_by_itself_and_goes_back():
    model = Language()
    unfreezing = recipes.Unfreezing(model, layers=["tokens", "", "head"])
    assert unfreezing.learning == ["head.weight"]
    assert "encoder.layers.0.linear1.weight" in unfreezing.step()
    assert unfreezing.step() == ["tokens.weight"]
    assert unfreezing.step() == []
    unfreezing.step(0)
    assert unfreezing.learning == ["head.weight"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's compiler imports it
def test_freezing_works_in_a_compiled_model():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    compiled = torch.compile(model, backend="eager")
    recipes.freeze(compiled, "0")
    before = model[0].running_mean.clone()
    compiled.train()(torch.randn(5, 3)).sum().backward()
    assert torch.equal(model[0].running_mean, before)
    assert model[0].weight.grad is None
    assert model[1].weight.grad is not None
