"""Larger batches in place of a lower rate."""

from __future__ import annotations

from ..schedule import AtLeastOne, Factor, Updates, schedule


@schedule(paper="Smith et al. 2018, arXiv:1711.00489, section 5", sets=("lr", "batch_size"))
def batch_growth(
    at: float, steps: float, *milestones: Updates, factor: AtLeastOne = 5.0, limit: Factor = 0.0
) -> tuple[float, float]:
    """Batches `factor` times larger at each milestone, in place of a rate as much lower.

    Once the batch is `limit` times the first one (0: without limit) the rate falls instead. A batch grows between
    epochs: at the first end of one that is not before the milestone.
    """
    wanted = factor ** sum(milestone <= at for milestone in milestones)
    batch = min(wanted, limit) if limit else wanted
    return batch / wanted, batch
