"""The text of schedules: read, written, refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import InputError
from fallline.schedules import QUANTITIES, REGISTRY, follow, parse, schedule

LENGTHS = st.one_of(
    st.integers(1, 100).map(lambda n: f"{n}%"),
    st.integers(1, 10_000).map(str),
    st.integers(1, 10_000).map(lambda n: f"{n} steps"),
    st.sampled_from([0.5, 1, 2, 10]).map(lambda n: f"{n} epochs"),
)


@st.composite
def terms(draw, with_length: bool) -> str:
    schedule = draw(st.sampled_from(sorted(REGISTRY.values(), key=lambda each: each.name)))
    said = []
    for parameter in schedule.parameters:
        if parameter.default is not None and draw(st.booleans()):
            continue
        if parameter.kind == "length":
            said += [
                f"{parameter.name}={draw(LENGTHS)}" for _ in range(draw(st.integers(1, 3 * parameter.several + 1)))
            ]
        else:
            said.append(f"{parameter.name}={draw(st.sampled_from([1, 1.0, 0.5 if 0.5 in parameter.bounds else 1]))}")
    if with_length:
        said.append(f"length={draw(LENGTHS)}")
    spaces = draw(st.sampled_from(["", " ", "  "]))
    return schedule.name + (f"{spaces}({f',{spaces}'.join(said)})" if said else "")


@st.composite
def texts(draw) -> str:
    """A clause of a few stages for a quantity that all of them can set."""
    stages = [draw(terms(k > 0)) for k in range(draw(st.integers(1, 3)))]
    text = draw(st.sampled_from([">", " > "])).join(stages)
    single = all(len(REGISTRY[stage.partition("(")[0].strip()].sets) == 1 for stage in stages)
    quantity = draw(st.sampled_from(["", *QUANTITIES[:3]])) if single else ""
    return f"{quantity}: {text}" if quantity else text


@given(texts())
@settings(deadline=None)
def test_the_text_of_what_was_parsed_says_the_same(text):
    parsed = parse(text)
    assert parse(str(parsed)) == parsed
    assert str(parse(str(parsed))) == str(parsed)
    assert parse(parsed) is parsed


@given(st.text(alphabet="cosine warmup(5%)>*;:,=1.e-x", max_size=30))
@settings(deadline=None)
def test_any_text_is_read_or_refused_with_an_error_for_people(text):
    try:
        assert parse(text).quantities
    except InputError as error:
        complaint = str(error)
        assert complaint.endswith(".")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" warmup( 5 % )>cosine ", "warmup(5%) > cosine"),
        ("cosine(end=0)", "cosine"),
        ("step(every=5 epochs, factor=0.1)", "step(5 epochs)"),
        ("multi_step(10%,20 steps, 1 epoch)", "multi_step(10%, 20, 1 epoch)"),
        ("lr:one_cycle ;weight_decay : linear(end=1e-1);", "lr: one_cycle; weight_decay: linear(end=0.1)"),
        ("cosine(50%)*linear > constant", "cosine(50%) * linear > constant"),
    ],
)
def test_the_text_has_one_form(text, normal):
    assert str(parse(text)) == normal


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cosin", "unknown schedule 'cosin'. Did you mean cosine"),
        ("wram_up(5%) > cosine", "Did you mean warmup?"),
        ("rate: cosine", "unknown quantity 'rate'"),
        ("momentun: cosine", "Did you mean momentum?"),
        ("step(10 epochs, factr=2)", "Did you mean factor?"),
        ("step(10 epocs)", "Did you mean epochs"),
        ("step(factor=-1)", "factor=-1 is not allowed for step; allowed: numbers above 0"),
        ("plateau(patience=1.5)", "allowed: whole numbers of at least 0"),
        ("cosine(end=5%)", "end of cosine is a number, not a length such as 5%"),
        ("warmup(0.05) > cosine", "write 5% for a share of the run"),
        ("warmup(0%) > cosine", "a length of 0% is not allowed for warmup; allowed are lengths above 0"),
        ("warmup(101%) > cosine", "shares from 0% to 100%"),
        ("warmup(1e999) > cosine", "a length of inf is not allowed"),
        ("warmup(5%) > cosine > linear", "does not say how long 'cosine' lasts, nor 'linear'"),
        ("warmup(5%, 2, 3)", "was given too much; it is warmup(length, start=0)"),
        ("warmup(5%, length=5%)", "was given length twice"),
        ("transformer(512)", "transformer needs warmup"),
        ("multi_step", "multi_step needs milestones"),
        ("cosine; lr: linear", "lr is scheduled twice"),
        ("weight_decay: one_cycle", "one_cycle sets lr and momentum; it cannot be used for weight_decay"),
        ("batch_size: plateau", "a batch size cannot depend on the validation loss"),
        ("cosine(50%) * linear(50%)", "more than one length"),
        ("cosine(5%", "a comma or ) should stand after 'cosine(5%', not the end"),
        ("cosine linear", "one of > * ; should stand after 'cosine', not 'linear'"),
        ("", 'the name of a schedule, such as "warmup(5%) > cosine", should stand, not the end'),
        (None, "schedule must be a text, such as"),
        (3, "it is a int"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        parse(text)


def test_a_schedule_of_ones_own_needs_no_annotations():
    try:

        @schedule(paper="mine")
        def turned_by(at, steps, *, by: float = 2.0, power=1):
            return -by * (at / steps) ** power

        run = follow(parse("turned_by(by=-4, power=2)"), examples=10, batch_size=1, epochs=1)
        assert run.factors(5) == {"lr": 1.0}
    finally:
        REGISTRY.pop("turned_by", None)
