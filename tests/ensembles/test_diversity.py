"""Diversity against NumPy and against what it means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fallline.ensembles import diversity


def members(count: int = 3, cases: int = 200, classes: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.softmax(torch.randn(count, cases, classes, generator=generator, dtype=torch.float64), 2)


def test_disagreement_is_the_share_of_cases_in_which_two_differ():
    p = members()
    found = diversity.of_classes(list(p))
    predicted = p.argmax(2).numpy()
    for i in range(3):
        for j in range(3):
            assert found.pairwise[i, j] == pytest.approx((predicted[i] != predicted[j]).mean())
    assert found.disagreement == pytest.approx(
        np.mean([found.pairwise[0, 1], found.pairwise[0, 2], found.pairwise[1, 2]])
    )


def test_the_spread_is_the_mean_divergence_to_the_ensemble():
    """Which is also how far the entropy of the mean is above the mean of the entropies."""
    p = members().numpy()
    found = diversity.of_classes(list(members()))
    mean = p.mean(0)
    assert found.spread == pytest.approx((p * np.log(p / mean)).sum(2).mean())
    entropy = -(mean * np.log(mean)).sum(1).mean() + (p * np.log(p)).sum(2).mean()
    assert found.spread == pytest.approx(entropy)


def test_certain_members_that_disagree_are_log_2_apart():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    found = diversity.of_classes([one, other])
    assert (found.disagreement, found.spread) == (1.0, pytest.approx(np.log(2)))


def test_equal_members_do_not_differ_and_probabilities_near_nothing_stay_finite():
    p = members()[0]
    assert diversity.of_classes([p, p]).disagreement == 0
    assert diversity.of_classes([p, p]).spread == pytest.approx(0, abs=1e-15)
    tiny = torch.tensor([[1.0, 5e-324]], dtype=torch.float64)
    assert np.isfinite(diversity.of_classes([tiny, torch.tensor([[1.0, 0.0]], dtype=torch.float64)]).spread)


def test_ambiguity_is_what_the_ensemble_s_squared_error_gains():
    """Krogh & Vedelsby 1995, equation 7: E = mean of members' errors - ambiguity."""
    generator = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(5, 50, 2, generator=generator).double(), torch.randn(50, 2, generator=generator).double()
    found = diversity.of_values(list(outputs))
    errors = (outputs - y).square().mean((1, 2))
    together = (outputs.mean(0) - y).square().mean()
    assert found.spread == pytest.approx(float(errors.mean() - together))
    assert found.pairwise[0, 1] == pytest.approx(float((outputs[0] - outputs[1]).square().mean().sqrt()))
    assert found.cases == 100


@pytest.mark.parametrize("of", [diversity.of_classes, diversity.of_values])
def test_parts_of_the_data_add_up(of):
    p = members()
    whole, parts = of(list(p)), of(list(p[:, :77])) + of(list(p[:, 77:]))
    np.testing.assert_allclose(parts.pairwise, whole.pairwise)
    assert parts.spread == pytest.approx(whole.spread)


def test_a_single_member_has_nothing_to_differ_from():
    found = diversity.of_classes([members()[0]])
    assert (found.disagreement, found.spread) == (0.0, pytest.approx(0, abs=1e-15))
