"""The built-in problems, against an independent preparation of their data."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from fallline.errors import FalllineError, InputError
from fallline.problems import download, load
from fallline.problems.download import Published, fetch


@pytest.fixture(autouse=True)
def nothing_of_the_users(tmp_path, monkeypatch):
    """An empty cache, no data directory, no network."""

    def refuse(address, timeout):
        raise URLError("no network in tests")

    monkeypatch.setenv("FALLLINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(download.ENVIRONMENT, raising=False)
    monkeypatch.setattr(download, "urlopen", refuse)


def test_digits_is_the_published_experiment():
    problem = load("digits")
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.15, random_state=37)
    x, x_valid, y, _ = train_test_split(x, y, test_size=0.15, random_state=37)
    scaler = StandardScaler().fit(x)
    for part, expected in ((problem.train, x), (problem.valid, x_valid), (problem.test, x_test)):
        assert torch.allclose(part.x, torch.tensor(scaler.transform(expected)).float(), atol=1e-6)
    assert problem.test.y.tolist() == y_test.tolist()
    assert [type(layer) for layer in problem.build(0)] == [nn.Linear, nn.Tanh, nn.Linear]
    assert problem.parameters_count == 64 * 100 + 100 + 100 * 10 + 10
    assert (problem.batch_size, problem.epochs, problem.metric.name) == (32, 15, "accuracy")
    assert load("digits").fingerprint == problem.fingerprint


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"digits needs scikit-learn.*pip install 'fallline\[problems\]'"):
        load("digits")


@pytest.mark.parametrize("name", ["moons", "breast_cancer"])
def test_small_ones_are_standardized_and_leave_validation_and_test_apart(name):
    problem = load(name)
    assert problem.train.x.mean(0).abs().max() < 1e-5
    assert torch.allclose(problem.train.x.std(0, correction=0), torch.ones(problem.train.x.shape[1]), atol=1e-4)
    assert problem.train.y.unique().tolist() == problem.test.y.unique().tolist() == [0, 1]
    rows = [tuple(row) for part in (problem.train, problem.valid, problem.test) for row in part.x.tolist()]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("inside", [False, True])
def test_mnist1d_from_a_directory(shared_data, inside):
    problem = load("mnist1d", shared_data / "mnist-1d" if inside else shared_data)
    assert problem.sizes == {"train": 3200, "valid": 800, "test": 1000}
    assert problem.train.x.shape == (3200, 40)
    with np.load(shared_data / "mnist-1d" / "mnist1d.npz") as arrays:
        assert np.array_equal(problem.test.x.numpy(), arrays["x_test"])


def test_mnist1d_repacked_is_the_same_data(shared_data, tmp_path):
    with np.load(shared_data / "mnist-1d" / "mnist1d.npz") as arrays:
        content = {name: arrays[name].astype(np.float64 if name[0] == "x" else np.uint8) for name in arrays}
    np.savez_compressed(tmp_path / "mnist1d.npz", **content)
    assert load("mnist1d", tmp_path).fingerprint == load("mnist1d", shared_data).fingerprint
    content["x_train"][0, 0] += 0.5
    np.savez(tmp_path / "mnist1d.npz", **content)
    with pytest.raises(FalllineError, match="not those of the published MNIST-1D"):
        load("mnist1d", tmp_path)


def test_mnist1d_is_never_unpickled(tmp_path):
    with pytest.raises(InputError, match=r"pickle.*mnist1d.npz.*--data DIR.*FALLLINE_DATA"):
        load("mnist1d")
    np.savez(tmp_path / "mnist1d.npz", x_train=np.array([object()]))
    with pytest.raises(FalllineError, match=r"mnist1d.npz cannot be read"):
        load("mnist1d", tmp_path)


def test_fashion_mnist_from_the_environments_directory(shared_data, monkeypatch):
    monkeypatch.setenv("FALLLINE_DATA", str(shared_data))
    problem = load("fashion_mnist")
    assert problem.sizes == {"train": 50_000, "valid": 10_000, "test": 10_000}
    assert problem.train.x.shape == (50_000, 784)
    assert abs(float(problem.train.x.mean())) < 1e-4
    with gzip.open(shared_data / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz") as file:
        assert bytes(problem.test.y.to(torch.uint8).numpy()) == file.read()[8:]


CONTENT = b"numbers" * 1000
SET = Published("tiny", ("tiny-set",), "https://example.org/", {"a.gz": hashlib.sha256(CONTENT).hexdigest()})


def answer(content):
    return lambda address, timeout: io.BytesIO(content)


def cached() -> Path:
    return download.cache_directory() / "data" / "tiny" / "a.gz"


@pytest.mark.parametrize("place", ["a.gz", "a", "tiny-set/a.gz", "tiny-set/a"])
def test_a_file_is_found_packed_or_not_in_the_directory_or_its_folder(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(CONTENT) if place.endswith(".gz") else CONTENT)
    assert fetch(SET, tmp_path) == {"a.gz": CONTENT}


def test_a_directory_that_is_named_is_never_left_for_a_download(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "urlopen", answer(gzip.compress(CONTENT)))
    with pytest.raises(InputError, match=r"a.gz was not found; looked in .*tiny-set"):
        fetch(SET, tmp_path)
    with pytest.raises(InputError, match=r"data must name a directory.*nowhere"):
        fetch(SET, tmp_path / "nowhere")
    monkeypatch.setenv("FALLLINE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"FALLLINE_DATA must name a directory"):
        fetch(SET)


@pytest.mark.parametrize(
    "damage", [CONTENT[:-1], gzip.compress(CONTENT)[:-20], gzip.compress(b"other")], ids=["raw", "cut", "other"]
)
def test_a_damaged_file_is_told(tmp_path, damage):
    (tmp_path / "a.gz").write_bytes(damage)
    with pytest.raises(FalllineError, match=r"a.gz (is damaged|cannot be read)"):
        fetch(SET, tmp_path)


def test_a_download_is_kept_and_used_offline(monkeypatch):
    with monkeypatch.context() as online:
        online.setattr(download, "urlopen", answer(gzip.compress(CONTENT)))
        assert fetch(SET) == {"a.gz": CONTENT}
    assert fetch(SET) == {"a.gz": CONTENT}
    assert [path.name for path in cached().parent.iterdir()] == ["a.gz"]


def test_a_damaged_copy_in_the_cache_is_downloaded_again(monkeypatch):
    cached().parent.mkdir(parents=True)
    cached().write_bytes(b"damaged")
    monkeypatch.setattr(download, "urlopen", answer(gzip.compress(CONTENT)))
    assert fetch(SET) == {"a.gz": CONTENT}
    assert gzip.decompress(cached().read_bytes()) == CONTENT


@pytest.mark.parametrize(
    "content", [gzip.compress(b"other"), b"<html>", gzip.compress(CONTENT)[:-9]], ids=["other", "page", "cut"]
)
def test_what_is_not_the_published_file_is_not_kept(monkeypatch, content):
    monkeypatch.setattr(download, "urlopen", answer(content))
    with pytest.raises(FalllineError, match=r"SHA-256 differs.*--data DIR"):
        fetch(SET)
    assert not cached().exists()


def test_offline_the_error_names_the_directory_option():
    with pytest.raises(FalllineError, match=r"could not be downloaded from https://.*no network.*--data DIR.*FALLLINE"):
        load("fashion_mnist")


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the directory should be")
    monkeypatch.setattr(download, "urlopen", answer(gzip.compress(CONTENT)))
    assert fetch(SET) == {"a.gz": CONTENT}


def test_idx():
    from fallline.problems.builtin.fashion_mnist import _idx

    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(_idx(struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + values.tobytes()), values)


def test_tiny_shakespeare_is_windows_of_the_text(shared_data):
    problem = load("tiny_shakespeare", shared_data)
    text = (shared_data / "tiny-shakespeare" / "input.txt").read_text()
    letters = sorted(set(text))

    def said(numbers):
        return "".join(letters[number] for number in numbers)

    assert said(problem.train.x[0]) == text[:256]
    assert said(problem.train.y[3]) == text[385 : 385 + 256]
    held = round(0.05 * len(text))
    assert said(problem.valid.x[0]) == text[-2 * held :][:1024]
    assert said(problem.test.x.flatten()) == text[-held:][: problem.test.x.numel()]
    assert said(problem.test.y.flatten()) == text[-held + 1 :][: problem.test.x.numel()]
    assert said(problem.train.y[-1]) in text[: -2 * held]


def test_tiny_shakespeares_loss_is_nats_a_character(shared_data):
    problem = load("tiny_shakespeare", shared_data)
    even = torch.zeros(2, 5, 65)
    assert problem.metric.mean(even, torch.zeros(2, 5, dtype=torch.int64)) == pytest.approx(np.log(65))
    assert (problem.metric.name, problem.metric.maximize) == ("loss", False)
    assert problem.build(0)(problem.valid.x[:2]).shape == (2, 1024, 65)


def test_training_windows_begin_anywhere(shared_data):
    problem = load("tiny_shakespeare", shared_data)
    x, y = problem.train.x[:8], problem.train.y[:8]
    torch.manual_seed(0)
    first, targets = problem.augmented(x, y, {})
    assert first.shape == targets.shape == (8, 128)
    assert torch.equal(first[:, 1:], targets[:, :-1])
    for window, part in zip(x, first, strict=True):
        assert any(torch.equal(window[k : k + 128], part) for k in range(129))
    assert not torch.equal(problem.augmented(x, y, {})[0], first)


@pytest.fixture(scope="module")
def fashion_mnist():
    """The plain problem, read once."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return load("fashion_mnist", path)


