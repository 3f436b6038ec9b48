"""The scores of an ensemble in words and in tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..training import Score
from .calibration import Calibration
from .ensemble import Ensemble
from .score import Scores

_NOTHING = 1e-9
"""A difference that rounding may have made."""


def table(scores: Scores, title: str | None = None) -> Table:
    """Members, their mean and the ensemble, a row each: metric, loss, and where outputs are of classes calibration."""
    drawn = Table(title=title, box=box.SIMPLE)
    drawn.add_column("")
    for head in (scores.metric, "loss", *(("NLL", "Brier", "ECE") if scores.calibration is not None else ())):
        drawn.add_column(head, justify="right")
    found: Sequence[Calibration | None] = scores.calibrations or [None] * len(scores.members)
    for name, score, calibration in zip(scores.names, scores.members, found, strict=True):
        drawn.add_row(name, *_numbers(score, calibration))
    drawn.add_section()
    drawn.add_row("mean of members", *_means(scores))
    drawn.add_row("ensemble", *_numbers(scores.ensemble, scores.calibration), style="bold")
    return drawn


def reliability(calibration: Calibration) -> Table:
    """The reliability table: bins with any cases, from low to high confidence."""
    drawn = Table(title="reliability of the ensemble", box=box.SIMPLE)
    for head in ("confidence", "cases", "mean confidence", "accuracy", "gap"):
        drawn.add_column(head, justify="right")
    for part in calibration.reliability:
        if part.cases:
            gap = part.accuracy - part.confidence
            drawn.add_row(
                f"{part.low:.2f} to {part.high:.2f}",
                str(part.cases),
                f"{part.confidence:.3f}",
                f"{part.accuracy:.3f}",
                f"{gap:+.3f}",
            )
    return drawn


def members(ensemble: Ensemble) -> Table:
    """The members, a row each."""
    drawn = Table(box=box.SIMPLE)
    for head in ("member", "model"):
        drawn.add_column(head)
    drawn.add_column("parameters", justify="right")
    for name, member in zip(ensemble.names, ensemble.members, strict=True):
        drawn.add_row(name, type(member).__name__, f"{sum(p.numel() for p in member.parameters()):,}")
    return drawn


def sentences(ensemble: Ensemble, scores: Scores) -> list[str]:
    """What is predicted, what the ensemble gains, how much members differ, how far probabilities can be trusted."""
    return [f"A prediction is {ensemble.said}.", *findings(scores), *ensemble.notes]


def findings(scores: Scores) -> list[str]:
    """What the ensemble gains, how much members differ, how far probabilities can be trusted."""
    said = [_gain(scores), _difference(scores)] if len(scores.members) > 1 else []
    return said if scores.calibration is None else [*said, _trust(scores.calibration)]


def _numbers(score: Score, calibration: Calibration | None) -> list[str]:
    shown = [f"{score.metric:.4g}", f"{score.loss:.4g}"]
    if calibration is not None:
        shown += [f"{calibration.nll:.4g}", f"{calibration.brier:.4g}", f"{calibration.ece:.4f}"]
    return shown


def _means(scores: Scores) -> list[str]:
    count = len(scores.members)
    shown = [f"{scores.mean.metric:.4g}", f"{scores.mean.loss:.4g}"]
    if scores.calibrations:
        nll, brier, ece = (
            sum(getattr(c, name) for c in scores.calibrations) / count for name in ("nll", "brier", "ece")
        )
        shown += [f"{nll:.4g}", f"{brier:.4g}", f"{ece:.4f}"]
    return shown


def _gain(scores: Scores) -> str:
    best = scores.members[scores.best].metric
    ahead = (scores.ensemble.metric - best) * (1 if scores.maximize else -1)
    beside = "better than" if ahead > _NOTHING else "worse than" if ahead < -_NOTHING else "the same as"
    change = "better" if scores.gain > 0 else "worse"
    by = f"{abs(scores.gain):.3g} {change} than" if abs(scores.gain) > _NOTHING else "the same as"
    chance = f" From so many examples it has a standard error of {scores.error:.2g}." if scores.error else ""
    return (
        f"The ensemble's {scores.metric} is {by} the mean of its members, and {beside} the member that happens to be "
        f"best on these data ({best:.4g}).{chance}"
    )


def _difference(scores: Scores) -> str:
    found = scores.diversity
    if not found.of_classes:
        return (
            f"Two members' outputs differ by {found.disagreement:.3g} (root mean square); a member's squared error is "
            f"on average {found.spread:.3g} above the ensemble's (ambiguity)."
        )
    said = (
        f"Two members predict different classes in {found.disagreement:.2%} of the cases; the mean of KL(member || "
        f"ensemble) is {found.spread:.3g} nats."
    )
    return said if found.disagreement else f"{said} Members that agree on every class gain no accuracy."


def _trust(found: Calibration) -> str:
    gap = float((found.confident.sum() - found.right.sum()) / found.cases)
    way = "too confident" if gap > 0 else "too careful"
    return (
        f"Its probabilities are off by {found.ece:.3f} on average (expected calibration error, {len(found.counts)} "
        f"bins), and {way} by {abs(gap):.3f} over all."
    )
