"""skorch with an optimizer as given: its groups, schedule, clipping, checkpoints, and scikit-learn's tools."""

from __future__ import annotations

import pickle

import pytest
import torch
from accelerate import Accelerator
from examples import train_with_skorch as example
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin

from fallline import optim
from tests.integrations.weights import ROUNDING, apart, equal


class Mixed(AccelerateMixin, NeuralNetClassifier):
    pass


def start(epochs=4, rule=optim.AdamW, **settings):
    torch.manual_seed(0)
    return example.classifier(epochs, verbose=0, **settings).set_params(optimizer=rule).initialize()


@pytest.fixture(scope="module")
def digits():
    x, y = example.digits()
    return x[:640], y[:640]


def test_the_example_learns():
    x, y = example.digits()
    net = start(5, iterator_train__shuffle=True).partial_fit(x[:1440], y[:1440])
    assert net.score(x[1440:], y[1440:]) > 0.88
    assert [group["weight_decay"] for group in net.optimizer_.param_groups] == [0, 0, 0.05]


def test_it_goes_where_torchs_own_optimizer_goes(digits):
    ours, theirs = start().partial_fit(*digits), start(rule=torch.optim.AdamW).partial_fit(*digits)
    assert apart(ours.module_, theirs.module_) < ROUNDING["float32"]
    assert ours.history[:, "event_lr"] == theirs.history[:, "event_lr"]
    assert len(set(ours.history[:, "event_lr"])) == 4


def test_mixed_precision_through_accelerate(digits):
    def run(rule):
        torch.manual_seed(0)
        net = example.classifier(2, verbose=0, kind=Mixed, accelerator=Accelerator(mixed_precision="bf16"))
        return net.set_params(optimizer=rule).fit(*digits)

    ours, theirs = run(optim.AdamW), run(torch.optim.AdamW)
    assert apart(ours.module_, theirs.module_) < ROUNDING["bf16"]


@pytest.mark.parametrize("rule", ["AdamW", "Lion"])
def test_a_resumed_run_ends_as_one_undisturbed(digits, tmp_path, rule):
    files = {f"f_{part}": str(tmp_path / part) for part in ("params", "optimizer", "history")}
    whole, first, second = (start(rule=getattr(optim, rule)) for _ in range(3))
    whole.partial_fit(*digits)
    first.set_params(max_epochs=2).partial_fit(*digits).save_params(**files)
    second.load_params(**files)
    second.set_params(max_epochs=2).partial_fit(*digits)
    assert len(second.history) == 4
    assert equal(whole.module_, second.module_)


def test_a_fitted_net_can_be_pickled(digits):
    net = start(rule=optim.Lion).partial_fit(*digits)
    again = pickle.loads(pickle.dumps(net))
    assert equal(net.partial_fit(*digits).module_, again.partial_fit(*digits).module_)


def test_settings_are_found_by_a_grid_search(digits):
    x, y = digits
    search = GridSearchCV(start(2), {"lr": [1e-5, 3e-3], "optimizer__weight_decay": [0.0, 0.05]}, cv=2).fit(x, y)
    assert search.best_params_["lr"] == 3e-3
