"""Every sampler that there is, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from ....errors import InputError, unknown
from ....problems import Setting, linear
from ....problems.space import Choice, When
from .asking import ask_afresh, ask_first, ask_next, distributions, word
from .request import Request

Propose = Callable[[Request], list[dict[str, Setting]]]


@dataclass(frozen=True)
class Sampler:
    """A sampler: `propose` gives settings; one that is `adaptive` looks at what was tried, so it works in batches."""

    name: str
    propose: Propose
    adaptive: bool
    needs: tuple[str, ...]
    phrase: str

    def check(self) -> None:
        """Raises `InputError` when a package that it needs is not installed."""
        for package in self.needs:
            if find_spec(package) is None:
                raise InputError(
                    f"sampler={self.name!r} needs {package}; install it with: pip install 'fallline[search]'"
                )


SAMPLERS: dict[str, Sampler] = {}


def sampler(
    name: str, phrase: str, *, adaptive: bool = False, needs: tuple[str, ...] = ("optuna",)
) -> Callable[[Propose], Propose]:
    """Make a function a sampler. `phrase` says in a report how its trials were chosen."""

    def decorate(function: Propose) -> Propose:
        SAMPLERS[name] = Sampler(name, function, adaptive, needs, phrase)
        return function

    return decorate


def find(name: str) -> Sampler:
    """The sampler of that name. Raises `InputError` for none, and when a package that it needs is missing."""
    if not isinstance(name, str) or name not in SAMPLERS:
        raise unknown("sampler", str(name), SAMPLERS)
    SAMPLERS[name].check()
    return SAMPLERS[name]


def propose(name: str, request: Request) -> list[dict[str, Setting]]:
    """Settings to try next: values of those hyper-parameters that exist beside the others."""
    if not request.space.parts:
        return [{} for _ in range(request.count)]
    return find(name).propose(request)


@sampler("random", "drawn at random", needs=())
def random(request: Request) -> list[dict[str, Setting]]:
    """Every value on its own, evenly over its range."""
    return [request.space.draw(request.seed, request.number + i) for i in range(request.count)]


@sampler("grid", "on a grid, in random order; what the grid leaves of the budget is drawn at random")
def grid(request: Request) -> list[dict[str, Setting]]:
    """A grid of at most `budget` points, in the middles of equal parts of every range, then random draws."""
    import optuna

    from .levels import levels

    points = levels(request.space, request.budget)
    make = partial(optuna.samplers.GridSampler, points, seed=_seed(request))
    asked = ask_first(make, request.space, math.prod(map(len, points.values())))
    # points that differ in what does not exist are one
    on_grid = [values for i, values in enumerate(asked) if values not in asked[:i]]
    numbers = range(request.number, request.number + request.count)
    return [on_grid[k] if k < len(on_grid) else request.space.draw(request.seed, k) for k in numbers]


@sampler("quasi-random", "of a scrambled Sobol sequence")
def quasi_random(request: Request) -> list[dict[str, Setting]]:
    """A scrambled Sobol sequence, which fills a space more evenly than random draws (Bergstra & Bengio 2012, 4.3)."""
    import optuna
    from optuna.distributions import BaseDistribution

    class Sobol(optuna.samplers.QMCSampler):
        """Optuna's, over the whole space from its first point on, conditional parts included."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
            return distributions(request.space)

    make = partial(Sobol, qmc_type="sobol", scramble=True, seed=_seed(request))
    return ask_first(make, request.space, request.number + request.count)[request.number :]


@sampler("tpe", "chosen by a tree-structured Parzen estimator", adaptive=True)
def tpe(request: Request) -> list[dict[str, Setting]]:
    """Tree-structured Parzen estimators of good and bad settings (Bergstra et al. 2011), over all values jointly."""
    import optuna

    make = partial(
        optuna.samplers.TPESampler,
        seed=_seed(request, len(request.history)),
        n_startup_trials=_startup(request),
        multivariate=True,
        group=True,
        constant_liar=False,  # draws of one batch differ anyway
        warn_independent_sampling=False,
    )
    return ask_next(make, request)


@sampler("gp", "chosen by a Gaussian process", adaptive=True)
def gp(request: Request) -> list[dict[str, Setting]]:
    """A Gaussian process, asked where the expected improvement is largest (Jones, Schonlau & Welch 1998)."""
    import optuna

    seed = _seed(request, len(request.history))
    make = partial(
        optuna.samplers.GPSampler,
        seed=seed,
        n_startup_trials=_startup(request),
        independent_sampler=optuna.samplers.RandomSampler(seed),
    )
    return ask_next(make, request)


@sampler("cma-es", "chosen by CMA-ES", adaptive=True, needs=("optuna", "cmaes"))
def cma_es(request: Request) -> list[dict[str, Setting]]:
    """Covariance matrix adaptation (Hansen & Ostermeier 2001); choices and conditional values are drawn at random."""
    import optuna
    from optuna.distributions import BaseDistribution

    # it needs two numbers: beside one alone, another is searched that nothing depends on
    space = replace(request.space, own={**request.space.own, _SPARE: linear(0, 1)})
    numbers = {name for name, part in space.parts.items() if not isinstance(part, Choice | When)}
    if len(numbers) != 2:
        space, numbers = request.space, numbers - {_SPARE}

    class CmaEs(optuna.samplers.CmaEsSampler):
        """Optuna's, from its first generation on."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
            return {name: said for name, said in distributions(space).items() if name in numbers}

    # its state is in what it was asked before, so all of that is asked again
    make = partial(CmaEs, seed=_seed(request), n_startup_trials=0, warn_independent_sampling=False)
    asked = ask_afresh(make, replace(request, space=space))
    return [{name: value for name, value in values.items() if name != _SPARE} for values in asked]


_SPARE = "nothing depends on this"


def _seed(request: Request, batch: int = 0) -> int:
    return word(f"{request.seed} {request.space.rule.name} {batch}")


def _startup(request: Request) -> int:
    """Random draws before the first model of the space: the first batch, within bounds."""
    first = len(request.history[0]) if request.history else request.count
    return min(max(first, 4), 10)
