"""Each step of augmentation does what it says, to each picture by itself, from the seed."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fallline import augmentation, models
from fallline.augmentation import ColorJitter, ColorOffset, Compose, Flip, RandomCrop, RandomScaledCrop, Standardized
from fallline.errors import InputError
from fallline.problems import Problem

STEPS = {
    "flip": Flip(0.5, 0.5),
    "crop": RandomCrop(2),
    "scaled crop": RandomScaledCrop((0.3, 1.0)),
    "jitter": ColorJitter(0.3, 0.3, 0.3, 0.1),
    "offset": ColorOffset(tuple(map(tuple, torch.eye(3).tolist())), (1.0, 0.5, 0.1)),
    "mixup": augmentation.Mixup(1.0, classes=4),
    "cutmix": augmentation.CutMix(1.0, classes=4),
}


def batch(n: int = 16, channels: int = 3, height: int = 6, width: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, height, width, generator=generator), torch.arange(n) % 4


@pytest.mark.parametrize("name", STEPS)
def test_a_step_keeps_the_shape_and_the_batch_it_was_given_and_follows_the_seed(name):
    x, y = batch()
    kept = x.clone()
    torch.manual_seed(3)
    first, targets = STEPS[name](x, y)
    again, _ = STEPS[name](x, y)
    torch.manual_seed(3)
    same, same_targets = STEPS[name](x, y)
    assert torch.equal(x, kept)
    assert first.shape == x.shape
    assert len(targets) == len(y)
    assert torch.equal(first, same)
    assert torch.equal(targets, same_targets)
    assert not torch.equal(first, again)


def test_pictures_are_flipped_one_by_one():
    x, y = batch(400)
    torch.manual_seed(0)
    flipped, _ = Flip(horizontal=0.25)(x, y)
    turned = (flipped == x.flip(-1)).flatten(1).all(1)
    assert torch.equal(flipped[~turned], x[~turned])
    assert turned.float().mean().item() == pytest.approx(0.25, abs=0.07)
    assert torch.equal(Flip(0.0, 1.0)(x, y)[0], x.flip(-2))


@pytest.mark.parametrize(("mode", "size"), [("constant", None), ("reflect", None), ("replicate", (4, 9))])
def test_a_crop_is_a_window_of_the_padded_picture(mode, size):
    x, y = batch(100)
    padded = F.pad(x, (2, 2, 2, 2), mode)
    height, width = size or x.shape[-2:]
    torch.manual_seed(0)
    cropped, _ = RandomCrop(2, size, mode)(x, y)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)
    found = (windows == cropped[:, None, None]).flatten(3).all(-1)
    assert found.flatten(1).any(1).all()
    assert len({tuple(place) for place in found.nonzero()[:, 1:].tolist()}) > 5


def test_a_scaled_crop_of_everything_is_the_picture():
    x, y = batch(height=6, width=6)
    torch.testing.assert_close(RandomScaledCrop((1.0, 1.0), (1.0, 1.0))(x, y)[0], x, rtol=0, atol=1e-5)


def test_jitter_of_brightness_multiplies_a_picture():
    x, y = batch()
    torch.manual_seed(0)
    changed, _ = ColorJitter(0.4, 0.0, 0.0)(x / 2, y)
    factors = (changed / (x / 2)).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert 0.6 <= factors.min() < 0.9
    assert 1.1 < factors.max() <= 1.4


def test_the_offset_is_the_papers_along_the_components_of_the_data():
    generator = torch.Generator().manual_seed(1)
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [0.2, 0.1, 0.3]])
    x = torch.einsum("ij,njhw->nihw", mixing, torch.randn(50, 3, 8, 8, generator=generator))
    step = ColorOffset.of(x, std=0.1)
    P, L = torch.tensor(step.components), torch.tensor(step.variances)
    covariance = torch.cov(x.transpose(0, 1).flatten(1))
    torch.testing.assert_close(P @ torch.diag(L) @ P.T, covariance, rtol=1e-4, atol=1e-5)
    torch.manual_seed(0)
    offset = step(torch.zeros(40_000, 3, 2, 1), torch.zeros(40_000))[0]
    assert torch.equal(offset[:, :, 0], offset[:, :, 1])
    expected = 0.01 * P @ torch.diag(L**2) @ P.T
    torch.testing.assert_close(torch.cov(offset[:, :, 0, 0].T), expected, rtol=0.05, atol=5e-5)


def test_steps_are_composed_in_order_and_over_pictures_as_they_were():
    x, y = batch()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    shift, scale = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    seen: list[Tensor] = []

    def darker(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(x)
        return x / 2, y

    standardized = Standardized(darker, Flip(1.0), mean=mean, std=std)
    found, _ = Compose(standardized, Flip(0.0, 1.0))((x - shift) / scale, y)
    torch.testing.assert_close(seen[0], x)
    torch.testing.assert_close(found, ((x / 2 - shift) / scale).flip(-1).flip(-2))


def test_what_a_step_does_stands_in_its_text():
    text = repr(Compose(RandomCrop(3), Standardized(ColorJitter(0.2), mean=0.5, std=0.25)))
    for part in ("padding=3", "brightness=0.2", "mean=(0.5,)", "std=(0.25,)"):
        assert part in text


def test_a_problem_is_augmented_as_its_text_says():
    x, y = batch(80, channels=1)
    model = partial(models.resnet, 8, 4, 1, width=4)
    problem = Problem(
        model, (x, y), batch_size=20, augment=Compose(RandomCrop(1), Flip(), augmentation.CutMix(classes=4))
    )
    torch.manual_seed(0)
    changed, targets = problem.augmented(x[:5], y[:5], {})
    assert changed.shape == x[:5].shape
    assert targets.shape == (5, 4)
    other = Problem(model, (x, y), batch_size=20, augment=Compose(RandomCrop(2), Flip()))
    again = Problem(model, (x, y), batch_size=20, augment=Compose(RandomCrop(2), Flip()))
    assert problem.fingerprint != other.fingerprint == again.fingerprint


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x, y: Flip(1.5), "horizontal must be a probability"),
        (lambda x, y: Flip()(x[0], y), "Flip needs pictures"),
        (lambda x, y: Flip()((255 * x).byte(), y), "of floating point; x has shape .* and type uint8"),
        (lambda x, y: RandomCrop(-1), "padding must be a whole number"),
        (lambda x, y: RandomCrop(1, (9, 9))(x, y), r"cannot cut \(9, 9\) out of \(6, 7\)"),
        (lambda x, y: RandomCrop(6, mode="reflect")(x, y), "cannot reflect 6 pixels"),
        (lambda x, y: RandomCrop(mode="wrap"), "mode must be one of"),
        (lambda x, y: RandomScaledCrop((0.5, 0.2)), "scale must be two numbers"),
        (lambda x, y: ColorJitter(hue=0.7), "hue must be a number from 0 to 0.5"),
        (lambda x, y: ColorJitter()(x[:, :1], y), "pictures of 3 channels"),
        (lambda x, y: ColorOffset(((1.0,),), (1.0, 2.0)), "2 rows of 2 numbers"),
        (lambda x, y: Standardized(Flip(), mean=(0.1, 0.2), std=1.0), "of one length"),
        (lambda x, y: Standardized(Flip(), mean=0.1, std=0.0), "std must be a number, above 0"),
        (lambda x, y: Compose(Flip(), 3), "Compose needs functions"),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make(*batch())


def test_without_kornia_one_line_says_what_to_install(monkeypatch):
    from fallline.augmentation import by_kornia

    monkeypatch.setitem(sys.modules, "kornia", None)
    by_kornia._made.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'fallline\[images\]'"):
        Flip(1.0)(*batch())
    by_kornia._made.cache_clear()
