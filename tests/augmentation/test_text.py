"""Augmentations from their text: what is read, what is found out about the data, what is refused."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fallline.augmentation import (
    NAMED,
    ColorJitter,
    ColorOffset,
    Compose,
    CutMix,
    Flip,
    Mixup,
    RandomCrop,
    RandomScaledCrop,
    parse,
)
from fallline.errors import InputError
from fallline.problems import Problem


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("flip > crop(4) > cutmix(1.0)", (Flip(), RandomCrop(4), CutMix(1.0))),
        (" flip( vertical = 0.5 )>mixup ", (Flip(0.5, 0.5), Mixup())),
        ("crop(2, (20, 24), mode=reflect)", (RandomCrop(2, (20, 24), "reflect"),)),
        ("crop(size=none)", (RandomCrop(),)),
        ("scaled_crop((0.3, 1), ratio=(1, 1))", (RandomScaledCrop((0.3, 1), (1, 1)),)),
        ("color_jitter(0.1, hue=0.05) > color_offset(0.2)", (ColorJitter(0.1, hue=0.05), ColorOffset(std=0.2))),
        ("mixup(0.4, classes=7)", (Mixup(0.4, 7),)),
    ],
)
def test_a_text_is_its_steps_one_after_another(text, steps):
    assert parse(text).steps == steps


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_step_is_read_with_its_defaults_as_it_is_written(name):
    assert parse(NAMED[name].call).steps == parse(name).steps
    assert NAMED[name].summary


@given(st.text(alphabet="flip crop(4) > cutmix=,.5eno", max_size=30))
@settings(deadline=None)
def test_any_text_is_read_or_refused_with_an_error_for_people(text):
    try:
        assert parse(text).steps
    except InputError as error:
        complaint = str(error)
        assert complaint.endswith(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flpi", "unknown augmentation 'flpi'. Did you mean flip?"),
        ("crop(pad=3)", "argument of crop 'pad'"),
        ("crop(4.5)", "padding of crop=4.5 is not allowed; a whole number is needed"),
        ("crop(4, 4)", "size must be two numbers; it is 4"),
        ("crop(mode=3)", "allowed is a word, such as 'constant'"),
        ("crop(mode=wrap)", "mode must be one of 'constant'"),
        (
            "crop(1, (2, 2), reflect, 0, 1)",
            "was given too much; it is crop(padding=4, size=none, mode=constant, fill=0)",
        ),
        ("flip(2)", "horizontal must be a probability"),
        ("flip(0.5, horizontal=0.5)", "given horizontal twice"),
        ("scaled_crop(0.5)", "scale must be two numbers"),
        ("mixup(0)", "alpha must be a number, above 0"),
        ("mixup(classes=1)", "classes must be a whole number of at least 2"),
        ("crop(4", "a comma or ) should stand after 'crop(4', not the end"),
        ("flip crop", "a > or nothing more should stand after 'flip', not 'crop'"),
        ("", 'the name of a step, such as "flip > crop(4)", should stand'),
        (None, "augment must be a text"),
    ],
)
def test_what_is_no_augmentation_is_refused(text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        parse(text)


def pictures(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """From 0 to 1 in each of three channels, both ends reached."""
    x = torch.rand(n, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x[0, :, 0, 0], x[0, :, 0, 1] = 0.0, 1.0
    return x, torch.arange(n) % 4


def test_colours_are_changed_as_they_were_before_pictures_were_standardized():
    x, y = pictures()
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    standardized = (x - mean) / std
    torch.manual_seed(1)
    found, _ = parse("color_jitter(0.4, 0, 0)", standardized)(standardized, y)
    torch.manual_seed(1)
    expected, _ = ColorJitter(0.4, 0.0, 0.0)(x, y)
    torch.testing.assert_close(found, (expected - mean) / std, atol=1e-5, rtol=1e-5)
    assert parse("color_jitter", x).steps == (ColorJitter(),)


def test_an_offset_is_along_the_components_of_the_data():
    x, y = pictures()
    assert parse("color_offset(0.2)", x).steps == (ColorOffset.of(x, 0.2),)
    with pytest.raises(InputError, match="does not know the colours"):
        parse("color_offset")(x, y)


def model(classes: int = 4) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(75, classes))


def test_a_problem_tells_its_steps_what_they_need_to_know():
    data = pictures()
    problem = Problem(model, data, augment="crop(1) > color_offset > cutmix")
    torch.manual_seed(0)
    x, y = problem.augmented(*(part[:6] for part in data), {})
    assert x.shape == (6, 3, 5, 5)
    assert y.shape == (6, 4)
    assert problem.augment.steps[1] == ColorOffset.of(problem.train.x)
    same = Problem(model, data, augment=Compose(RandomCrop(1), ColorOffset.of(problem.train.x), CutMix(classes=4)))
    assert problem.fingerprint == same.fingerprint


def test_a_step_that_does_not_take_the_problems_data_is_refused():
    x = torch.randn(60, 4)
    with pytest.raises(InputError, match="Flip needs pictures"):
        Problem(lambda: nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), augment="flip")
