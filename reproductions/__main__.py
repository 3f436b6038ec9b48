"""`python -m reproductions`: measure claims, print what was found, write `RESULTS.md`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fallline.errors import FalllineError

from . import __doc__ as about
from .claim import Claim, chosen, claims
from .finding import together
from .lab import Lab
from .record import Record, kept, measure
from .results import RESULTS, publish, told

_INTERRUPTED = 130
_MISTAKE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    given = _parser().parse_args(arguments)
    try:
        wanted = chosen(given.claims)
        if given.list:
            _list(wanted)
        elif not given.write:
            _measure(wanted, given)
    except FalllineError as error:
        print(f"Error: {error}", file=sys.stderr)
        return _MISTAKE
    except KeyboardInterrupt:
        print("\nStopped. What was finished is kept; the same command goes on.", file=sys.stderr)
        return _INTERRUPTED
    finally:
        if given.write or not (given.claims or given.list or given.smoke):
            _publish(given.results, given.to)
    if given.claims and not given.list:
        print("Look next at all of them: python -m reproductions --write, and open reproductions/RESULTS.md")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reproductions", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="names of claims (default: all)")
    parser.add_argument("--list", action="store_true", help="list the claims and measure nothing")
    parser.add_argument("--data", type=Path, help="directory of the data sets (default: FALLLINE_DATA)")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md from what was measured before")
    parser.add_argument(
        "--smoke", action="store_true", help="at settings that take seconds and mean nothing; RESULTS.md is left alone"
    )
    default = Path("build/reproductions")
    parser.add_argument("--results", type=Path, default=default, help=f"what was measured is kept here ({default})")
    parser.add_argument("--to", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    return parser


def _list(wanted: Sequence[Claim]) -> None:
    for claim in wanted:
        print(f"{claim.number:3}  {claim.name:24}  {claim.title}")


def _measure(wanted: Sequence[Claim], given: argparse.Namespace) -> None:
    for claim in wanted:
        settings = {**claim.settings, **(claim.smoke if given.smoke else {})}
        results = given.results / "smoke" if given.smoke else given.results
        version = claim.version(settings)
        before = kept(results, claim)
        if before is not None and before.version == version and not given.fresh:
            _tell(claim, before, f"measured on {before.day}; --fresh measures again")
            continue
        lab = Lab(results / claim.name, version, given.data)
        if given.fresh:
            shutil.rmtree(lab.folder, ignore_errors=True)
        record = measure(claim, lab, settings, results)
        _tell(claim, record, f"{record.seconds:.0f} s")


def _tell(claim: Claim, record: Record, how: str) -> None:
    print(f"{claim.number}. {claim.title}: {together(record.findings)} ({how})")
    for found in record.findings:
        print(f"     {found.what}: {told(found)}: {found.verdict}")
    sys.stdout.flush()


def _publish(results: Path, target: Path) -> None:
    every = claims()
    records = {claim.name: record for claim in every if (record := kept(results, claim)) is not None}
    publish(every, records, results, target)
    missing = [claim.name for claim in every if claim.name not in records]
    print(f"Written: {target}" + (f" (not measured yet: {', '.join(missing)})" if missing else ""))


if __name__ == "__main__":
    sys.exit(main())
