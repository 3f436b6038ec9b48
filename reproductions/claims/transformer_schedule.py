"""The transformer's schedule, on a small one that reads Shakespeare."""

from __future__ import annotations

from functools import partial

from fallline import Problem, models
from fallline.rules import get
from fallline.schedules import Absolute, schedule
from fallline.schedules.schedule import Positive, Updates
from fallline.training import Outcome, Trial

from ..claim import Source, claim
from ..finding import Finding, above, measured
from ..lab import Lab, examples

WIDTH, LENGTH = 64, 64


@schedule(paper="Vaswani et al. 2017, arXiv:1706.03762, equation 3, its warm-up left out")
def transformer_at_once(at: float, steps: float, d_model: Positive, warmup: Updates) -> float:
    """The transformer's rate as it is after its warm-up, from the first step on."""
    return Absolute(d_model**-0.5 * min((at + 1) ** -0.5, warmup**-0.5))


@claim(
    number=12,
    title="The transformer's schedule: a linear warm-up, then the inverse root of the step",
    paper="Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762, section 5.3",
    figures="",
    source=Source.NONE,
    smoke={"seeds": 2, "epochs": 1, "windows": 96, "warmup": 2},
)
def transformer_schedule(
    lab: Lab, seeds: int = 4, epochs: int = 2, windows: int = 5200, warmup: int = 100
) -> list[Finding]:
    """A transformer of width 64, 2 layers and norms after each part, as in the paper, on tiny Shakespeare; Adam with
    beta2 = 0.98, eps = 10^-9; 326 updates of 32 windows of 64 characters; nats a character on held-out text.
    lr = 64^-0.5 min(s^-0.5, s w^-1.5) with w = 100, and the paper's w = 4000, which this run ends within; against
    the same without its warm-up, and a constant lr of 0.001. What is claimed is that the warm-up is worth having."""
    problem = _problem(lab.problem("tiny_shakespeare_transformer"), windows, epochs)
    trials = [Trial(get("adam"), {"beta2": 0.98, "eps": 1e-9}, seed, "tuned", seed) for seed in range(seeds)]
    schedules = {
        f"w = {warmup}": f"transformer({WIDTH}, warmup={warmup})",
        "w = 4000": f"transformer({WIDTH}, warmup=4000)",
        "without warm-up": f"transformer_at_once({WIDTH}, warmup={warmup})",
        "constant": "constant",
    }
    nats = {
        name: [_loss(run) for run in lab.train(name.replace(" ", "_"), problem.scheduled(text), trials)]
        for name, text in schedules.items()
    }
    first, *others = nats
    return [
        *(measured(f"loss, {name}", values, unit="nats") for name, values in nats.items()),
        *(
            measured(
                f"loss, {name} minus that with {first}",
                [b - a for a, b in zip(nats[first], nats[name], strict=True)],
                above(0) if name == "without warm-up" else None,
                "nats",
            )
            for name in others
        ),
    ]


def _problem(whole: Problem, windows: int, epochs: int) -> Problem:
    """Shorter windows, and fewer to test on."""
    vocabulary = int(examples(whole.train)[1].max()) + 1
    model = partial(models.CharTransformer, vocabulary, WIDTH, layers=2, heads=4, dropout=0.0, norm_first=False)
    train, valid, test = (
        [every[:, :LENGTH].contiguous() for every in examples(part, count)]
        for part, count in ((whole.train, windows), (whole.valid, 64), (whole.test, 256))
    )
    return Problem(model, train, valid, test, loss=whole.loss, metric="loss", batch_size=32, epochs=epochs)


def _loss(run: Outcome) -> float:
    """On test data; of a run that diverged, that of the untrained model."""
    assert run.test_loss is not None
    return run.test_loss
