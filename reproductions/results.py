"""`RESULTS.md`: what the papers say beside what was measured here."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .claim import Claim
from .finding import Finding, together
from .lab import write
from .record import Record

_MOST = 6
"""Decimals of a number."""
RESULTS = Path(__file__).with_name("RESULTS.md")


def publish(claims: Sequence[Claim], records: Mapping[str, Record], results: Path, target: Path = RESULTS) -> None:
    """Write the table, and the pictures beside it."""
    for record in records.values():
        for picture in record.pictures:
            place = target.parent / "pictures" / Path(picture).name
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(results / picture, place)
    write(target, table(claims, records))


def table(claims: Sequence[Claim], records: Mapping[str, Record]) -> str:
    """The whole text, of all claims, those that were not measured among them."""
    machines = list(dict.fromkeys(record.machine for record in records.values()))
    lines = [
        "# Claims of the field, measured in small",
        "",
        "Command: `python -m reproductions`; one claim: `python -m reproductions NAME`. Intervals are 95 %, over",
        "seeds; differences are paired by seed. A finding *shows* where its whole interval lies among the values that",
        "the claim gives it, and *does not show here* where it lies outside of them; where it spans the bound, *no",
        "difference* is *shown*. Small problems on two cores contradict no paper.",
        "",
        *(f"Machine: {machine}." for machine in machines),
        "",
        "| # | claim | the paper's figures | verdict here | s | command |",
        "| ---: | --- | --- | --- | ---: | --- |",
    ]
    lines += [_row(claim, records.get(claim.name)) for claim in claims]
    for claim in claims:
        lines += _section(claim, records.get(claim.name), len(machines) > 1)
    return "\n".join(lines) + "\n"


def _row(claim: Claim, record: Record | None) -> str:
    verdict, seconds = ("not measured yet", "") if record is None else (_verdict(record), f"{record.seconds:.0f}")
    said = f"| {claim.number} | {claim.title} | {_figures(claim)} | **{verdict}** | {seconds} |"
    return f"{said} {_command(claim)} |"


def _section(claim: Claim, record: Record | None, where: bool) -> list[str]:
    lines = ["", f"## {claim.number}. {claim.title}", "", f"{claim.paper}: {_figures(claim)}.", "", claim.protocol, ""]
    if record is None:
        return [*lines, f"Not measured yet: {_command(claim)}"]
    old = "" if record.version == claim.version(claim.settings) else " by an earlier version of this claim"
    place = f" on {record.machine}" if where else ""
    lines += [
        f"{_command(claim)}: {record.seconds:.0f} s, {record.day}{old}{place}. Verdict: **{_verdict(record)}**.",
        "",
        "| quantity | claimed | measured | verdict |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {found.what} | {_claimed(found)} | {told(found)} | {found.verdict} |" for found in record.findings]
    for picture in record.pictures:
        lines += ["", f"![{claim.title}](pictures/{Path(picture).name})"]
    return lines


def _command(claim: Claim) -> str:
    return f"`python -m reproductions {claim.name}`"


def _figures(claim: Claim) -> str:
    return f"{claim.figures} ({claim.source})" if claim.figures else str(claim.source)


def _verdict(record: Record) -> str:
    return together(record.findings)


def _claimed(finding: Finding) -> str:
    return "" if finding.claimed is None else f"{finding.claimed} {finding.unit}".strip().replace("-", "\N{MINUS SIGN}")


def told(finding: Finding) -> str:
    """The measured value with its interval, to as many digits as that allows."""
    mean, low, high, n = (getattr(finding.estimate, name) for name in ("mean", "low", "high", "n"))
    unit = f" {finding.unit}" if finding.unit else ""
    if finding.exact:
        return f"{_number(mean, _constant(mean))}{unit} (exact)"
    if not finding.estimate.has_interval:
        return f"{_number(mean, _decimals(mean / 100))}{unit} (no interval)"
    places = _decimals((high - low) / 2) if low < high else _constant(mean)
    bounds = () if finding.claimed is None else (finding.claimed.low, finding.claimed.high)
    while places < _MOST and any(round(end, places) == bound != end for end in (low, high) for bound in bounds):
        places += 1  # an end that is told as the bound would seem to contradict the verdict
    low_text, mean_text, high_text = (_number(value, places) for value in (low, mean, high))
    return f"{mean_text}{unit} [{low_text}, {high_text}], {n} {finding.over}"


def _decimals(width: float) -> int:
    """So many that two digits of `width` are told."""
    return 0 if width == 0 or not math.isfinite(width) else min(_MOST, max(0, 1 - math.floor(math.log10(abs(width)))))


def _constant(value: float) -> int:
    """Decimals of a value without an interval: none of a whole number, else five digits."""
    return 0 if value == round(value) else _decimals(value / 1000)


def _number(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.replace("-", "\N{MINUS SIGN}") if text.strip("-0.,") else text.lstrip("-")
