"""The models in stacks: each trial has the numbers that it has alone; and they learn."""

from __future__ import annotations

from functools import partial
from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fallline import models
from fallline.problems import Problem
from fallline.rules import get
from fallline.training import Execution, Trial, train

from ..stacking.both import Both

STACKED = {
    "mlp": (lambda: models.mlp(6, 5, 4, dropout=0.3, batch_norm=True), (6,), 0),
    "mnist1d": (lambda: models.mnist1d_cnn(channels=4), (40,), 0),
    "squeezenet": (
        lambda: models.squeezenet(
            "1.1", 3, 1, stem="small", base_e=8, incr_e=4, SR=0.25, bypass="complex", dropout=0.2, batch_norm=True
        ),
        (1, 12, 12),
        0,
    ),
    "resnet": (lambda: models.resnet(8, 3, 1, width=4, stochastic_depth=0.6), (1, 8, 8), 0),
    "resnet with shortcuts of option B": (lambda: models.resnet(8, 3, 1, width=4, shortcut="B"), (1, 8, 8), 0),
    "lstm": (lambda: models.CharLSTM(9, 8, 2, embedding=6, dropout=0.3), (5,), 9),
    "transformer": (lambda: models.CharTransformer(9, 8, 2, heads=2, dropout=0.3), (5,), 9),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", STACKED)
def test_a_stack_computes_what_each_model_computes_alone(name, training):
    make, example, tokens = STACKED[name]
    both = Both(make, example, tokens=tokens, train=training)
    if tokens:
        both.x.grad = None
        check_tokens(both)
    else:
        both.check(rtol=1e-7, atol=1e-9)


def check_tokens(both: Both) -> None:
    losses, _ = both.stacked()
    for k, model in enumerate(both.models):
        torch.manual_seed(both.seeds[k])
        loss, _ = both.alone(k)
        torch.testing.assert_close(losses[k], loss)
        for name, p in model.named_parameters():
            torch.testing.assert_close(both.parameters[name].grad[k], p.grad, rtol=1e-7, atol=1e-9)


def next_character(outputs: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, 1), y.flatten())


def alphabet() -> Problem:
    """The letter after each one in the alphabet, which begins again."""
    x = (torch.randint(6, (60, 1), generator=torch.Generator().manual_seed(0)) + torch.arange(7)) % 6
    x, y = x[:, :-1], x[:, 1:]
    return Problem(
        partial(models.CharLSTM, 6, 12, dropout=0.1),
        *[(x[a:b], y[a:b]) for a, b in ((0, 40), (40, 50), (50, 60))],
        loss=next_character,
        metric="loss",
        batch_size=10,
        epochs=6,
    )


def stripes(make) -> Problem:
    """Pictures of 8x8 with stripes across or along, in noise."""
    noise = torch.randn(90, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(90) % 2
    stripe = torch.tensor([1.0, -1.0]).repeat(4)
    x = 0.5 * noise + torch.where(y.view(-1, 1, 1, 1) == 0, stripe.view(1, 1, 8, 1), stripe.view(1, 1, 1, 8))
    return Problem(make, *[(x[a:b], y[a:b]) for a, b in ((0, 60), (60, 75), (75, 90))], batch_size=15, epochs=6)


@pytest.mark.parametrize(
    ("problem", "lr"),
    [
        (alphabet, 0.03),
        (lambda: stripes(partial(models.resnet, 8, 2, 1, width=4, stochastic_depth=0.3)), 0.01),
        (lambda: stripes(partial(models.squeezenet, "1.1", 2, 1, stem="small", base_e=32, incr_e=8, SR=0.5)), 0.01),
    ],
    ids=["lstm", "resnet with stochastic depth", "squeezenet"],
)
def test_trials_in_a_stack_end_as_they_end_alone_having_learned(problem, lr):
    problem = problem()
    trials = [Trial(get("adam"), {"lr": rate}, seed, "tuned") for seed, rate in ((0, lr), (1, lr / 3), (2, lr))]
    together = dict(chain.from_iterable(train(problem, trials, execution=Execution(width=3))))
    alone = dict(chain.from_iterable(train(problem, trials, execution=Execution())))
    for k in range(3):
        ours, theirs = ([p.valid_loss for p in outcomes[k].curve] for outcomes in (together, alone))
        # later, rounding has grown: a max pooling or a ReLU takes another side
        np.testing.assert_allclose(ours[:3], theirs[:3], rtol=5e-3, atol=1e-4)
    assert theirs[-1] < 0.7 * theirs[0]
