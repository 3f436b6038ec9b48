"""Mixup and CutMix against their papers' equations, and the losses that take their targets."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fallline.augmentation import CutMix, Mixup
from fallline.augmentation.mixing import _box
from fallline.errors import InputError


def test_mixup_mixes_inputs_and_targets_by_the_same_share():
    torch.manual_seed(0)
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.arange(6)
    mixed, soft = Mixup(1.0, classes=6)(x, y)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    torch.testing.assert_close(mixed, soft.double() @ x, rtol=1e-6, atol=1e-7)
    assert len({round(share, 6) for share in soft.diag().tolist() if share < 1}) == 1


def test_shares_of_mixup_have_the_beta_distribution():
    torch.manual_seed(0)
    mix, shares = Mixup(0.4), []
    for _ in range(4000):
        _, y = mix(torch.zeros(2, 1), torch.tensor([1.0, 0.0]))
        shares.append(y[0].item())
    values = torch.tensor(shares)
    expected = torch.distributions.Beta(0.4, 0.4)
    # an example may be its own partner: half of the time for two
    inside = values[(values > 0) & (values < 1)]
    assert inside.mean().item() == pytest.approx(0.5, abs=0.03)
    assert inside.var().item() == pytest.approx(expected.variance.item(), abs=0.02)
    assert len(inside) == pytest.approx(2000, abs=150)


def test_cutmix_mixes_targets_by_the_area_that_is_left():
    x = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 7, 9)
    for seed in range(30):
        torch.manual_seed(seed)
        mixed, soft = CutMix(1.0, classes=5)(x, torch.arange(5))
        for value in range(5):
            shares = (mixed == value).float().mean((1, 2, 3))
            torch.testing.assert_close(shares, soft[:, value])


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 10_000))
def test_a_box_lies_in_the_picture_and_has_at_most_its_share(height, width, lam, seed):
    torch.manual_seed(seed)
    rows, columns = _box(height, width, lam)
    assert 0 <= rows.start <= rows.stop <= height
    assert 0 <= columns.start <= columns.stop <= width
    assert (rows.stop - rows.start) * (columns.stop - columns.start) <= (1 - lam) * height * width + 1e-9


@pytest.mark.parametrize(
    "loss", [F.cross_entropy, partial(F.cross_entropy, label_smoothing=0.1)], ids=["plain", "smoothed"]
)
def test_cross_entropy_of_mixed_targets_is_the_mixture_of_its_values(loss):
    torch.manual_seed(0)
    y, scores = torch.arange(6), torch.randn(6, 6, dtype=torch.float64)
    _, soft = Mixup(1.0, classes=6)(torch.zeros(6, 1), y)
    each = torch.stack([loss(scores, torch.full((6,), k), reduction="none") for k in range(6)], 1)
    torch.testing.assert_close(loss(scores, soft.double()), (soft * each).sum(1).mean())


def test_label_smoothing_is_the_papers_mixture_with_equal_shares():
    torch.manual_seed(0)
    y, scores = torch.arange(6) % 4, torch.randn(6, 4, dtype=torch.float64)
    targets = 0.9 * F.one_hot(y, 4) + 0.1 / 4
    expected = -(targets * scores.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(F.cross_entropy(scores, y, label_smoothing=0.1), expected)


def test_values_are_mixed_as_they_are():
    torch.manual_seed(0)
    y = torch.randn(5, 2)
    _, mixed = Mixup(1.0)(torch.zeros(5, 1), y)
    assert mixed.shape == y.shape
    assert mixed.dtype == y.dtype
    torch.testing.assert_close(mixed.mean(0), y.mean(0))


@pytest.mark.parametrize(
    ("step", "x", "y", "said"),
    [
        (Mixup(), torch.zeros(3, 2), torch.arange(3), r"labels \(n,\) with classes=..."),
        (CutMix(classes=2), torch.zeros(3, 1, 4, 4), torch.arange(3), "classes=2; y has labels from 0 to 2"),
        (Mixup(classes=5), torch.zeros(3, 2), torch.zeros(3, 4, dtype=torch.long), r"y has shape \(3, 4\)"),
        (
            Mixup(classes=3),
            torch.zeros(3, 2, dtype=torch.long),
            torch.arange(3),
            "Mixup needs inputs of floating point",
        ),
        (CutMix(classes=3), torch.zeros(3, 9), torch.arange(3), "CutMix needs pictures"),
    ],
)
def test_batches_that_cannot_be_mixed_are_refused(step, x, y, said):
    with pytest.raises(InputError, match=said):
        step(x, y)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="alpha must be a number, above 0; it is 0"):
        Mixup(0)
    with pytest.raises(InputError, match="classes must be a whole number of at least 2"):
        CutMix(classes=1)