@pytest.mark.parametrize("name", ["fashion_mnist_mlp", "fashion_mnist_resnet", "fashion_mnist_squeezenet"])
def test_fashion_mnists_networks_share_the_data(shared_data, fashion_mnist, name):
    problem, plain = load(name, shared_data), fashion_mnist
    assert "one_cycle" in str(problem.schedule)
    assert torch.equal(problem.test.x.flatten(1), plain.test.x)
    assert torch.equal(problem.valid.y, plain.valid.y)
    x, _ = problem.augmented(problem.train.x[:4].clone(), problem.train.y[:4], {})
    assert x.shape == problem.train.x[:4].shape
    assert x.min() >= plain.train.x.min() - 1e-5


def test_quadratic_is_another_function_for_every_seed():
    problem = load("quadratic")
    model, other = problem.build(0), problem.build(1)
    assert not torch.equal(model.w, other.w)
    x, y = next(problem.train.batches(1, torch.device("cpu")))
    loss = problem.loss(model(x), y)
    w, target, theta = (t.detach().double().numpy() for t in (model.w, model.y, model.theta))
    assert loss.item() == pytest.approx(np.sum((w @ theta - target) ** 2), rel=1e-5)
    loss.backward()
    assert np.allclose(model.theta.grad, 2 * w.T @ (w @ theta - target), rtol=1e-4)
    assert (problem.parameters_count, problem.epochs, problem.metric.maximize) == (10, 100, False)


def test_quadratics_entries_are_standard_normal():
    models = [load("quadratic").model() for _ in range(200)]
    w, y = torch.stack([model.w for model in models]), torch.stack([model.y for model in models])
    assert abs(w.mean()) < 0.03
    assert abs(w.std() - 1) < 0.03
    assert abs(y.std() - 1) < 0.1


def test_turned_signals_are_shifted_around_their_end(shared_data):
    problem = load("mnist1d_cnn_turned", shared_data)
    x, y = problem.train.x[:20], problem.train.y[:20]
    torch.manual_seed(0)
    made, labels = problem.augmented(x, y, {})
    shifts = [[torch.equal(signal.roll(k), other) for k in range(40)] for signal, other in zip(x, made, strict=True)]
    assert all(map(any, shifts))
    assert len({shift.index(True) for shift in shifts}) > 10
    assert torch.equal(labels, y)
