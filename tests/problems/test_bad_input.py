"""Every mistake is one `InputError`, raised when the problem is made, that says what was given and what is allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from fallline.errors import InputError
from fallline.problems import Metric, Problem

X = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(100) % 4
ONE_MODEL = nn.Linear(3, 4)


def with_value(x, index, value):
    x = x.clone()
    x[index, 0] = value
    return x


class Endless(IterableDataset):
    def __iter__(self):
        yield X[0], Y[0]


class Listed(Dataset):
    """A Dataset that Fallline cannot look into."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Labelled(Listed):
    """One that keeps its labels in memory, as torchvision's do."""

    targets = [0] * 99 + [7]


class Unlike(nn.Module):
    """A network that fails for one example in training mode, as batch normalization does."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))

    def forward(self, x):
        return self.layers(x)


def linear(outputs=4):
    return lambda: nn.Linear(3, outputs)


def failing():
    raise RuntimeError("no such file: weights.pt")


def uncopied():
    model = nn.Linear(3, 4)
    model.doubled = model.weight * 2
    return model


def frozen():
    return nn.Linear(3, 4).requires_grad_(False)


def per_example(outputs, targets):
    return F.cross_entropy(outputs, targets, reduction="none")


def detached(outputs, targets):
    return F.cross_entropy(outputs.detach(), targets)


MISTAKES = {
    "labels_above": ({"train": (X, Y), "model": linear(3)}, "train has labels out of range: 3. The model gives 3"),
    "labels_below": ({"train": (X, Y - 1)}, "labels out of range: -1.*0 to 3"),
    "labels_in_test": ({"train": (X, Y), "valid": (X, Y), "test": (X, Y + 1)}, "test has labels out of range: 4"),
    "labels_in_dataset": ({"train": Labelled(list(zip(X, Y, strict=True)))}, "labels out of range: 7"),
    "nan": ({"train": (with_value(X, 17, np.nan), Y)}, "train features contain NaN: 1 of 100.*index 17"),
    "infinite": ({"train": (X, Y), "valid": (with_value(X, 2, np.inf), Y)}, "valid features contain infinite"),
    "nan_in_dataset": ({"train": Listed([(X[0] * np.nan, 0)] * 50)}, "features contain NaN"),
    "nan_targets": (
        {"train": (X, with_value(X, 5, np.nan)), "loss": F.mse_loss, "metric": "mse"},
        "train targets contain NaN",
    ),
    "lengths": ({"train": (X, Y[:-1])}, "train has 100 inputs but 99 targets"),
    "empty": ({"train": (X[:0], Y[:0])}, "train is empty"),
    "empty_valid": ({"train": (X, Y), "valid": (X[:0], Y[:0])}, "valid is empty"),
    "too_few": ({"train": (X[:2], Y[:2])}, "only 2 examples, too few to hold out valid and test"),
    "no_parameters": ({"train": (X, Y), "model": nn.Flatten}, "the model has no parameters"),
    "frozen": ({"train": (X, Y), "model": frozen}, "requires_grad=False"),
    "metric": ({"train": (X, Y), "metric": "acuracy"}, "unknown metric 'acuracy'. Did you mean accuracy"),
    "metric_type": ({"train": (X, Y), "metric": max}, "metric must be one of accuracy"),
    "metric_fails": (
        {"train": (X, Y), "metric": Metric("mine", lambda o, t: o[:, 9], maximize=True)},
        "metric 'mine' fails.*index 9",
    ),
    "accuracy_of_regression": ({"train": (X, X), "loss": lambda o, t: o.mean()}, "accuracy needs a score for each"),
    "mse_of_classes": ({"train": (X, Y), "metric": "mse"}, "metric 'mse' fails.*differ in shape"),
    "loss_not_scalar": ({"train": (X, Y), "loss": per_example}, r"must return one number.*shape \(32,\)"),
    "loss_not_tensor": ({"train": (X, Y), "loss": lambda o, t: 0.5}, "must return a tensor.*float"),
    "loss_fails": ({"train": (X, Y), "loss": F.mse_loss}, "the loss fails for outputs of shape|differ in shape"),
    "labels_in_a_column": ({"train": (X, Y[:, None])}, "the loss fails.*give y of shape .n,"),
    "labels_as_floats": ({"train": (X, Y.float())}, "the loss fails.*must be integers"),
    "model_not_copied": ({"train": (X, Y), "model": uncopied()}, "cannot be copied for each trial"),
    "loss_detached": ({"train": (X, Y), "loss": detached}, "does not depend on the model's parameters"),
    "loss_not_finite": ({"train": (X, Y), "loss": lambda o, t: o.mean() * np.nan}, "loss of the untrained.*nan"),
    "loss_not_callable": ({"train": (X, Y), "loss": "mse"}, "loss must be a function"),
    "broadcast": (
        {"train": (X, X[:, 0]), "model": linear(1), "loss": F.mse_loss, "metric": "loss"},
        r"\(32, 1\).*\(32,\).*differ in shape",
    ),
    "model_fails": ({"train": (X[:, :2], Y)}, "the model fails on a batch of train, of shape .32, 2."),
    "model_fails_on_test": ({"train": (X, Y), "test": (X[:, :2], Y)}, "the model fails on a batch of test"),
    "model_fails_on_last": (
        {"train": (X[:33], Y[:33]), "valid": (X, Y), "test": (X, Y), "model": Unlike},
        "the last batch of an epoch, which has 1 example",
    ),
    "integers": ({"train": (Y[:, None].expand(-1, 3), Y)}, "The inputs are integers"),
    "model_raises": ({"train": (X, Y), "model": failing}, "failing.* raised RuntimeError: no such file: weights.pt"),
    "model_needs_arguments": ({"train": (X, Y), "model": nn.Linear}, r"Linear\(\) raised TypeError.*in_features"),
    "model_gives_other": ({"train": (X, Y), "model": dict}, "model must give an nn.Module; dict.. gave a dict"),
    "model_not_callable": ({"train": (X, Y), "model": 3}, "model must be an nn.Module.*it is 3"),
    "model_not_fresh": ({"train": (X, Y), "model": lambda: ONE_MODEL}, "gives the same weights each time"),
    "batch_size": ({"train": (X, Y), "batch_size": 0}, "batch_size must be a whole number of at least 1; it is 0"),
    "batch_size_type": ({"train": (X, Y), "batch_size": 3.5}, "batch_size.*3.5"),
    "epochs": ({"train": (X, Y), "epochs": -1}, "epochs must be a whole number of at least 1; it is -1"),
    "split_seed": ({"train": (X, Y), "split_seed": "a"}, "split_seed must be a whole number; it is 'a'"),
    "one_array": ({"train": X}, "train must be a pair .x, y.*one array of shape .100, 3."),
    "three_arrays": ({"train": (X, Y, Y)}, "train must give pairs.*gives 3 values"),
    "three_tensors": ({"train": TensorDataset(X, Y, Y)}, "train must give pairs.*gives 3 values"),
    "dataset_of_dicts": ({"train": Listed([{"x": 1}] * 50)}, "must give pairs"),
    "dataset_fails": ({"train": Listed([(X[0], "cat"), (X[0], object())] * 50)}, "no batch can be made of train"),
    "nothing": ({"train": None}, "train must be a pair"),
    "ragged": ({"train": ([[1.0], [1.0, 2.0]] * 50, Y)}, "train x cannot be read as an array of numbers"),
    "words": ({"train": (np.array([["a"], ["b"]] * 50), Y)}, "train x cannot be read as an array of numbers"),
    "loader": ({"train": DataLoader(TensorDataset(X, Y))}, "train is a DataLoader; give its Dataset"),
    "iterable": ({"train": Endless()}, "train is an IterableDataset"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(mistake):
    arguments, message = MISTAKES[mistake]
    arguments = {"model": linear(), **arguments}
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        Problem(**arguments)
    assert "Traceback" not in str(caught.value)


def test_the_ignored_label_of_cross_entropy_is_allowed():
    y = Y.clone()
    y[3] = -100
    Problem(linear(), (X, y), metric="loss")
    y[4] = -1
    with pytest.raises(InputError, match="labels out of range: -1"):
        Problem(linear(), (X, y), metric="loss")
