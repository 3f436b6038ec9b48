"""Schedules that PyTorch lacks, against the formulas of their papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fallline.schedules import REGISTRY, Absolute, follow, parse

STEPS, EPOCH = 400, 40


def values(text: str, quantity: str = "lr") -> list[float]:
    """The factors of a run of 400 updates in 10 epochs."""
    follower = follow(parse(text), examples=EPOCH, batch_size=1, epochs=STEPS // EPOCH)
    return [follower.factors(step)[quantity] for step in range(STEPS)]


def same(found: list[float], formula) -> None:
    np.testing.assert_allclose(found, [formula(t) for t in range(STEPS)], rtol=1e-12, atol=1e-15)


def test_inverse_time_falls_as_one_over_t():
    same(values("inverse_time(1, decay=0.25)"), lambda t: 1 / (1 + 0.25 * t))
    same(values("inverse_time"), lambda t: 1 / (1 + t / EPOCH))


def test_the_transformers_rate_is_the_papers_whatever_lr_is():
    found = values("transformer(512, 100)")
    same(found, lambda t: 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 100**-1.5))
    assert all(isinstance(value, Absolute) for value in found)
    assert max(found) == pytest.approx((512 * 100) ** -0.5)


def test_the_inverse_root_is_the_transformers_with_a_peak_of_one():
    same(values("inverse_sqrt(100)"), lambda t: min((t + 1) / 100, (100 / (t + 1)) ** 0.5))


@pytest.mark.parametrize("power", [1, 0.5])
def test_warm_up_stable_decay(power):
    def formula(t):
        if t < 20:
            return (t + 1) / 20
        return 1 if t < 320 else 1 - ((t - 320) / 80) ** power

    same(values(f"wsd(power={power})"), formula)


def test_the_peaks_of_warm_restarts_decay():
    def formula(t):
        number, since = divmod(t, 50)
        return 0.01 + (0.6**number - 0.01) * (1 + math.cos(math.pi * since / 50)) / 2

    same(values("restarts(50, decay=0.6, end=0.01)"), formula)


def test_normalized_weight_decay_has_the_root_of_batch_over_points_and_epochs():
    # w_norm sqrt(b / (B T)): batches of 10, 1000 points, 4 epochs
    follower = follow(parse("cosine; weight_decay: normalized"), examples=1000, batch_size=10, epochs=4)
    assert follower.factors(17)["weight_decay"] == pytest.approx(math.sqrt(10 / (1000 * 4)), rel=1e-12)


def test_with_restarts_it_is_normalized_by_each_period():
    follower = follow(parse("normalized_restarts(1 epoch, 2)"), examples=1000, batch_size=10, epochs=7)
    plain = follow(parse("restarts(1 epoch, 2)"), examples=1000, batch_size=10, epochs=7)
    for epoch, period in enumerate([1, 2, 2, 4, 4, 4, 4]):
        for step in range(100 * epoch, 100 * epoch + 100, 7):
            found = follower.factors(step)
            assert found["weight_decay"] == pytest.approx(math.sqrt(10 / (1000 * period)), rel=1e-12)
            assert found["lr"] == plain.factors(step)["lr"]


def test_the_batch_grows_by_what_the_rate_would_have_fallen():
    grown = follow(parse("batch_growth(30%, 60%, 80%, factor=5)"), examples=2000, batch_size=8, epochs=10)
    assert [grown.batch_size(epoch) for epoch in range(10)] == [8] * 3 + [40] * 3 + [200] * 2 + [1000] * 2
    assert grown.steps == 3 * 250 + 3 * 50 + 2 * 10 + 2 * 2
    assert {grown.factors(step)["lr"] for step in range(grown.steps)} == {1.0}


def test_at_its_limit_the_rate_falls_instead():
    text = "batch_growth(30%, 60%, 80%, factor=5, limit=25)"
    limited = follow(parse(text), examples=2000, batch_size=8, epochs=10)
    assert [limited.batch_size(epoch) for epoch in range(10)] == [8] * 3 + [40] * 3 + [200] * 4
    rates = [limited.factors(limited.first_step(epoch))["lr"] for epoch in range(10)]
    assert rates == pytest.approx([1.0] * 8 + [0.2] * 2, rel=1e-12)


def test_what_else_is_scheduled_ends_with_the_data_however_much_the_batch_grows():
    text = "lr: linear; batch_size: multi_step(50%, factor=4)"
    follower = follow(parse(text), examples=100, batch_size=5, epochs=4)
    assert follower.steps == 2 * 20 + 2 * 5
    rates = [follower.factors(step)["lr"] for step in range(follower.steps)]
    same_data = [1 - t / 80 for t in [*range(40), *range(40, 80, 4)]]
    np.testing.assert_allclose(rates, same_data, rtol=1e-12)


def test_a_warm_up_begins_with_a_rate_that_is_not_lost_and_ends_at_one():
    found = values("warmup(40) > constant")
    assert found[0] == 1 / 40
    assert found[39] < found[40] == 1.0


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_schedule_names_its_paper_and_says_what_it_does(name):
    schedule = REGISTRY[name]
    assert schedule.paper
    assert schedule.summary.endswith(".")
    assert schedule.call.startswith(f"{name}(")
