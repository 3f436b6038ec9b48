"""How much members differ: without difference an ensemble is as good as one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Diversity:
    """Sums over cases of how members differ; those of two parts of the data add up.

    `pairs`, (members, members), sums how two members differ, and `around` how members spread around their mean:

    - of classes (`of_classes`): the cases in which two predict different classes, and the mean over members of
      KL(member || ensemble) of their probabilities, in nats;
    - of values: the squared differences of two, and the mean over members of the squared difference to the ensemble.
    """

    pairs: Array
    around: float
    cases: int
    of_classes: bool

    def __add__(self, other: Diversity) -> Diversity:
        cases = self.cases + other.cases
        return Diversity(self.pairs + other.pairs, self.around + other.around, cases, self.of_classes)

    @property
    def pairwise(self) -> Array:
        """(members, members): the share of cases in which two disagree (Skalak 1996; Kuncheva & Whitaker 2003,
        Machine Learning 51, equation 9), or the root of the mean squared difference of their values."""
        means: Array = self.pairs / self.cases
        return means if self.of_classes else np.sqrt(means)

    @property
    def disagreement(self) -> float:
        """The mean of `pairwise` over pairs; nothing (0) for a single member."""
        members = len(self.pairs)
        return float(self.pairwise.sum() / max(1, members * (members - 1)))

    @property
    def spread(self) -> float:
        """Of classes: the mean of KL(member || ensemble), Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.

        Of values: the ambiguity, by which the ensemble's squared error is lower than the members' mean (Krogh &
        Vedelsby 1995, equation 7).
        """
        return self.around / self.cases


def of_classes(each: Sequence[Tensor]) -> Diversity:
    """From every member's probabilities, (cases, classes)."""
    p = torch.stack(list(each)).double()
    ensemble = p.mean(0).clamp_min(torch.finfo(p.dtype).tiny)
    predicted = p.argmax(2)
    differs = (predicted[:, None] != predicted[None]).sum(2)
    around = (torch.xlogy(p, p) - torch.xlogy(p, ensemble)).sum() / len(p)
    return Diversity(differs.double().cpu().numpy(), float(around), p.shape[1], True)


def of_values(each: Sequence[Tensor]) -> Diversity:
    """From every member's outputs, of any shape; each number is a case."""
    values = torch.stack([value.detach().double().flatten() for value in each])
    pairs = torch.stack([(values - one).square().sum(1) for one in values])
    around = (values - values.mean(0)).square().sum() / len(values)
    return Diversity(pairs.cpu().numpy(), float(around), values.shape[1], False)
