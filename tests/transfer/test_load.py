"""Weights from checkpoints of all kinds into models that are a little different."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fallline import transfer
from fallline.averages import Average
from fallline.errors import InputError


class Net(nn.Module):
    """A backbone with a batch norm, and a head."""

    def __init__(self, classes: int = 10, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Tanh())
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(self.body(x))


@pytest.fixture
def trained() -> Net:
    torch.manual_seed(1)
    model = Net()
    model(torch.randn(20, 3))
    return model


def prefixed(model: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in model.state_dict().items()}


CONTENTS = {
    "a state dict": lambda m: m.state_dict(),
    "of distributed training": lambda m: prefixed(m, "module."),
    "of torch.compile": lambda m: prefixed(m, "_orig_mod."),
    "under model": lambda m: {"model": m.state_dict(), "epoch": 3},
    "under state_dict": lambda m: {"state_dict": prefixed(m, "net."), "optimizer": OrderedDict(lr=0.1)},
    "beside an optimizer and an average": lambda m: {
        "optimizer": torch.optim.Adam(m.parameters()).state_dict(),
        "model": m.state_dict(),
        "ema": {name: torch.zeros_like(value) for name, value in m.state_dict().items()},
    },
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_of_torch_gives_its_weights_however_they_are_wrapped(trained, tmp_path, content):
    torch.save(content(trained), tmp_path / "a.pt")
    model = Net()
    report = transfer.load_weights(model, tmp_path / "a.pt")
    for name, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert report.loaded == tuple(trained.state_dict())
    assert (report.missing, report.skipped, dict(report.mismatched)) == ((), (), {})


def test_safetensors_as_a_file_or_as_the_directory_that_holds_it(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    for source in (tmp_path / "model.safetensors", str(tmp_path), trained, trained.state_dict()):
        model = Net()
        transfer.load_weights(model, source)
        assert torch.equal(model.fc.weight, trained.fc.weight)


def test_a_head_of_other_shape_stays_fresh_and_the_report_says_so(trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "a.pt")
    model = Net(classes=5)
    before = model.fc.weight.clone()
    report = transfer.load_weights(model, tmp_path / "a.pt")
    assert torch.equal(model.fc.weight, before)
    assert torch.equal(model.body[0].weight, trained.body[0].weight)
    assert report.skipped == ("fc.weight", "fc.bias")
    assert report.mismatched == {"fc.weight": ((10, 4), (5, 4)), "fc.bias": ((10,), (5,))}
    assert "The head stays fresh: fc.weight, fc.bias (shapes differ: fc.weight (10, 4) for (5, 4)" in str(report)


def test_a_head_of_the_same_shape_is_left_fresh_where_that_is_asked_for(trained):
    model = Net()
    before = model.fc.weight.clone()
    assert transfer.load_weights(model, trained, head="skip").skipped == ("fc.weight", "fc.bias")
    assert torch.equal(model.fc.weight, before)


def test_the_head_can_be_named(trained):
    class Upside(Net):
        def __init__(self, classes: int) -> None:
            nn.Module.__init__(self)
            self.fc = nn.Linear(4, classes)
            self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh())

    with pytest.raises(InputError, match=r"fc.weight is \(10, 4\) there and \(5, 4\) here"):
        transfer.load_weights(Upside(5), trained)
    assert transfer.load_weights(Upside(5), trained, head="fc").skipped == ("fc.weight", "fc.bias")


def test_what_is_missing_and_what_is_more_is_told(trained):
    held = trained.state_dict()
    del held["body.0.bias"]
    report = transfer.load_weights(Net(), {**held, "aux.weight": torch.zeros(2)})
    assert (report.missing, report.unexpected) == (("body.0.bias",), ("aux.weight",))
    assert "8 of the model's 9 tensors loaded from the state dict." in str(report)
    assert "Not in the checkpoint, left as they were: body.0.bias." in str(report)
    assert "In the checkpoint alone, not used: aux.weight." in str(report)


@pytest.mark.parametrize(
    ("model", "source", "options", "said"),
    [
        (lambda: Net(width=6), None, {}, r"body.0.weight is \(4, 3\) there and \(6, 3\) here"),
        (lambda: Net(classes=5), None, {"head": "load"}, r"fc.weight is \(10, 4\) there"),
        (lambda: Net(classes=5), None, {"head": "classifier"}, "the last are body.0, fc"),
        (Net, {"other": torch.zeros(2)}, {}, "its names are like 'other', the model's like 'body.0.weight'"),
        (Net, {"fc.weight": torch.zeros(10, 4)}, {"head": "skip"}, "nothing for the model but its head"),
        (Net, {"fc.bias": torch.full((10,), float("nan"))}, {}, "not finite, in fc.bias"),
        (Net, 3, {}, "this is a int"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(trained, model, source, options, said):
    model = model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=said):
        transfer.load_weights(model, trained if source is None else source, **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Dangerous:
    """What runs a program when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import builtins; builtins.opened = True",))


def test_a_pickle_is_not_opened(trained, tmp_path):
    import builtins

    torch.save({"model": trained.state_dict(), "extra": Dangerous()}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Dangerous()))
    torch.save(trained, tmp_path / "whole.pt")
    for name in ("bad.pt", "plain.pt", "whole.pt"):
        with pytest.raises(InputError, match="a pickle can run any program"):
            transfer.load_weights(Net(), tmp_path / name)
    assert not hasattr(builtins, "opened")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.pt", None, "there is no checkpoint"),
        ("junk.pt", b"hello", "no checkpoint"),
        ("junk.safetensors", b"hello", "cannot be read as safetensors"),
        ("empty.pt", b"", "no checkpoint"),
    ],
)
def test_files_that_are_no_checkpoints_are_told(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        transfer.load_weights(Net(), tmp_path / name)


def test_a_file_without_tensors_and_a_directory_without_weights_are_told(tmp_path):
    torch.save({"epoch": 3, "lr": [0.1]}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="nothing there maps names to tensors"):
        transfer.load_weights(Net(), tmp_path / "a.pt")
    with pytest.raises(InputError, match="name the file"):
        transfer.load_weights(Net(), tmp_path)


def test_tied_weights_are_loaded_from_either_of_their_names():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight

    model = Tied()
    report = transfer.load_weights(model, {"embedding.weight": torch.ones(5, 3)}, head="load")
    assert report.missing == ()
    assert bool((model.head.weight == 1).all())


def test_types_and_devices_stay_those_of_the_model(trained):
    model = Net().double()
    transfer.load_weights(model, trained)
    assert model.fc.weight.dtype == torch.float64
    assert torch.equal(model.fc.weight, trained.fc.weight.double())


def test_an_average_s_state_and_a_compiled_model_fit_too(trained):
    average = Average(trained, "polyak")
    average.update(0, 1)
    model = torch.compile(Net(), backend="eager")
    transfer.load_weights(model, average.state())
    assert torch.equal(model.fc.weight, trained.fc.weight)


def test_a_lazy_model_is_to_see_a_batch_first(trained):
    with pytest.raises(InputError, match="learn their shape from the first batch"):
        transfer.load_weights(nn.Sequential(nn.LazyLinear(4)), trained)
