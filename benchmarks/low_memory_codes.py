"""What is lost of Adam's step by keeping its moments in few bits: codes and roundings beside each other.

Elements of a block have gradients of sizes that differ, and that shrink by more or less: `m` and `v` have to follow.
Adam runs on the same gradients with its moments in float64 and, for every way of keeping them, rounded at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fallline.kernels.dither import BLOCK, Draw, nearest
from fallline.kernels.formats import Numbers, decoded, encoded, rounded

STEPS, BLOCKS = 3000, 32
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
SPREADS = {"alike": 0.5, "unlike": 1.5}
"""Standard deviations of the logarithm of a gradient's size within a block."""

Kept = Callable[[Tensor, int, bool], Tensor]
"""`kept(values, step, signed)`: the values as they are read again."""


@dataclass(frozen=True)
class Loss:
    """Of the last step: its cosine with the exact one and its length over that one's; `v`'s root over the exact one's
    at the 1st and the 99th percentile."""

    way: str
    spread: str
    cosine: float
    length: float
    low: float
    high: float


def _coded(numbers: Callable[[int, bool], Numbers]) -> Kept:
    def kept(values: Tensor, step: int, signed: bool) -> Tensor:
        codes, scale = encoded(values.float(), signed, numbers(step, signed))
        return decoded(codes, scale, signed).double()

    return kept


def _dynamic_map(signed: bool) -> Tensor:
    """Dettmers et al. 2022, section 1.3: decades below one, each with twice as many even steps as the one below it."""
    values = [torch.tensor([0.0, 1.0], dtype=torch.float64)]
    for decade in range(7):
        edges = torch.linspace(0.1, 1, 2 ** (decade + (not signed)) + 1, dtype=torch.float64)
        middles = 10.0 ** (decade - 6) * (edges[:-1] + edges[1:]) / 2
        values += [middles, -middles] if signed else [middles]
    return torch.cat(values).sort().values


_MAPS = {signed: _dynamic_map(signed) for signed in (True, False)}


def _mapped(values: Tensor, step: int, signed: bool) -> Tensor:
    blocks, known = values.view(-1, BLOCK), _MAPS[signed]
    scale = blocks.abs().amax(1, keepdim=True).clamp(min=1e-300)
    middles = (known[1:] + known[:-1]) / 2
    return (known[torch.bucketize(blocks / scale, middles)] * scale).view(-1)


WAYS: dict[str, Kept] = {
    "8 bits, rounded at random": _coded(lambda step, signed: Draw(0, step, 0, int(signed))),
    "8 bits, the same codes to nearest": _coded(lambda step, signed: nearest),
    "8 bits, dynamic map to nearest": _mapped,
    "bfloat16, rounded at random": lambda x, step, signed: rounded(x.float(), Draw(0, step, 0, int(signed))).double(),
    "bfloat16, to nearest": lambda x, step, signed: x.bfloat16().double(),
}


def measure() -> Iterator[Loss]:
    """Every way on every spread."""
    for spread, deviation in SPREADS.items():
        exact = _adam(deviation, lambda values, step, signed: values)
        for way, kept in WAYS.items():
            update, v = _adam(deviation, kept)
            ratios = (v / exact[1]).sqrt()
            low, high = torch.quantile(ratios, torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
            cosine = float(torch.cosine_similarity(update, exact[0], dim=0))
            yield Loss(way, spread, cosine, float(update.norm() / exact[0].norm()), low, high)


def _adam(deviation: float, kept: Kept) -> tuple[Tensor, Tensor]:
    """The last step, and the second moment that it divides by."""
    generator = torch.Generator().manual_seed(0)

    def normal() -> Tensor:
        return torch.randn(BLOCKS * BLOCK, generator=generator, dtype=torch.float64)

    sizes = torch.exp(deviation * normal())
    mean = 0.1 * sizes * normal()
    shrinking = 2 * deviation * torch.rand(BLOCKS * BLOCK, generator=generator, dtype=torch.float64)
    m, v = torch.zeros_like(sizes), torch.zeros_like(sizes)
    for step in range(1, STEPS + 1):
        g = torch.exp(-shrinking * step / STEPS) * (mean + sizes * normal())
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        update = m / (1 - BETA1**step) / ((v / (1 - BETA2**step)).sqrt() + EPS)
        last, m, v = v, kept(m, step, True), kept(v, step, False)
    return update, last


def table() -> Iterator[str]:
    """Lines of Markdown."""
    yield "| moments | gradients of a block | cosine | length | root of v, 1 % | 99 % |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for loss in measure():
        numbers = f"{loss.cosine:.3f} | {loss.length:.2f} | {loss.low:.2f} | {loss.high:.2f}"
        yield f"| {loss.way} | {loss.spread} | {numbers} |"
