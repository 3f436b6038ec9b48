"""A finding: a measured quantity, the values among which the claim puts it, and the verdict that follows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from fallline.study.findings.statistics import mean_interval
from fallline.study.result import Estimate


class Verdict(StrEnum):
    """What a finding says of its claim."""

    SHOWS = "shows"
    DOES_NOT_SHOW = "does not show here"
    NO_DIFFERENCE = "no difference shown"
    OPEN = "not settled here"
    MEASURED = "measured"


@dataclass(frozen=True)
class Range:
    """The values that a claim allows, ends excluded."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"above {self.low:g}"
        return f"below {self.high:g}" if math.isinf(self.low) else f"{self.low:g} to {self.high:g}"


def above(low: float) -> Range:
    """Claimed to be larger."""
    return Range(low=low)


def below(high: float) -> Range:
    """Claimed to be smaller."""
    return Range(high=high)


@dataclass(frozen=True)
class Finding:
    """`what` was measured, in `unit`, as a mean with its 95 % interval `over` seeds or something else.

    `claimed` is None where nothing is claimed. `exact` quantities depend on no seed: their interval is the value.
    """

    what: str
    estimate: Estimate
    claimed: Range | None = None
    unit: str = ""
    exact: bool = False
    over: str = "seeds"

    @property
    def verdict(self) -> Verdict:
        """Whether the interval lies among the claimed values, outside of them, or across their bounds."""
        if self.claimed is None:
            return Verdict.MEASURED
        low, high = self.claimed.low, self.claimed.high
        if low < self.estimate.low and self.estimate.high < high:
            return Verdict.SHOWS
        if self.estimate.high < low or high < self.estimate.low:
            return Verdict.DOES_NOT_SHOW
        one_sided = math.isinf(low) or math.isinf(high)
        return Verdict.NO_DIFFERENCE if one_sided else Verdict.OPEN

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Finding:
        """From what `to_dict` gave."""
        claimed = None if values["claimed"] is None else Range(**values["claimed"])
        return cls(**{**values, "estimate": Estimate(**values["estimate"]), "claimed": claimed})


def measured(
    what: str, values: Sequence[float], claimed: Range | None = None, unit: str = "", over: str = "seeds"
) -> Finding:
    """A quantity of which there is one value a seed, or whatever else they are `over`."""
    return Finding(what, mean_interval(values), claimed, unit, over=over)


def exactly(what: str, value: float, claimed: Range | None = None, unit: str = "") -> Finding:
    """A quantity that depends on no seed."""
    return Finding(what, Estimate(value, value, value, 1), claimed, unit, exact=True)


def points(
    what: str, first: Sequence[float], second: Sequence[float], claimed: Range | None, step: float = 0.0
) -> Finding:
    """The difference of two shares, paired by seed, in percentage points; `step` is one example's part of a share."""
    differences = [100 * (a - b) for a, b in zip(first, second, strict=True)]
    return Finding(what, mean_interval(differences, step=100 * step), claimed, "points")


def percent(what: str, shares: Iterable[float], claimed: Range | None = None, step: float = 0.0) -> Finding:
    """A share, in percent."""
    return Finding(what, mean_interval([100 * share for share in shares], step=100 * step), claimed, "%")


def together(findings: Iterable[Finding]) -> str:
    """The verdict of a claim: that of its findings where they agree, else how many say what."""
    verdicts = [finding.verdict for finding in findings if finding.claimed is not None]
    if not verdicts:
        return str(Verdict.MEASURED)
    said = {verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts}
    if len(said) == 1:
        return str(verdicts[0])
    return f"in part: {', '.join(f'{verdict} ({count} of {len(verdicts)})' for verdict, count in said.items())}"
