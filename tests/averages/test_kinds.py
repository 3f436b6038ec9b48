"""Kinds of average from their text: which iterates count, with which weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline import averages
from fallline.errors import InputError


def weights(text: str, steps: int, epoch: float | None = None) -> dict[int, float]:
    """The weight that every iterate of a run has in the average at its end."""
    kind, found, count = averages.parse(text), {}, 0
    for step in range(steps):
        if kind.counts(step, steps, epoch):
            keep = kind.keep(count) if count else 0.0
            found = {k: w * keep for k, w in found.items()} | {step: 1 - keep}
            count += 1
    return found


def test_an_exponential_average_weighs_by_age_from_the_first_step_on():
    found = weights("ema(0.9)", 20)
    total = sum(0.9**age for age in range(20))
    assert found == pytest.approx({step: 0.9 ** (19 - step) / total for step in range(20)})


def test_without_debiasing_the_first_iterate_stands_for_all_before_it():
    expected = {step: 0.1 * 0.9 ** (19 - step) for step in range(20)} | {0: 0.9**19}
    assert weights("ema(0.9, debias=off)", 20) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "steps", "which"),
    [
        ("polyak", 5, [0, 1, 2, 3, 4]),
        ("polyak(50%)", 6, [3, 4, 5]),
        ("polyak(start=4 steps)", 6, [4, 5]),
        ("swa", 400, range(303, 400, 4)),
        ("swa", 8, [6, 7]),
        ("swa(50%, 2)", 10, [5, 7, 9]),
        ("swa(start=1, every=3)", 8, [1, 4, 7]),
        ("swa(start=0%, every=50%)", 8, [3, 7]),
        ("swa(start=45%, every=1 epoch)", 40, [19, 29, 39]),
        ("polyak(3.5 epochs)", 40, range(35, 40)),
    ],
)
def test_equal_averages_take_these_iterates_and_always_the_last(text, steps, which):
    which = list(which)
    assert weights(text, steps, epoch=10) == pytest.approx({step: 1 / len(which) for step in which})


@given(
    st.one_of(
        st.floats(0, 0.9999).map(lambda decay: f"ema({decay:.6f})"),
        st.floats(0, 0.9999).map(lambda decay: f" ema ( decay = {decay:.6f} , debias=off ) "),
        st.integers(0, 99).map(lambda share: f"polyak(start={share}%)"),
        st.tuples(st.integers(0, 50), st.integers(1, 40)).map(lambda pair: f"swa(start={pair[0]}, every={pair[1]}%)"),
        st.sampled_from([0.5, 1, 2.25]).map(lambda number: f"swa({number} epochs, every={number} epochs)"),
    )
)
def test_the_text_of_a_kind_is_read_as_the_same_kind(text):
    kind = averages.parse(text)
    again = averages.parse(str(kind))
    assert str(again) == str(kind)
    assert weights(str(kind), 100, 10) == weights(text, 100, 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emma", "Did you mean ema?"),
        ("ema(1)", "at least 0 and below 1"),
        ("ema(fast)", "decay of ema='fast' is not allowed; a number is needed"),
        ("ema(5%)", "decay of ema is no length; 5% is not allowed"),
        ("ema(0.9, debias=maybe)", "allowed are on and off"),
        ("ema(0.9, decay=0.99)", "given decay twice; it is ema(decay=0.999, debias=on)"),
        ("ema(rate=0.9)", "argument of ema 'rate'"),
        ("swa(75%, 1%, 3)", "was given too much; it is swa(start=75%, every=1%)"),
        ("swa(every=0)", "must be above 0"),
        ("swa(start=0.75)", "write 75% for a share of the run"),
        ("swa(start=101%)", "shares from 0% to 100%"),
        ("swa(start=-5)", "finite numbers of updates from 0 on"),
        ("swa(start=late)", "start of swa is a length, such as 5%"),
        ("swa(every=2 epocs)", "Did you mean epochs"),
        ("polyak(start=100%)", "must be below 100%"),
        ("ema(0.9", "cannot be read"),
        ("ema > ema", "nothing more should stand"),
        ("", "cannot be read"),
        (None, "average must be a text"),
    ],
)
def test_what_is_no_average_is_refused_with_what_is_allowed(text, said):
    with pytest.raises(InputError) as error:
        averages.parse(text)
    assert said in str(error.value)


def test_steps_outside_the_run_are_refused():
    with pytest.raises(InputError, match="steps count from 0"):
        averages.parse("ema").counts(10, 10)
    with pytest.raises(InputError, match="the run ends after 300"):
        averages.parse("swa(start=500)").counts(0, 300)


def test_epochs_need_to_know_how_many_updates_they_have():
    with pytest.raises(InputError, match="say how many updates an epoch has"):
        averages.parse("swa(every=1 epoch)").counts(0, 300)
