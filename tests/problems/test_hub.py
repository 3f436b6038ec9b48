"""Hugging Face data sets, saved on disk: tables and pictures, their splits, and what is refused. No network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from fallline.errors import InputError
from fallline.problems import load

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No bars, no network."""
    datasets.disable_progress_bars()
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


def table(rows, labels=None):
    random = np.random.default_rng(rows)
    columns = {
        "x": random.normal(size=rows).tolist(),
        "said": [f"some words about {'cats' if k % 2 else 'dogs'} number {k}" for k in range(rows)],
        "list": [[1, 2]] * rows,
        "label": [k % 2 for k in range(rows)] if labels is None else labels,
    }
    features = datasets.Features(
        x=datasets.Value("float32"),
        said=datasets.Value("string"),
        list=datasets.Sequence(datasets.Value("int64")),
        label=datasets.ClassLabel(names=["dogs", "cats"]),
    )
    return datasets.Dataset.from_dict(columns, features=features)


def pictures(rows):
    random = np.random.default_rng(rows)
    columns = {
        "image": [Image.fromarray(random.integers(0, 256, (12, 12), dtype=np.uint8)) for _ in range(rows)],
        "label": [k % 2 for k in range(rows)],
    }
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b"]))
    return datasets.Dataset.from_dict(columns, features=features)


def saying(problem, text):
    return [note for note in problem.notes if text in note]


def test_a_saved_table(tmp_path):
    table(60).save_to_disk(tmp_path / "pets")
    problem = load(str(tmp_path / "pets"))
    assert (problem.name, problem.source) == ("pets", f"hf:{tmp_path / 'pets'}:label")
    assert problem.sizes == {"train": 39, "valid": 12, "test": 9}
    assert saying(problem, "2 classes ('cats', 'dogs')")
    assert saying(problem, "Left out (values of type list<")
    assert load(problem.source).fingerprint == problem.fingerprint
    assert load(str(tmp_path / "pets"), target="x").metric.name == "mae"


def test_splits_are_taken_and_hidden_labels_are_missing(tmp_path):
    parts = {"train": table(60), "validation": table(20), "test": table(10, [-1] * 10), "unsupervised": table(5)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "pets")
    problem = load(f"hf:{tmp_path / 'pets'}:label")
    assert problem.sizes == {"train": 51, "valid": 20, "test": 9}
    for said in ("Splits that were left out: 'unsupervised'", "10 rows without 'label'", "No test data was given"):
        assert saying(problem, said)


def test_saved_pictures(tmp_path):
    datasets.DatasetDict({"train": pictures(40), "test": pictures(10)}).save_to_disk(tmp_path / "shapes")
    problem = load(f"hf:{tmp_path / 'shapes'}")
    assert problem.sizes == {"train": 32, "valid": 8, "test": 10}
    assert problem.train.x.shape[1:] == (1, 12, 12)
    expected = torch.tensor(np.stack([np.asarray(row["image"]) for row in pictures(10)])).float()
    assert np.corrcoef(problem.test.x.flatten(), expected.flatten())[0, 1] > 0.9999
    assert load(problem.source).fingerprint == problem.fingerprint


def test_the_fingerprint_depends_on_the_data(tmp_path):
    table(60).save_to_disk(tmp_path / "one")
    table(60, [k // 2 % 2 for k in range(60)]).save_to_disk(tmp_path / "other")
    assert load(str(tmp_path / "one")).fingerprint != load(str(tmp_path / "other")).fingerprint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf:{}:lable", "unknown target column of hf:.*: 'lable'. Did you mean label"),
        ("hf:{}/nothing", "hf:.*nothing cannot be loaded"),
        ("hf:no/such-set", "hf:no/such-set cannot be loaded"),
        ("hf:{}:list", "holds values of type list"),
    ],
)
def test_what_cannot_be_had_is_told(tmp_path, spec, message):
    table(60).save_to_disk(tmp_path / "pets")
    with pytest.raises(InputError, match=message):
        load(spec.format(tmp_path / "pets"))


def test_without_class_labels_the_target_must_be_named(tmp_path):
    table(60).remove_columns("label").save_to_disk(tmp_path / "pets")
    with pytest.raises(InputError, match=r"target is missing: .*no column of class labels.*--target-column.*'said'"):
        load(str(tmp_path / "pets"))


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    from fallline.problems import optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"hf:x needs datasets; .*pip install 'fallline\[datasets\]'"):
        load("hf:x")
