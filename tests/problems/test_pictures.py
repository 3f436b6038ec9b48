"""Folders of pictures: classes and splits by folder, one form for all, in memory or from disk, and what is refused."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from fallline.errors import InputError
from fallline.problems import load
from fallline.problems.data import Arrays, Stream
from fallline.problems.pictures import from_folder
from fallline.problems.pictures.source import Files, Form


def pixels(height, width, seed=0, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures of 12x10 pixels in each of two classes."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for k in range(20):
            Image.fromarray(pixels(12, 10, 100 * label + k)).save(tmp_path / "pets" / name / f"{k:02d}.png")
    return tmp_path / "pets"


def saying(problem, text):
    return [note for note in problem.notes if text in note]


def test_a_folder_a_class_becomes_a_problem(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    problem = load("pets")
    assert (problem.name, problem.source) == ("pets", str(folder))
    assert problem.sizes == {"train": 26, "valid": 8, "test": 6}
    assert problem.train.x.shape == (26, 3, 12, 10)
    assert problem.train.y.bincount().tolist() == [13, 13]
    assert torch.allclose(problem.train.x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(problem.train.x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert saying(problem, "Classification into 2 classes: cat, dog.")
    assert load("pets/").fingerprint == problem.fingerprint


def test_pictures_are_what_pillow_reads(folder):
    shutil.copytree(folder, folder.parent / "split" / "train")
    shutil.copytree(folder, folder.parent / "split" / "test")
    problem = from_folder(folder.parent / "split")
    assert problem.sizes == {"train": 32, "valid": 8, "test": 40}
    assert problem.test.y.tolist() == [0] * 20 + [1] * 20
    shown = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))]).transpose(0, 3, 1, 2)
    for channel in range(3):  # of each, a straight line of the pixels
        line = np.polyfit(shown[:, channel].ravel(), problem.test.x[:, channel].numpy().ravel(), 1)
        assert np.allclose(problem.test.x[:, channel], np.polyval(line, shown[:, channel]), atol=1e-4)


@pytest.mark.parametrize("names", ["train valid test", "training val testing", "Train dev TEST"])
def test_splits_by_folder(folder, names):
    for name in names.split():
        shutil.copytree(folder, folder.parent / "split" / name)
    problem = load(str(folder.parent / "split"))
    assert problem.sizes == {"train": 40, "valid": 40, "test": 40}
    assert not saying(problem, "held out")


def test_classes_may_be_called_train_and_test(folder):
    for old, new in (("cat", "train"), ("dog", "test")):
        (folder / old).rename(folder / new)
    assert saying(load(str(folder)), "2 classes: test, train")


def test_many_pictures_are_read_from_disk_in_the_same_form(folder):
    kept, read = from_folder(folder), from_folder(folder, in_memory=1000)
    assert isinstance(kept.train, Arrays)
    assert isinstance(read.train, Stream)
    assert saying(read, "more than the 0 MiB that are kept in memory")
    x, y = next(read.test.batches(6, torch.device("cpu")))
    assert torch.allclose(x, kept.test.x, atol=1e-5)
    assert torch.equal(y, kept.test.y)
    assert torch.equal(read.train.labels(), kept.train.y)
    assert len(pickle.loads(pickle.dumps(read)).train) == 26


@pytest.mark.parametrize("in_memory", [2**30, 1000], ids=["memory", "disk"])
def test_the_fingerprint_depends_on_every_picture_and_not_on_the_place(folder, in_memory):
    before = from_folder(folder, in_memory=in_memory).fingerprint
    shutil.copytree(folder, folder.parent / "elsewhere" / "pets")
    assert from_folder(folder.parent / "elsewhere" / "pets", in_memory=in_memory).fingerprint == before
    Image.fromarray(pixels(12, 10, 999)).save(folder / "dog" / "07.png")
    assert from_folder(folder, in_memory=in_memory).fingerprint != before


def test_sizes_that_differ_are_scaled_and_cut_and_notes_say_so(folder):
    Image.fromarray(pixels(30, 90)).save(folder / "cat" / "wide.png")
    problem = load(str(folder))
    assert problem.train.x.shape[1:] == (3, 10, 10)
    assert saying(problem, "differ in size (10x12 to 90x30) pixels: each was scaled to a shorter side of 10 pixels")
    assert from_folder(folder, size=16).train.x.shape[1:] == (3, 16, 16)
    with pytest.raises(InputError, match="size must be a whole number of pixels, at least 8; it is 2"):
        from_folder(folder, size=2)


def test_large_pictures_become_64_pixels(folder):
    for path in folder.rglob("*.png"):
        Image.fromarray(pixels(90, 120)).save(path)
    problem = load(str(folder))
    assert problem.train.x.shape[1:] == (3, 64, 64)
    assert saying(problem, "are 120x90 pixels: each was scaled to a shorter side of 64 pixels")


def test_grey_stays_grey_and_mixtures_become_coloured(folder):
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert load(str(folder)).train.x.shape[1] == 1
    Image.fromarray(pixels(12, 10)).save(folder / "cat" / "coloured.jpg")
    problem = load(str(folder))
    assert problem.train.x.shape[1] == 3
    assert saying(problem, "Grey and coloured pictures are mixed (40 L, 1 RGB)")


def read(tmp_path, image, form, **save):
    image.save(tmp_path / "one.png", **save)
    return form.read(Files((tmp_path / "one.png",), (0,), tmp_path), 0)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    image = Image.fromarray(np.array([[0, 257, 65535]], np.uint16))
    assert read(tmp_path, image, Form(1, 3, 1)).tolist() == [[[0, 1, 255]]]


def test_transparent_is_white(tmp_path):
    image = Image.fromarray(np.array([[[9, 8, 7, 0], [9, 8, 7, 255]]], np.uint8))
    assert read(tmp_path, image, Form(1, 2, 3))[:, 0].T.tolist() == [[255, 255, 255], [9, 8, 7]]


def test_a_photo_that_was_turned_is_upright(tmp_path):
    image = Image.fromarray(pixels(4, 6))
    turned = Image.Exif()
    turned[0x0112] = 6
    made = read(tmp_path, image, Form(6, 4, 3), exif=turned)
    assert np.array_equal(made.transpose(1, 2, 0), np.rot90(np.asarray(image), -1))


def test_what_lies_around_is_left_out_and_said(folder):
    (folder / "cat" / "Thumbs.db").write_bytes(b"x")
    (folder / "cat" / ".hidden.png").write_bytes(b"x")
    (folder / "empty").mkdir()
    (folder / ".git").mkdir()
    shutil.copy(folder / "cat" / "00.png", folder / "loose.png")
    problem = load(str(folder))
    assert sum(problem.sizes.values()) == 40
    for said in (
        "1 pictures lie in no class's folder",
        "1 files are no pictures by their names (.db)",
        "without pictures were left out: empty",
    ):
        assert saying(problem, said)


def test_files_that_cannot_be_read_are_named(folder):
    (folder / "cat" / "99.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 files cannot be read as pictures: cat/99.png. Repair or remove"):
        load(str(folder))
    (folder / "cat" / "99.png").unlink()
    content = (folder / "dog" / "00.png").read_bytes()
    (folder / "dog" / "00.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"1 files cannot be read as pictures: dog/00.png"):
        load(str(folder))
    with pytest.raises(InputError, match=r"dog/00.png"):
        read_all(from_folder(folder, in_memory=1))
    (folder / "dog" / "00.png").unlink()
    (folder / "dog" / "00.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"1 files cannot be read as pictures: dog/00.png"):
        load(str(folder))


def read_all(problem):
    return [list(part.batches(4, torch.device("cpu"))) for part in (problem.train, problem.valid, problem.test)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "dog"), "a folder of pictures for each of two classes.*'cat' only"),
        (lambda folder: [shutil.rmtree(folder / name) for name in ("cat", "dog")], "two classes or more; it has none"),
        (lambda folder: [path.unlink() for path in folder.rglob("*.png") if path.stem != "00"], "2 training examples"),
        (lambda folder: shutil.rmtree(folder), "there is no folder"),
        (
            lambda folder: [path.rename(path.with_suffix(".heic")) for path in (folder / "dog").glob("*")],
            r"'cat' only. 20 files are no pictures by their names \(.heic\)",
        ),
    ],
    ids=["one class", "none", "too few", "gone", "unknown kind"],
)
def test_what_cannot_be_learned_from(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        load(f"{folder}/")


def test_a_class_that_training_lacks(folder):
    for name in ("train", "test"):
        shutil.copytree(folder, folder.parent / "split" / name)
    (folder.parent / "split" / "test" / "dog").rename(folder.parent / "split" / "test" / "dogs")
    with pytest.raises(InputError, match=r"unknown class in .*test: 'dogs'. Did you mean dog"):
        load(str(folder.parent / "split"))


def test_a_target_is_refused(folder):
    with pytest.raises(InputError, match="target='label' goes with a table"):
        load(str(folder), target="label")
