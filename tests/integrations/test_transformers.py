"""Hugging Face's Trainer with an optimizer as given: its schedule, clipping, mixed precision, checkpoints."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from examples import train_with_transformers as example

from fallline import optim
from tests.integrations.weights import ROUNDING, apart, equal

pytestmark = pytest.mark.filterwarnings(
    "ignore:'pin_memory' argument is set as true:UserWarning",
    "ignore:.*torch.jit:DeprecationWarning",
)


@pytest.fixture
def train(tmp_path):
    def run(steps=24, resume=None, **arguments):
        trainer = example.trainer(str(tmp_path), steps, disable_tqdm=True, use_cpu=True, **arguments)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def test_the_example_learns(train):
    trainer = train(200)
    assert trainer.evaluate()["eval_accuracy"] > 0.88
    assert trainer.optimizer.optimizer.param_groups[0]["name"] == "decay"


@pytest.mark.parametrize("arguments", [{}, {"bf16": True}, {"gradient_accumulation_steps": 2}], ids=str)
def test_it_goes_where_torchs_own_optimizer_goes(train, monkeypatch, arguments):
    ours = train(**arguments)
    monkeypatch.setattr(example, "AdamW", torch.optim.AdamW)
    precision = "bf16" if arguments.get("bf16") else "float32"
    assert apart(ours.model, train(**arguments).model) < ROUNDING[precision]
    assert ours.lr_scheduler.get_last_lr() == [0.0, 0.0]


@pytest.mark.parametrize("rule", ["AdamW", "Lion"])
def test_a_resumed_run_ends_as_one_undisturbed(train, monkeypatch, tmp_path, rule):
    monkeypatch.setattr(example, "AdamW", getattr(optim, rule))
    whole = train(save_steps=12)
    resumed = train(resume=str(tmp_path / "checkpoint-12"))
    assert resumed.state.global_step == 24
    assert equal(whole.model, resumed.model)


@pytest.mark.parametrize("averaging", [partial(optim.AdamW, ema=0.9), optim.ScheduleFreeAdamW], ids=["ema", "free"])
def test_averages_are_evaluated_and_saved_and_the_run_goes_on_where_it_trained(train, monkeypatch, tmp_path, averaging):
    """The Trainer calls the optimizer's `eval` and `train`; a checkpoint after an evaluation has both weights."""
    monkeypatch.setattr(example, "AdamW", averaging)
    often = {"eval_strategy": "steps", "eval_steps": 12, "save_steps": 12}
    whole = train(**often)
    optimizer = whole.optimizer.optimizer
    for p in whole.model.parameters():  # the last thing was an evaluation
        assert not torch.equal(p, optimizer.state[p]["trained"])
    resumed = train(resume=str(tmp_path / "checkpoint-12"), **often)
    assert equal(whole.model, resumed.model)
    assert resumed.state.log_history[-2]["eval_accuracy"] == whole.evaluate()["eval_accuracy"]
