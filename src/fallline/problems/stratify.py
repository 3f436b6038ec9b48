"""Validation and test data held out of training data, every class in proportion."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .problem import SHARES

Array = np.ndarray[Any, Any]


def stratified(
    labels: Array, wanted: Collection[str], seed: int, classes: Sequence[str] = ()
) -> tuple[Array, dict[str, Array], list[str]]:
    """Places that stay for training, those held out for each of `wanted` ("valid", "test"), and notes.

    Shares are those of `Problem` (20 % and 15 %). Every class keeps at least one example for training; notes tell those
    of the `classes` of which none could be held out. Raises `InputError` if there are too few examples.
    """
    shares = {name: share for name, share in SHARES.items() if name in wanted}
    if not shares:
        return np.arange(len(labels)), {}, []
    generator = np.random.default_rng(seed)
    held: dict[str, list[Array]] = {name: [] for name in shares}
    stay, owed = [], dict.fromkeys(shares, 0.0)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        for name, share in shares.items():
            owed[name] += share * int((labels == label).sum())
            # what rounding leaves of one class is made up for by the next
            count = min(round(owed[name]), len(rows) - 1)
            owed[name] -= count
            held[name].append(rows[:count])
            rows = rows[count:]
        stay.append(rows)
    parts = {name: np.sort(np.concatenate(pieces)) for name, pieces in held.items()}
    if not all(len(part) for part in parts.values()):
        raise InputError(
            f"{len(labels)} training examples are too few to hold out {' and '.join(shares)}; give more of them."
        )
    how = "every class in proportion, " if len(stay) > 1 else ""
    notes = [
        f"No {name} data was given: {len(part)} of the {len(labels)} training examples ({shares[name]:.0%}, {how}drawn "
        f"with seed {seed}) were held out for it."
        for name, part in parts.items()
    ]
    return np.sort(np.concatenate(stay)), parts, notes + _never_judged(labels, parts, classes)


def _never_judged(labels: Array, parts: dict[str, Array], classes: Sequence[str]) -> list[str]:
    notes = []
    for name, part in parts.items():
        rare = [each for label, each in enumerate(classes) if label in labels and label not in labels[part]]
        if rare:
            more = f" and {len(rare) - 8} more" if len(rare) > 8 else ""
            notes.append(
                f"Too rare to be held out, so no {name} score knows them: {', '.join(map(repr, rare[:8]))}{more}."
            )
    return notes
