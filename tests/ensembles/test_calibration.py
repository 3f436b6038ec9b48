"""Calibration by hand, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from fallline.ensembles.calibration import measure


def made(cases: int = 500, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    p = torch.softmax(2 * torch.randn(cases, classes, generator=generator), 1)
    return p, torch.randint(0, classes, (cases,), generator=generator)


def test_the_expected_calibration_error_by_hand():
    """Two bins: confidences 0.6 and 0.8 (one right) in the upper, 0.5 (right) on the edge, which is the lower."""
    p = torch.tensor([[0.6, 0.4], [0.2, 0.8], [0.5, 0.5]], dtype=torch.float64)
    found = measure(p, torch.tensor([0, 0, 0]), bins=2)
    assert found.ece == pytest.approx((2 / 3) * abs(0.5 - 0.7) + (1 / 3) * abs(1 - 0.5))
    low, high = found.reliability
    assert low == (0.0, 0.5, 1, 0.5, 1.0)
    assert (high.low, high.high, high.cases) == (0.5, 1.0, 2)
    assert (high.confidence, high.accuracy) == pytest.approx((0.7, 0.5))


def test_a_bin_without_cases_says_so():
    found = measure(torch.tensor([[0.9, 0.1]]), torch.tensor([0]), bins=10)
    assert [part.cases for part in found.reliability] == [0] * 8 + [1, 0]
    assert math.isnan(found.reliability[0].accuracy)


def test_it_is_the_sum_over_bins_as_in_the_paper():
    p, y = made()
    found = measure(p, y, bins=15)
    confidence, predicted = (part.numpy() for part in p.double().max(1))
    right = predicted == y.numpy()
    expected = 0.0
    for k in range(15):
        within = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if within.any():
            expected += within.mean() * abs(right[within].mean() - confidence[within].mean())
    assert found.ece == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_proper_scores_are_scikit_learn_s(classes):
    p, y = made(classes=classes)
    p = (p.double() / p.double().sum(1, keepdim=True)).numpy()
    found = measure(torch.from_numpy(p), y)
    assert found.nll == pytest.approx(log_loss(y.numpy(), p, labels=range(classes)), rel=1e-12)
    indicator = np.eye(classes)[y.numpy()]
    assert found.brier == pytest.approx(((p - indicator) ** 2).sum(1).mean(), rel=1e-12)
    if classes == 2:
        # scikit-learn's is that of one of the two classes, half of the sum
        assert found.brier == pytest.approx(2 * brier_score_loss(y.numpy(), p[:, 1]), rel=1e-12)


def test_parts_of_the_data_add_up():
    p, y = made()
    whole, parts = measure(p, y), measure(p[:123], y[:123]) + measure(p[123:], y[123:])
    assert parts.cases == whole.cases == 500
    for name in ("ece", "nll", "brier"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_a_certain_and_wrong_prediction_stays_finite():
    found = measure(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert (found.ece, found.brier) == (1.0, 2.0)
    assert math.isfinite(found.nll)


def test_probabilities_that_are_frequencies_have_no_error():
    """A hundred cases at 0.7, of which 70 are right."""
    p = torch.tensor([[0.7, 0.3]], dtype=torch.float64).repeat(100, 1)
    assert measure(p, (torch.arange(100) >= 70).long()).ece == pytest.approx(0, abs=1e-12)
