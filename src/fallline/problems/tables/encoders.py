"""How a column becomes numbers: each encoder is what the training rows taught, and a function of any rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
LEVELS = 32
"""Categories of a column that get a feature each; rarer ones share the feature of none."""
VOCABULARY = 256
"""Words of a column of free text that get a feature each."""
_WORD = re.compile(r"\w+")
_DAY = 86400.0


class Encoder(Protocol):
    """What an encoder of a column offers."""

    def __call__(self, values: Any) -> Array:
        """The features (rows, k), float32, of a Series of the column's kind."""
        ...


@dataclass(frozen=True)
class Numbers:
    """Less the mean, over the standard deviation; what is missing stands at the median, with a feature that says so."""

    median: float
    mean: float
    std: float
    missing: bool

    @classmethod
    def fit(cls, values: Any) -> Numbers:
        """From the training values."""
        median = float(values.median())
        full = values.fillna(median).to_numpy(np.float64)
        return cls(median, float(full.mean()), float(full.std()) or 1.0, bool(values.isna().any()))

    def __call__(self, values: Any) -> Array:
        full = (values.fillna(self.median).to_numpy(np.float64) - self.mean) / self.std
        parts = [full, values.isna().to_numpy()] if self.missing else [full]
        return np.stack(parts, 1).astype(np.float32)


@dataclass(frozen=True)
class Categories:
    """One feature a level, 1 where the value is that level; missing values are a level where training has some."""

    levels: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, values: Any) -> Categories:
        """The training values' levels: all of them, or the most frequent where there are many."""
        counts = sorted(Counter(values.dropna()).items(), key=lambda item: (-item[1], item[0]))
        return cls(tuple(sorted(level for level, _ in counts[:LEVELS])), bool(values.isna().any()))

    def __call__(self, values: Any) -> Array:
        import pandas as pd

        features = np.zeros((len(values), len(self.levels) + self.missing), np.float32)
        places = pd.Index(self.levels, dtype="str").get_indexer(values.astype("str"))
        if self.missing:
            places[values.isna().to_numpy()] = len(self.levels)
        known = np.flatnonzero(places >= 0)
        features[known, places[known]] = 1
        return features


@dataclass(frozen=True)
class Dates:
    """Days since the first date as a number; the time of year, of week and of day as points of circles."""

    first: Any
    days: Numbers
    timed: bool

    @classmethod
    def fit(cls, values: Any) -> Dates:
        """From the training dates."""
        first = values.min()
        known = values.dropna()
        timed = bool((known.dt.normalize() != known).any())
        return cls(first, Numbers.fit((values - first).dt.total_seconds() / _DAY), timed)

    def __call__(self, values: Any) -> Array:
        days = self.days((values - self.first).dt.total_seconds() / _DAY)
        turns = [values.dt.day_of_year / 365.25, values.dt.day_of_week / 7]
        if self.timed:
            turns.append((values - values.dt.normalize()).dt.total_seconds() / _DAY)
        angles = np.stack([2 * np.pi * turn.to_numpy(np.float64, na_value=np.nan) for turn in turns], 1)
        return np.concatenate([days, np.nan_to_num(np.sin(angles)), np.nan_to_num(np.cos(angles))], 1, dtype=np.float32)


@dataclass(frozen=True)
class Words:
    """For each of the commonest words, (1 + log of its count) times its inverse document frequency; unit length.

    The usual tf-idf weighting (Salton & Buckley 1988, doi:10.1016/0306-4573(88)90021-0).
    """

    weights: dict[str, float]

    @classmethod
    def fit(cls, values: Any) -> Words:
        """The training texts' commonest words, of those that two texts have."""
        texts = list(values.dropna())
        counts = Counter(word for text in texts for word in set(_words(text)))
        again = [item for item in counts.items() if item[1] > 1]
        common = sorted(again, key=lambda item: (-item[1], item[0]))[:VOCABULARY]
        return cls({word: float(np.log((1 + len(texts)) / (1 + count)) + 1) for word, count in common})

    def __call__(self, values: Any) -> Array:
        place = {word: index for index, word in enumerate(self.weights)}
        features = np.zeros((len(values), len(place)), np.float32)
        for row, text in enumerate(values.fillna("")):
            for word, count in Counter(_words(text)).items():
                if word in place:
                    features[row, place[word]] = (1 + np.log(count)) * self.weights[word]
        lengths: Array = np.linalg.norm(features, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        features /= lengths
        return features


def _words(text: str) -> Iterator[str]:
    return (match.group().lower() for match in _WORD.finditer(text))
