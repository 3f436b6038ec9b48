"""A claim that is measured in no time, and the directory of real data."""

from __future__ import annotations

from pathlib import Path

import pytest
from reproductions.claim import Claim, Source, claims
from reproductions.finding import above, exactly, measured, points

from fallline.rules import REGISTRY
from fallline.rules.composition import MODIFIERS, SETTINGS

# what claims define for themselves is not among what the package offers, of which other tests take stock
_REGISTRIES = [(registry, dict(registry)) for registry in (REGISTRY, MODIFIERS, SETTINGS)]
claims()
for _registry, _before in _REGISTRIES:
    _registry.clear()
    _registry.update(_before)


@pytest.fixture
def data() -> Path:
    """The directory of real data sets, which stands beside the checkout where there is one."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return path


@pytest.fixture
def claim() -> Claim:
    """One that counts in `calls` how often its part was measured."""

    def sums_are_positive(lab, values=(1.9, 2.0, 2.1)):
        """Adds up."""

        def measure():
            calls.append(len(calls))
            return [value + 0.5 for value in values]

        found = lab.part("sums", measure)
        return [
            measured("a sum", found, above(0), "nats"),
            points("a share more", [0.5, 0.6], [0.5, 0.58], above(0)),
            exactly("a count", 1_248_424),
        ]

    calls: list[int] = []
    sums_are_positive.calls = calls
    return Claim(99, "Sums are positive", "Nobody 2020", "about 2", Source.MEMORY, sums_are_positive, {})
