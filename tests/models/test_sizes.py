"""Numbers of parameters, against the papers' and against formulas written for them alone; shapes; what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from fallline import models
from fallline.errors import InputError


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def convolution(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    return inputs * outputs * kernel**2 + outputs * bias


def fires(inputs: int, base_e=128, incr_e=128, pct3x3=0.5, freq=2, SR=0.125, added: str = "none") -> tuple[int, int]:
    """The parameters of Fire modules 2 to 9 and the number of channels that leaves them (section 5.1 of the paper)."""
    total = 0
    for i in range(8):
        e = base_e + incr_e * (i // freq)
        s, e3 = int(SR * e), int(pct3x3 * e)
        total += convolution(inputs, s, 1) + convolution(s, e - e3, 1) + convolution(s, e3, 3)
        total += convolution(inputs, e, 1) if added == "complex" and inputs != e else 0
        inputs = e
    return total, inputs


def squeezenet(filters: int, kernel: int, classes: int, channels: int = 3, **metaparameters) -> int:
    inner, last = fires(filters, **metaparameters)
    return convolution(channels, filters, kernel) + inner + convolution(last, classes, 1)


def resnet(depth: int, width: int = 16, channels: int = 3, classes: int = 10, option: str = "A") -> int:
    n = (depth - 2) // 6
    total = convolution(channels, width, 3, bias=False) + 2 * width
    for stage in range(3):
        c = width * 2**stage
        first = c if stage == 0 else c // 2
        total += convolution(first, c, 3, bias=False) + (2 * n - 1) * convolution(c, c, 3, bias=False) + 2 * n * 2 * c
        total += convolution(first, c, 1, bias=False) + 2 * c if stage and option == "B" else 0
    return total + (4 * width + 1) * classes


def test_squeezenet_has_the_papers_number_of_parameters():
    assert size(models.squeezenet()) == squeezenet(96, 7, 1000) == 1_248_424
    assert size(models.squeezenet("1.1")) == squeezenet(64, 3, 1000) == 1_235_496


@pytest.mark.parametrize(
    "metaparameters",
    [
        {"SR": 0.5},
        *({"pct3x3": share} for share in (0.0, 0.25, 1.0)),
        {"base_e": 64, "incr_e": 32, "freq": 4},
        {"freq": 1, "incr_e": 16},
    ],
    ids=str,
)
def test_metaparameters_shape_the_fire_modules(metaparameters):
    assert size(models.squeezenet(**metaparameters)) == squeezenet(96, 7, 1000, **metaparameters)


def test_fire_modules_are_those_of_the_papers_table():
    model = models.squeezenet()
    table = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    for i, (squeeze, expand) in enumerate(table, 2):
        fire = model.get_submodule(f"fire{i}")
        shapes = (fire.squeeze.out_channels, fire.expand1.out_channels, fire.expand3.out_channels)
        assert shapes == (squeeze, expand, expand)


def sides(model: nn.Module, side: int, kinds: tuple[type[nn.Module], ...]) -> dict[str, int]:
    """The sides of what each layer of these kinds gives for square pictures, none of which are computed."""
    found: dict[str, int] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda layer, x, y, name=name: found.update({name: y.shape[-1]}))
    model(torch.empty(1, 3, side, side, device="meta"))
    return found


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        # table 1 of the paper, whose 111 are those of 227 pixels
        ("1.0", {"conv1": 111, "pool1": 55, **dict.fromkeys(("fire2", "fire3", "fire4"), 55), "pool4": 27}
         | {**dict.fromkeys(("fire5", "fire6", "fire7", "fire8"), 27), "pool8": 13, "fire9": 13, "conv10": 13}),
        # of the revision, which pools after conv1, fire3 and fire5
        ("1.1", {"conv1": 113, "pool1": 56, "fire2": 56, "fire3": 56, "pool3": 28, "fire4": 28, "fire5": 28}
         | {"pool5": 14, **dict.fromkeys(("fire6", "fire7", "fire8", "fire9", "conv10"), 14)}),
    ],
    ids=["1.0", "1.1"],
)  # fmt: skip
def test_squeezenet_halves_pictures_where_the_paper_does(version, expected):
    with torch.device("meta"):
        model = models.squeezenet(version)
    found = sides(model, 227, (nn.Conv2d, nn.MaxPool2d, models.Fire))
    assert {name: side for name, side in found.items() if "." not in name} == expected


def test_alexnet_halves_pictures_where_the_paper_does():
    with torch.device("meta"):
        model = models.alexnet()
    found = sides(model, 224, (nn.Conv2d, nn.MaxPool2d))
    # five convolutions, with poolings after the first, the second and the fifth
    assert list(found.values()) == [55, 27, 27, 13, 13, 13, 13, 6]


def test_the_last_convolution_of_squeezenet_has_a_relu_for_many_classes_alone():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 64, 64)
    large, small = (models.squeezenet("1.1", 10, stem=stem, base_e=16, incr_e=8).eval() for stem in ("large", "small"))
    for model in (large, small):
        model.get_submodule("conv10").bias.data.fill_(-0.01)
    relus = [sum(isinstance(layer, nn.ReLU) for layer in model) for model in (large, small)]
    assert relus == [2, 1]
    assert large(x).min() >= 0
    assert small(x).min() < 0


def test_bypasses_are_where_the_paper_has_them():
    simple, complex_ = models.squeezenet(bypass="simple"), models.squeezenet(bypass="complex")
    assert size(simple) == size(models.squeezenet())
    assert [i for i in range(2, 10) if simple.get_submodule(f"fire{i}").bypass is not None] == [3, 5, 7, 9]
    assert all(complex_.get_submodule(f"fire{i}").bypass is not None for i in range(2, 10))
    assert size(complex_) == squeezenet(96, 7, 1000, added="complex")


def test_batch_norm_has_a_gain_and_a_bias_in_place_of_each_bias_but_the_last():
    plain, normalized = models.squeezenet(bypass="complex"), models.squeezenet(bypass="complex", batch_norm=True)
    channels = [m.out_channels for m in plain.modules() if isinstance(m, nn.Conv2d)][:-1]
    assert size(normalized) == size(plain) + sum(channels)


def test_alexnet_has_its_number_of_parameters():
    convolutions = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    linear = [(a + 1) * b for a, b in pairwise((256 * 36, 4096, 4096, 1000))]
    with torch.device("meta"):
        model = models.alexnet()
    assert size(model) == sum(convolution(*c) for c in convolutions) + sum(linear) == 61_100_840


def test_squeezenet_is_about_fifty_times_smaller_than_alexnet():
    with torch.device("meta"):
        assert 48 < size(models.alexnet()) / size(models.squeezenet()) < 50


@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_resnet_has_the_papers_number_of_parameters(depth, count):
    assert size(models.resnet(depth)) == resnet(depth) == count
    assert size(models.resnet(depth, skip=False)) == count


def test_a_resnets_depth_is_its_number_of_layers_with_weights():
    for depth in (8, 20, 110):
        layers = [m for m in models.resnet(depth).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(layers) == depth


def test_shortcuts_of_option_b_have_weights_of_their_own():
    assert size(models.resnet(20, shortcut="B", width=8, channels=1)) == resnet(20, 8, 1, option="B")


def test_character_models_have_the_parameters_of_their_equations():
    lstm = models.CharLSTM(65, 32, layers=2)
    assert size(lstm) == 65 * 32 + 65 + 2 * (4 * 32 * (32 + 32) + 8 * 32)
    narrow = models.CharLSTM(65, 32, embedding=16)
    assert size(narrow) == 65 * 16 + 65 + 4 * 32 * (16 + 32) + 8 * 32 + 33 * 16
    apart = models.CharLSTM(65, 32, tied=False)
    assert size(apart) - size(models.CharLSTM(65, 32)) == 65 * 32
    block = (4 * 32**2 + 4 * 32) + (2 * 32 * 128 + 128 + 32) + 2 * 2 * 32
    assert size(models.CharTransformer(65, 32, layers=3)) == 65 * 32 + 3 * block + 2 * 32


def test_the_network_of_mnist1d_has_the_papers_number_of_parameters():
    assert size(models.mnist1d_cnn()) == (25 * 5 + 25) + 2 * (25 * 25 * 3 + 25) + (125 + 1) * 10 == 5_210


@pytest.mark.parametrize(
    ("make", "example", "out"),
    [
        (lambda: models.mlp(7, 5, 3, dropout=0.1, batch_norm=True), (7,), (3,)),
        (lambda: models.mnist1d_cnn(classes=4, length=23), (23,), (4,)),
        (lambda: models.squeezenet("1.0", 7, base_e=16, incr_e=8), (3, 64, 48), (7,)),
        (lambda: models.squeezenet("1.1", 10, 1, stem="small", base_e=16, incr_e=8), (1, 28, 28), (10,)),
        (lambda: models.squeezenet("1.0", 10, 1, stem="small", base_e=16, incr_e=8), (1, 16, 16), (10,)),
        (lambda: models.resnet(8, channels=1, width=4), (1, 28, 28), (10,)),
        (lambda: models.resnet(8, classes=3, width=4, shortcut="B"), (3, 33, 32), (3,)),
    ],
    ids=["mlp", "mnist1d", "squeezenet 1.0", "small 1.1", "small 1.0", "resnet of grey pictures", "resnet, odd size"],
)
def test_outputs_have_a_row_for_each_example(make, example, out):
    assert make().eval()(torch.randn(2, *example)).shape == (2, *out)


def test_alexnet_scores_pictures_of_the_size_it_was_made_for():
    with torch.device("meta"):
        model = models.alexnet(classes=10)
        assert model(torch.empty(2, 3, 224, 224)).shape == (2, 10)
        assert model(torch.empty(2, 3, 63, 63)).shape == (2, 10)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: models.resnet(21), r"6n \+ 2, such as 20 or 26; it is 21"),
        (lambda: models.resnet(20, skip=False, stochastic_depth=0.1), "skip=False"),
        (lambda: models.resnet(20, stochastic_depth=1.0), "stochastic_depth must be a number"),
        (lambda: models.resnet(20, shortcut="C"), "shortcut must be one of 'A', 'B'; it is 'C'"),
        (lambda: models.squeezenet("1.2"), "version must be one of '1.0', '1.1'"),
        (lambda: models.squeezenet(pct3x3=1.2), "pct3x3 must be a share"),
        (lambda: models.squeezenet(SR=0), "SR must be a number, above 0"),
        (lambda: models.squeezenet(bypass="some"), "bypass must be"),
        (lambda: models.Fire(6, 2, 2, 4, "some"), "bypass must be one of 'none', 'simple', 'complex'; it is 'some'"),
        (lambda: models.Fire(6, 2, 2, 5, "some"), "bypass must be"),
        (lambda: models.Fire(6, 2, 0, 0), r"expand1 \+ expand3 must be a whole number of at least 1"),
        (lambda: models.Fire(6, 0, 2, 4), "squeeze must be a whole number of at least 1"),
        (lambda: models.Residual(4, 4, shortcut=None, rate=0.1), "rate leaves out residual branches; shortcut=None"),
        (lambda: models.Residual(4, 0), "outputs must be a whole number of at least 1"),
        (lambda: models.mlp(3), "inputs and outputs"),
        (lambda: models.mlp(3, 0, 2), "every width of mlp"),
        (lambda: models.mnist1d_cnn(length=2), "too short"),
        (lambda: models.CharTransformer(65, 30, heads=4), "multiple of heads=4"),
        (lambda: models.CharLSTM(0), "vocabulary must be a whole number of at least 1; it is 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_argument_named(make, said):
    with pytest.raises(InputError, match=said):
        make()
