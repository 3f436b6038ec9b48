"""Whether probabilities mean what they say: reliability, calibration error, and the two proper scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


class Bin(NamedTuple):
    """The cases whose confidence, the probability of the predicted class, is above `low` and at most `high`.

    `confidence` is its mean and `accuracy` the share of them that were right; both are NaN where there is no case.
    """

    low: float
    high: float
    cases: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Sums over cases, from which everything is read; those of two parts of the data add up.

    `counts`, `confident` and `right`, (bins,), are the cases of each bin, the sum of their confidences, and how many of
    them were right; `log_loss` and `squares` are the sums of -log p(label) and of the squared distance between the
    probabilities and the label's indicator.
    """

    counts: Array
    confident: Array
    right: Array
    log_loss: float
    squares: float

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(*(mine + theirs for mine, theirs in zip(_parts(self), _parts(other), strict=True)))

    @property
    def cases(self) -> int:
        """How many cases were counted."""
        return int(self.counts.sum())

    @property
    def ece(self) -> float:
        """The expected calibration error: the mean distance of accuracy and confidence over bins, by their cases.

        Guo et al. 2017, arXiv:1706.04599, equation 3.
        """
        return float(np.abs(self.right - self.confident).sum() / self.cases)

    @property
    def nll(self) -> float:
        """The mean of -log p(label), in nats; a case counts for 708 at most, where double precision ends."""
        return self.log_loss / self.cases

    @property
    def brier(self) -> float:
        """The mean squared distance of the probabilities to the label's indicator, summed over classes: from 0 to 2.

        Brier 1950, Monthly Weather Review 78(1), equation 2.
        """
        return self.squares / self.cases

    @property
    def reliability(self) -> list[Bin]:
        """The table of a reliability diagram, from the lowest confidence to the highest."""
        edges = np.linspace(0, 1, len(self.counts) + 1)
        found = []
        for k, count in enumerate(self.counts.astype(int).tolist()):
            means = (self.confident[k] / count, self.right[k] / count) if count else (np.nan, np.nan)
            found.append(Bin(float(edges[k]), float(edges[k + 1]), count, float(means[0]), float(means[1])))
        return found


def measure(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Calibration:
    """The calibration of `probabilities`, (cases, classes) with rows that sum to 1, against `labels`, (cases,).

    `bins` of equal width share the confidences from 0 to 1; a confidence on an edge belongs to the bin below.
    """
    p = probabilities.detach().double()
    confidence, predicted = p.max(1)
    place = (torch.ceil(confidence * bins).long() - 1).clamp(0, bins - 1)
    of_label = p.gather(1, labels[:, None])[:, 0]
    # the squared distance without an indicator matrix: sum p^2 - 2 p(label) + 1
    squares = p.square().sum(1) - 2 * of_label + 1

    def summed(values: Tensor | None = None) -> Array:
        made: Array = torch.bincount(place, values, minlength=bins).double().cpu().numpy()
        return made

    return Calibration(
        counts=summed(),
        confident=summed(confidence),
        right=summed((predicted == labels).double()),
        log_loss=float(-of_label.clamp_min(torch.finfo(p.dtype).tiny).log().sum()),
        squares=float(squares.sum()),
    )


def _parts(of: Calibration) -> tuple[Any, ...]:
    return of.counts, of.confident, of.right, of.log_loss, of.squares
