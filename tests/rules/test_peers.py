"""Rules beside the classes of other libraries that are the same rule, in float64."""

from __future__ import annotations

import inspect

import pytest
import torch

from fallline import optim
from fallline.rules import get
from tests.database import PEERS, Peer

ROWS = {f"{name}-{peer.path}": (name, peer) for name, peers in PEERS.items() for peer in peers}
SAME = [row for row, (_, peer) in ROWS.items() if peer.tolerance is not None]
SHAPES = [(), (7,), (4, 5), (3, 2, 2, 2)]


@pytest.fixture(autouse=True)
def double_by_default():
    """Without it the classes keep numbers of their own in float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch):
    heavyball = pytest.importorskip("heavyball")
    monkeypatch.setattr(heavyball.utils, "compile_mode", None)


@pytest.fixture(autouse=True)
def orthogonal_in_double(monkeypatch):
    """pytorch_optimizer iterates in bfloat16, which would hide what is compared."""
    iterate = pytest.importorskip("pytorch_optimizer.optimizer.utils.matrix").zero_power_via_newton_schulz_5
    changed = [torch.float64 if value is torch.bfloat16 else value for value in iterate.__defaults__]
    monkeypatch.setattr(iterate, "__defaults__", tuple(changed))


def walk(name: str, peer: Peer, steps: int = 25):
    """Both over the noisy gradients of a bowl, which those that find their rate need; yields start, ours and theirs."""
    torch.manual_seed(0)
    shapes = [shape for shape in SHAPES if peer.dimensions <= len(shape) <= peer.most_dimensions]
    starts = [torch.randn(shape) for shape in shapes]
    ours = [torch.nn.Parameter(start.clone()) for start in starts]
    theirs = [torch.nn.Parameter(start.clone()) for start in starts]
    a, b = optim.optimizer(name, ours, **peer.ours), peer.make(theirs)
    for step in range(steps):
        for p, q, start in zip(ours, theirs, starts, strict=True):
            p.grad = (q.detach() - start - 1) / 2 + torch.randn(p.shape) * (1 + step % 3) / 2
            q.grad = p.grad.clone()
        a.step()
        b.step()
        yield starts, ours, theirs, a, b


@pytest.mark.parametrize("row", SAME)
def test_both_go_the_same_way(row):
    name, peer = ROWS[row]
    for starts, ours, theirs, _, _ in walk(name, peer):
        for start, p, q in zip(starts, ours, theirs, strict=True):
            way = (q - start).abs().max().item()
            torch.testing.assert_close(p, q, rtol=1e-15, atol=peer.tolerance * way + 1e-15)
    assert all((q - start).abs().max() > 1e-4 for start, q in zip(starts, theirs, strict=True))


@pytest.mark.parametrize("row", [row for row in SAME if row.startswith("schedule_free") and "pytorch" in row])
def test_both_evaluate_at_the_same_weights(row):
    name, peer = ROWS[row]
    *_, (_, ours, theirs, a, b) = walk(name, peer)
    b.eval()
    for p, q in zip(ours, theirs, strict=True):
        x = get(name).evaluated(p.detach(), a.state[p], peer.ours)
        torch.testing.assert_close(x, q.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", ROWS)
def test_the_table_names_what_exists(row):
    name, peer = ROWS[row]
    get(name).check(peer.ours)
    inspect.signature(peer.cls).bind([], **peer.theirs)
    assert peer.tolerance is None or peer.tolerance <= 1e-12 or peer.note
    assert set(peer.paths()) in ({"loop"}, {"foreach", "loop"})
