"""A claim measured: its findings, with what they took and where; kept as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.timing import machine

from .claim import Claim
from .finding import Finding
from .lab import Lab, read, write


@dataclass(frozen=True)
class Record:
    """What a claim's measurement gave. `seconds` count all of it, also before an interruption."""

    name: str
    version: str
    findings: tuple[Finding, ...]
    seconds: float
    machine: str
    day: str
    pictures: tuple[str, ...]


def measure(claim: Claim, lab: Lab, settings: Mapping[str, Any], results: Path) -> Record:
    """Measure a claim and keep what it gave."""
    began = perf_counter()
    findings = tuple(claim.measure(lab, **settings))
    seconds = perf_counter() - began + lab.spared
    pictures = tuple(str(path.relative_to(results)) for path in lab.pictures)
    made = Record(claim.name, lab.version, findings, seconds, machine(), date.today().isoformat(), pictures)
    write(_path(results, claim), json.dumps({**asdict(made), "findings": [f.to_dict() for f in findings]}, indent=1))
    return made


def kept(results: Path, claim: Claim) -> Record | None:
    """What was measured before, of whatever version of the claim."""
    held = read(_path(results, claim))
    if held is None:
        return None
    findings = tuple(Finding.from_dict(each) for each in held["findings"])
    return Record(**{**held, "findings": findings, "pictures": tuple(held["pictures"])})


def _path(results: Path, claim: Claim) -> Path:
    return results / f"{claim.name}.json"
