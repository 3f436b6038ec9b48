"""What the rules of a family promise beyond the numbers of their papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fallline import InputError, optim
from fallline.rules import get


def test_asgd_is_evaluated_at_the_mean_of_all_iterates_after_its_start():
    p = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = optim.ASGD([p], lr=0.1, t0=4)
    iterates = []
    for step in range(12):
        p.grad = torch.full_like(p, float(step % 5) - 1)
        optimizer.step()
        iterates.append(p.detach().clone())
    average = get("asgd").evaluated(p.detach(), optimizer.state[p], {})
    torch.testing.assert_close(average, torch.stack(iterates[5:]).mean(0), rtol=1e-12, atol=0)


def test_schedule_free_sgd_is_evaluated_at_the_mean_of_its_iterates():
    """Equal rates weigh the iterates z equally."""
    p = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = optim.ScheduleFreeSGD([p], lr=0.05, momentum=0.8)
    iterates = []
    for _ in range(10):
        optimizer.zero_grad()
        (p**4).sum().backward()
        optimizer.step()
        iterates.append(optimizer.state[p]["z"].clone())
    x = get("schedule_free_sgd").evaluated(p.detach(), optimizer.state[p], {"momentum": 0.8})
    torch.testing.assert_close(x, torch.stack(iterates).mean(0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["dadapt_adam", "dadapt_sgd", "dog", "prodigy"])
def test_one_distance_holds_for_all_parameters(name):
    torch.manual_seed(0)
    params = [torch.randn(shape, requires_grad=True) for shape in ((), (5,), (3, 4))]
    optimizer = optim.optimizer(name, params)
    for _ in range(5):
        for p in params:
            p.grad = torch.randn_like(p) + p.detach()
        optimizer.step()
    number = "r" if name == "dog" else "d"
    assert len({optimizer.state[p][number] for p in params}) == 1
    assert optimizer.state[params[0]][number] > 0


def test_layerwise_dog_has_a_distance_for_each():
    params = [torch.full((n,), float(n), requires_grad=True) for n in (1, 2)]
    optimizer = optim.LDoG(params)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert [optimizer.state[p]["r"] for p in params] == pytest.approx([2e-6, (1 + 8**0.5) * 1e-6], rel=1e-6)


@pytest.mark.parametrize("name", ["dadapt_adam", "dadapt_sgd", "dog", "ldog", "prodigy", "lars", "lamb", "novograd"])
def test_gradients_of_zero_harm_nothing(name):
    p = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = optim.optimizer(name, [p], weight_decay=0.0)
    p.grad = torch.zeros(2)
    for _ in range(3):
        optimizer.step()
    assert p.tolist() == [1.0, -2.0]
    p.grad = torch.ones(2)
    for _ in range(3):
        optimizer.step()
    assert p.isfinite().all()
    assert p.tolist() != [1.0, -2.0]


def test_a_layer_of_zeros_starts_to_move_under_rates_in_proportion_to_norms():
    for name in ("lars", "lamb"):
        p = torch.zeros(3, requires_grad=True)
        optimizer = optim.optimizer(name, [p])
        p.grad = torch.ones(3)
        optimizer.step()
        assert (p < 0).all()


def test_adam_mini_keeps_a_number_a_row_of_a_matrix_and_one_for_a_vector():
    matrix, filters, vector = (torch.ones(shape, requires_grad=True) for shape in ((6, 4), (5, 2, 3, 3), (7,)))
    optimizer = optim.AdamMini([matrix, filters, vector])
    for p in (matrix, filters, vector):
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert optimizer.state[matrix]["v"].shape == (6, 1)
    assert optimizer.state[filters]["v"].shape == (5, 1)
    assert isinstance(optimizer.state[vector]["v"], float)


def test_adopts_first_step_only_measures():
    p = torch.ones(3, requires_grad=True)
    optimizer = optim.ADOPT([p])
    p.grad = torch.tensor([1.0, 2.0, 3.0])
    optimizer.step()
    assert p.tolist() == [1, 1, 1]
    assert optimizer.state[p]["v"].tolist() == [1, 4, 9]


@pytest.mark.parametrize("name", ["sgdp", "adamp"])
def test_the_norm_of_scale_invariant_weights_grows_less(name):
    """A loss of the direction alone: its gradient is orthogonal to the weights."""

    def norm_after(rule):
        torch.manual_seed(0)
        p = torch.randn(4, 16, dtype=torch.float64, requires_grad=True)
        target = torch.randn(4, 16, dtype=torch.float64)
        optimizer = optim.optimizer(rule, [p], lr=0.05)
        start = p.detach().norm().item()
        for _ in range(60):
            optimizer.zero_grad()
            (1 - torch.cosine_similarity(p, target, dim=-1)).sum().backward()
            optimizer.step()
        return p.detach().norm().item() / start

    plain = norm_after({"sgdp": "momentum", "adamp": "adam"}[name])
    kept = norm_after(name)
    assert 1 < kept < 1 + 0.5 * (plain - 1)


def test_ademamix_grows_into_its_slow_average():
    """Until the warm-up ends the weight grows in a line and the memory from the fast average's; then both are there."""
    p = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = optim.AdEMAMix([p], alpha_warmup=4, beta3_warmup=4, betas=(0.9, 0.999, 0.9999))
    slow = 0.0
    for step in range(1, 7):
        p.grad = torch.ones_like(p)
        optimizer.step()
        done = min(step / 4, 1)
        beta3 = np.exp(np.log(0.9) * np.log(0.9999) / ((1 - done) * np.log(0.9999) + done * np.log(0.9)))
        slow = beta3 * slow + (1 - beta3)
        assert optimizer.state[p]["m2"].item() == pytest.approx(slow, rel=1e-12)


def test_three_decay_rates_are_given_as_betas():
    p = torch.ones(1, requires_grad=True)
    optimizer = optim.Adan([p], betas=(0.9, 0.8, 0.7))
    assert optim.Adan([p], beta3=0.5).param_groups[0]["betas"] == (0.98, 0.92, 0.5)
    p.grad = torch.ones(1)
    optimizer.step()
    assert optimizer.state[p]["n"].item() == pytest.approx(0.3)
    with pytest.raises(InputError, match=r"betas=\(0.9, 0.99\) is not allowed for Adan: 3 numbers are needed"):
        optim.Adan([p], betas=(0.9, 0.99))
