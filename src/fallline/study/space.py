"""Random draws from a rule's declared space."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from ..rules import Rule


def draw(rule: Rule, seed: int, number: int) -> dict[str, float]:
    """The settings of search trial `number` (from 0): searched hyper-parameters at random, the others at their default.

    A draw depends on the rule's name, the study's seed, the number and the hyper-parameter's name alone: a budget of
    8 is a prefix of a budget of 16, and a hyper-parameter added to a rule leaves the draws of the others as they
    were.
    """
    space = rule.space
    drawn = {name: range_.sample(_uniform(seed, rule.name, number, name)) for name, range_ in space.items()}
    return {name: drawn.get(name, default) for name, default in rule.defaults.items()}


def fresh_seeds(seed: int, count: int) -> list[int]:
    """The seeds of the runs that are scored on test data: none is the search's, and studies 0, 1, 2 ... share none."""
    return [1000 * seed + i for i in range(1, count + 1)]


def _uniform(seed: int, rule: str, number: int, hyper: str) -> float:
    return float(np.random.default_rng([_word(rule), _word(hyper), seed, number]).random())


def _word(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "little")
