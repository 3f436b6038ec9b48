"""Scores of a model in training: at the weights to evaluate at, over all processes' shares of a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice

from torch import Tensor

from ..problems import derive
from ..tensors import put, tensors_of
from ..training import Score, evaluate
from ..training.randomness import drawing
from .assembly import Parts
from .feed import Share

_SAMPLE = 64
"""Batches from which batch norms learn the statistics of averaged weights, for a score on the way."""


class Scoring:
    """Scores of a model, as it trains or, once it is settled, as it stands."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seed, self._settled = parts, parts.course.trial.seed, False

    def score(self, name: str) -> Score:
        """Loss and metric over a split: "train", "valid" or "test"."""
        parts, peers = self._parts, self._parts.peers
        split = parts.feed.evaluation(name)
        with self.evaluating(), drawing(derive(self._seed, "evaluate", name)), parts.precision.context():
            peers.share_buffers(parts.model)
            score = evaluate(parts.model, parts.problem, split)
        if peers.alone:
            return score
        count = peers.share.examples(len(getattr(parts.problem, name)))
        loss, metric, of = peers.sums(
            [score.loss * count if count else 0.0, score.metric * count if count else 0.0, count]
        )
        return Score(loss / of, metric / of)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model holds the weights to evaluate at: averages, where the run or its rule takes any."""
        with ExitStack() as stack:
            if not self._settled:
                stack.enter_context(self._parts.optimizer.evaluating())
                if self._parts.average is not None:
                    stack.enter_context(self._parts.average.applied())
            yield

    def recalibrate(self, epoch: int, batches: int | None = _SAMPLE) -> None:
        """Give batch norms the statistics of the averaged weights, from so many training batches (None: all).

        They are the same in all processes.
        """
        average, parts = self._parts.average, self._parts
        if average is not None:
            whole = replace(parts.feed, workers=0, share=Share())
            given = whole.batches(epoch, parts.follower.batch_size(epoch))
            with drawing(derive(self._seed, "recalibrate", epoch)), parts.precision.context():
                average.recalibrate(islice(given, batches))

    def settle(self, best: Mapping[str, Tensor] | None) -> None:
        """Training is over: the model holds the weights to evaluate at, or the `best` ones, from now on."""
        parts = self._parts
        if best:
            put(parts.model, best)
        else:
            self.recalibrate(parts.epochs, None)
            with self.evaluating():
                final = {name: value.clone() for name, value in tensors_of(parts.model).items()}
            put(parts.model, final)
        self._settled = True
