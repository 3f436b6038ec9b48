"""Lightning with an optimizer as given: its schedule, clipping, mixed precision, checkpoints."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from examples import train_with_lightning as example
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from fallline import optim
from tests.integrations.weights import ROUNDING, apart, equal

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*number of training batches",
    "ignore:.*LeafSpec:FutureWarning",
    "ignore:Checkpoint directory .* exists",
)


@pytest.fixture
def train(tmp_path):
    def run(epochs=2, resume=None, shuffle=False, **arguments):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        torch.manual_seed(0)
        model = example.Digits()
        trainer = example.trainer(str(tmp_path), epochs, **{"logger": False, **quiet, **arguments})
        trainer.fit(model, *example.loaders(shuffle), ckpt_path=resume)
        return model, trainer

    return run


def test_the_example_learns(train):
    _, trainer = train(5, shuffle=True)
    assert trainer.callback_metrics["accuracy"] > 0.88


@pytest.mark.parametrize("arguments", [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}], ids=str)
def test_it_goes_where_torchs_own_optimizer_goes(train, monkeypatch, arguments):
    ours, trainer = train(**arguments)
    rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
    monkeypatch.setattr(example, "AdamW", torch.optim.AdamW)
    theirs, trainer = train(**arguments)
    assert apart(ours, theirs) < ROUNDING["bf16" if "precision" in arguments else "float32"]
    assert rates == [group["lr"] for group in trainer.optimizers[0].param_groups]


@pytest.mark.parametrize("rule", ["AdamW", "Lion"])
def test_a_resumed_run_ends_as_one_undisturbed(train, monkeypatch, tmp_path, rule):
    monkeypatch.setattr(example, "AdamW", getattr(optim, rule))

    def saving(**arguments):
        each_epoch = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
        return train(callbacks=[each_epoch], enable_checkpointing=True, **arguments)

    whole, _ = saving()
    resumed, trainer = saving(resume=tmp_path / "epoch=0.ckpt")
    assert trainer.current_epoch == 2
    assert equal(whole, resumed)


def test_groups_are_logged_by_their_names(train, tmp_path):
    _, trainer = train(1, callbacks=[LearningRateMonitor()], logger=CSVLogger(tmp_path), log_every_n_steps=1)
    assert {"lr-AdamW/decay", "lr-AdamW/no decay"} <= trainer.logged_metrics.keys() | trainer.callback_metrics.keys()


class Averaged(example.Digits):
    """Validated at its optimizer's averages."""

    def on_validation_epoch_start(self):
        self.optimizers().optimizer.eval()

    def on_validation_epoch_end(self):
        self.optimizers().optimizer.train()


def test_averages_are_validated_from_two_hooks(train, monkeypatch):
    monkeypatch.setattr(example, "AdamW", partial(optim.AdamW, ema=0.99))
    plain, trainer = train(1)
    monkeypatch.setattr(example, "Digits", Averaged)
    averaged, other = train(1)
    assert equal(plain, averaged)
    with trainer.optimizers[0].evaluating():
        (_, images) = example.loaders()
        ((x, y),) = images
        expected = (plain.layers(x).argmax(1) == y).float().mean()
    torch.testing.assert_close(other.callback_metrics["accuracy"], expected, check_device=False)
    assert other.callback_metrics["accuracy"] != trainer.callback_metrics["accuracy"]
