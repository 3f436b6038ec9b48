"""Fractional max pooling: PyTorch's in training, a fixed average over regions at test time, the paper's over passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fallline.errors import InputError
from fallline.layers import FractionalMaxPool2d, average_over_regions

from ..stacking.both import Both


def starts(size: int, out: int, kernel: int, offset: float) -> list[int]:
    """Where pooling regions begin: the paper's pseudorandom sequence, from an offset in [0, 1)."""
    alpha = (size - kernel) / (out - 1)
    return [int((i + offset) * alpha) - int(offset * alpha) for i in range(out - 1)] + [size - kernel]


def pooled(x: Tensor, out: int, kernel: int, offsets: tuple[float, float]) -> Tensor:
    # PyTorch's first offset is of the width
    columns, rows = (starts(size, out, kernel, o) for size, o in zip((x.shape[3], x.shape[2]), offsets, strict=True))
    windows = [[x[:, :, r : r + kernel, c : c + kernel].amax((2, 3)) for c in columns] for r in rows]
    return torch.stack([torch.stack(row, -1) for row in windows], -2)


def test_in_training_it_is_pytorchs():
    x = torch.randn(2, 3, 9, 9)
    torch.manual_seed(0)
    ours = FractionalMaxPool2d(2, output_ratio=0.7)(x)
    torch.manual_seed(0)
    assert torch.equal(ours, nn.FractionalMaxPool2d(2, output_ratio=0.7)(x))


def test_at_test_time_it_is_the_mean_over_regions_that_are_always_the_same():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, 10, dtype=torch.float64)
    layer = FractionalMaxPool2d(2, output_size=6, regions=5).eval()
    golden = (5**0.5 - 1) / 2
    offsets = [((k + 0.5) / 5, (k + 0.5) * golden % 1) for k in range(5)]
    expected = torch.stack([pooled(x, 6, 2, pair) for pair in offsets]).mean(0)
    torch.testing.assert_close(layer(x), expected)
    assert torch.equal(layer(x), layer(x))


def test_the_mean_over_many_regions_is_the_expectation_of_training():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 7, 7, dtype=torch.float64)
    layer = FractionalMaxPool2d(2, output_size=5, regions=400)
    drawn = layer(x.expand(20_000, 1, 7, 7)).mean(0)
    torch.testing.assert_close(layer.eval()(x)[0], drawn, rtol=0, atol=0.03)


def test_predictions_can_be_averaged_over_passes_with_other_regions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), FractionalMaxPool2d(2, output_size=3), nn.Flatten(), nn.Linear(9, 4))
    x = torch.randn(5, 1, 6, 6)
    torch.manual_seed(1)
    found = average_over_regions(model, x, passes=7, of=lambda y: y.softmax(-1))
    torch.manual_seed(1)
    pool = nn.FractionalMaxPool2d(2, output_size=3)
    passes = [model[3](pool(x).flatten(1)).softmax(-1) for _ in range(7)]
    torch.testing.assert_close(found, torch.stack(passes).mean(0))
    assert all(module.training for module in model.modules())
    assert torch.equal(model.eval()(x), model(x))


def test_a_model_without_such_a_layer_is_refused():
    with pytest.raises(InputError, match=r"no fallline\.layers\.FractionalMaxPool2d"):
        average_over_regions(nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(InputError, match="FractionalMaxPool2d"):
        FractionalMaxPool2d(2)
    with pytest.raises(InputError, match="regions must be a whole number of at least 1; it is 0"):
        FractionalMaxPool2d(2, output_size=3, regions=0)


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("kind", [FractionalMaxPool2d, nn.FractionalMaxPool2d], ids=["ours", "PyTorch's"])
def test_in_a_stack_each_trial_has_the_regions_that_it_has_alone(kind, train):
    both = Both(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), kind(2, output_ratio=0.7)), (1, 8, 8), train=train)
    both.check()


def test_pictures_that_all_trials_share_are_pooled_in_regions_of_each():
    both = Both(
        lambda: nn.Sequential(nn.FractionalMaxPool2d(2, output_size=4), nn.Flatten(), nn.Linear(16, 2)), (1, 8, 8)
    )
    both.x = both.x[0].detach()
    losses, _ = both.stacked((0, 0, None, 0))
    for k, model in enumerate(both.models):
        torch.manual_seed(both.seeds[k])
        torch.testing.assert_close(losses[k], both.loss(model(both.x), both.y[k]))
