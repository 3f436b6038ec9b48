"""What the benchmark of steps has measured, as rows of a table, and what that says of its targets."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import torch

from fallline.kernels import cost
from fallline.rules import get

from . import peers
from .shapes import MODELS
from .timing import Timing

LIMIT_PEER, LIMIT_ADAM, LIMIT_STREAM = 1.05, 0.35, 0.95
ADAM_FAMILY = {"adam", "amsgrad", "adamw", "adamax", "nadam", "radam"}


@dataclass(frozen=True)
class Row:
    """One rule on one model."""

    rule: str
    model: str
    ours: Timing
    peers: dict[str, Timing]
    stream: Timing

    def to_json(self) -> str:
        """In a line."""
        peers = {name: timing.rounds for name, timing in self.peers.items()}
        facts = {"rule": self.rule, "model": self.model, "peers": peers}
        return json.dumps({**facts, "ours": self.ours.rounds, "stream": self.stream.rounds})

    @classmethod
    def from_json(cls, line: str) -> Row:
        """From what `to_json` gave."""
        facts = json.loads(line)
        peers = {name: Timing(tuple(rounds)) for name, rounds in facts["peers"].items()}
        return cls(facts["rule"], facts["model"], Timing(tuple(facts["ours"])), peers, Timing(tuple(facts["stream"])))

    @property
    def fastest(self) -> str:
        """The peer path with the least median time."""
        return min(self.peers, key=lambda name: self.peers[name].seconds)

    def share(self, column: str) -> str:
        """Our time as a share of the fastest way's of a library; empty where it has none."""
        names = [name for name in self.peers if peers.column(name) == column]
        if not names:
            return ""
        return f"{self.ours.ratio(self.peers[min(names, key=lambda name: self.peers[name].seconds)]):.2f}"

    @property
    def ratio(self) -> float:
        """Our time as a share of the fastest peer's."""
        return self.ours.ratio(self.peers[self.fastest])

    @property
    def of_stream(self) -> float:
        """The share of the streaming kernel's bandwidth."""
        return self.stream.ratio(self.ours)

    @property
    def bandwidth(self) -> float:
        """Bytes a second that the step moves, counting every array read and written once."""
        length = sum(p.numel() for p in self.stepped)
        return length * cost(get(self.rule)).bytes_per_parameter / self.ours.seconds

    @property
    def stepped(self) -> list[torch.Tensor]:
        """What of the model the rule and all its peers can step, without values."""
        return peers.suitable(self.rule, [torch.empty(shape, device="meta") for shape in MODELS[self.model]()])

    @property
    def title(self) -> str:
        """The rule, with what it steps where that is not the whole model."""
        left = len(self.stepped)
        if left == len(MODELS[self.model]()):
            return self.rule
        return f"{self.rule} ({left} {'tensor' if left == 1 else 'tensors'}, {sum(p.numel() for p in self.stepped):,})"


def table(rows: list[Row]) -> str:
    """The rows as Markdown, a table a model."""
    parts = []
    for model in (model for model in MODELS if any(row.model == model for row in rows)):
        unit, scale = ("µs", 1e6) if model == "digits MLP" else ("ms", 1e3)
        tensors = MODELS[model]()
        count = sum(math.prod(shape) for shape in tensors)
        parts.append(f"### {model}: {count:,} parameters in {len(tensors)} tensors\n")
        parts.append(
            f"| rule | step, {unit} | {' | '.join(f'of {c}' for c in peers.COLUMNS)} | of the fastest "
            "| of streaming | GB/s |"
        )
        parts.append("| --- |" + " ---: |" * (len(peers.COLUMNS) + 4))
        for row in sorted((r for r in rows if r.model == model), key=lambda row: row.rule):
            shares = [row.share(column) for column in peers.COLUMNS]
            cells = [row.title, f"{row.ours.seconds * scale:.1f}", *shares, f"**{row.ratio:.2f}**"]
            parts.append("| " + " | ".join([*cells, f"{row.of_stream:.0%}", f"{row.bandwidth / 1e9:.0f}"]) + " |")
        parts.append("")
    return "\n".join(parts)


def left_out(rows: list[Row], rules: list[str], models: list[str], longest: float) -> list[str]:
    """What was not measured, a line a model."""
    lines = []
    for model in models:
        measured = {row.rule for row in rows if row.model == model}
        missing = [rule for rule in rules if rule not in measured]
        if missing:
            lines.append(
                f"- {model}: not measured: {', '.join(missing)} (stopped, a step takes over {longest:.0f} s, or its "
                "peers more memory than the machine has)"
            )
    return lines


def verdicts(rows: list[Row], cold: float, cached: float) -> list[str]:
    """Each target, what was reached, and whether it was met."""
    worst = max(rows, key=lambda row: row.ratio)
    adam = [r for r in rows if r.model == "ResNet-18" and r.rule in ADAM_FAMILY and "default" in r.peers]
    large = [r for r in rows if r.model == "GPT-2 small" and not cost(get(r.rule)).functions]
    lines = [verdict(f"at most {LIMIT_PEER} times the fastest peer, everywhere", worst.ratio, LIMIT_PEER, worst)]
    above = [f"{row.rule} ({row.model}, {row.ratio:.2f})" for row in rows if row.ratio > LIMIT_PEER]
    if above:
        lines.append(f"- above it: {len(above)} of {len(rows)}: {', '.join(above)}")
    if adam:
        slowest = max(adam, key=lambda row: row.ours.ratio(row.peers["default"]))
        share = slowest.ours.ratio(slowest.peers["default"])
        lines.append(verdict(f"Adam family at most {LIMIT_ADAM} times the default path", share, LIMIT_ADAM, slowest))
    if large:
        least = min(large, key=lambda row: row.of_stream)
        text = f"at least {LIMIT_STREAM:.0%} of the streaming kernel's bandwidth, where nothing but passes is done"
        lines.append(verdict(text, -least.of_stream, -LIMIT_STREAM, least))
    lines.append(f"- first step cold at most 1.5 s: {cold:.2f} s ({'met' if cold <= 1.5 else 'not met'})")
    lines.append(f"- first step from the cache at most 0.5 s: {cached:.2f} s ({'met' if cached <= 0.5 else 'not met'})")
    return lines


def verdict(target: str, reached: float, limit: float, row: Row) -> str:
    met = "met" if reached <= limit else "not met"
    return f"- {target}: {abs(reached):.2f} at worst ({row.rule}, {row.model}): {met}"
