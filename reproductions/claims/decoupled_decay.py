"""Weight decay of Adam: as a penalty in the gradient, and beside the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fallline import Problem
from fallline.rules import get
from fallline.training import Outcome, Trial

from ..claim import Source, claim
from ..finding import Finding, above, measured, percent
from ..lab import Lab, tested

Array = np.ndarray


class Way(NamedTuple):
    """A rule, and the setting of its decay with the range that is searched."""

    rule: str
    setting: str
    low: float
    high: float

    def decays(self, side: int) -> Array:
        """The columns of the grid."""
        return np.geomspace(self.low, self.high, side)

    def settings(self, lr: float, decay: float) -> dict[str, float]:
        """Those of a cell."""
        peak = {"peak_lr": float(lr)} if "peak_lr" in get(self.rule).hypers else {}
        return {"lr": float(lr), self.setting: float(decay), **peak}


WAYS = {
    "L2": Way("l2(adam)", "l2", 1e-5, 1e-2),
    "decoupled": Way("fully_decoupled(adam)", "independent_decay", 1e-4, 1e-1),
    "times lr": Way("adamw", "weight_decay", 1e-2, 10.0),
}
"""Adam with L2; AdamW as the paper has it, the decay apart from the rate; AdamW as PyTorch has it, times the rate."""
RATES = (1e-3, 1e-1)
_GOOD = 0.2
"""Share of the cells that count as the basin."""


@claim(
    number=8,
    title="Decoupled weight decay beats L2 with Adam, and makes rate and decay separable",
    paper="Loshchilov & Hutter 2019, Decoupled weight decay regularization, arXiv:1711.05101, section 4",
    figures="up to 15 % relative improvement in test error",
    source=Source.MEMORY,
    smoke={"side": 2, "seeds": 2, "fresh": 2, "epochs": 1},
)
def decoupled_decay(lab: Lab, side: int = 7, seeds: int = 3, fresh: int = 10, epochs: int = 60) -> list[Finding]:
    """The MLP of MNIST-1D, 60 epochs on a cosine, a grid of 7 rates by 7 decays in 3 seeds: Adam with L2; with decay
    apart from the rate, as in the paper (decoupled); with decay times the rate, as in PyTorch's AdamW (times lr). The
    best cell by validation error is trained again from 10 fresh seeds. The tilt is the correlation of the logarithms of
    rate and decay over the best fifth of the cells: 0 where one can be tuned without the other. The cost of tuning one
    by one is the error at the rate that is best with the least decay and at the decay best there, less the best of all
    cells, as a share of it."""
    problem = lab.problem("mnist1d")
    problem.epochs = epochs
    problem = problem.scheduled("cosine")
    rates = np.geomspace(*RATES, side)
    grids = {name: _grid(lab, name, problem, rates, seeds) for name in WAYS}
    tested = {name: _test(lab, name, problem, rates, grid, fresh) for name, grid in grids.items()}
    _draw(lab, grids, rates)
    tilts = {name: [_tilt(grid[..., k]) for k in range(seeds)] for name, grid in grids.items()}
    costs = {name: [_one_by_one(grid[..., k]) for k in range(seeds)] for name, grid in grids.items()}
    gains = {
        name: [100 * (1 - a / b) for a, b in zip(tested[name], tested["L2"], strict=True)]
        for name in WAYS
        if name != "L2"
    }
    return [
        *(percent(f"test error of the best cell, {name}", errors) for name, errors in tested.items()),
        *(measured(f"by how much less than L2's, {name}", gain, above(0), "%") for name, gain in gains.items()),
        *_compared("tilt of the basin", tilts),
        *_compared("cost of tuning one by one", costs),
    ]


def _grid(lab: Lab, name: str, problem: Problem, rates: Array, seeds: int) -> Array:
    """Validation errors, (rates, decays, seeds); of a trial that diverged, that of the untrained model."""
    way, side = WAYS[name], len(rates)
    cells = [way.settings(lr, decay) for lr in rates for decay in way.decays(side)]
    of_seeds = []
    for seed in range(seeds):
        trials = [Trial(get(way.rule), cell, seed, "search", number) for number, cell in enumerate(cells)]
        of_seeds.append(list(map(_valid_error, lab.train(f"{name.replace(' ', '_')}_{seed}", problem, trials))))
    return np.array(of_seeds).T.reshape(side, side, seeds)


def _valid_error(outcome: Outcome) -> float:
    return 1 - outcome.curve[-1 if outcome.state == "finished" else 0].valid_metric


def _test(lab: Lab, name: str, problem: Problem, rates: Array, grid: Array, fresh: int) -> list[float]:
    """Test errors of the best cell, from seeds that the search did not see."""
    way, side = WAYS[name], len(rates)
    row, column = divmod(int(grid.mean(2).argmin()), side)
    settings = way.settings(rates[row], way.decays(side)[column])
    trials = [Trial(get(way.rule), settings, 1000 + seed, "tuned", seed) for seed in range(fresh)]
    outcomes = lab.train(f"{name.replace(' ', '_')}_best", problem, trials)
    return [1 - accuracy for accuracy in tested(outcomes)]


def _tilt(errors: Array) -> float:
    """The correlation of the places of the best cells: (rates, decays) -> from -1 to 1."""
    best = np.argsort(errors, axis=None, kind="stable")[: max(3, round(_GOOD * errors.size))]
    places = np.array(divmod(best, errors.shape[1]))
    return float(np.corrcoef(places)[0, 1]) if places.std(1).all() else 0.0


def _one_by_one(errors: Array) -> float:
    """How much larger the error is after the rate was chosen at the least decay, and then the decay."""
    row = errors[errors[:, 0].argmin()]
    return float(row.min() / errors.min() - 1)


def _compared(what: str, each: Mapping[str, Sequence[float]]) -> list[Finding]:
    """A measure of how far rate and decay hang together, which is claimed to be smaller where decay is decoupled."""
    found = [measured(f"{what}, {name}", values) for name, values in each.items()]
    for name in list(each)[1:]:
        less = [abs(a) - abs(b) for a, b in zip(each["L2"], each[name], strict=True)]
        found.append(measured(f"{what}, L2's size minus that of {name}", less, above(0)))
    return found


def _draw(lab: Lab, grids: Mapping[str, Array], rates: Array) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    means = {name: 100 * grid.mean(2) for name, grid in grids.items()}
    low = min(mean.min() for mean in means.values())
    every = figure.subplots(1, len(means))
    for axes, (name, mean) in zip(every, means.items(), strict=True):
        decays = WAYS[name].decays(len(rates))
        axes.pcolormesh(decays, rates, mean, vmin=low, vmax=low + 20, cmap="viridis_r", shading="nearest")
        axes.set(xscale="log", yscale="log", xlabel=WAYS[name].setting, ylabel="lr", title=name)
    figure.colorbar(every[0].collections[0], ax=every, label="validation error, %", extend="max")
    lab.picture("decoupled_decay", figure)
