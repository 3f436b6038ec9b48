"""Steps in a CUDA graph: what is captured after a step and replayed comes to the same steps, and waits for nothing."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor

from fallline import optim
from fallline.errors import InputError
from fallline.kernels import form

from .device import DEVICE, GPU, by_triton, captured

pytestmark = by_triton

SHAPES = [(7, 5), (6, 4), (2, 3, 5)]


@pytest.fixture
def on_numba(monkeypatch):
    """Have something done by the kernels for the CPU."""

    def do(work):
        with monkeypatch.context() as without_triton:
            without_triton.setattr(form, "backend", lambda device: "numba")
            return work()

    return do


def gradients(step: int, count: int = len(SHAPES)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in SHAPES[:count]]


def parameters(device: torch.device | str) -> list[Tensor]:
    return [g.to(device).requires_grad_() for g in gradients(-1)]


def give(params: list[Tensor], values: list[Tensor], in_place: bool) -> None:
    for p, g in zip(params, values, strict=True):
        if in_place:
            p.grad.copy_(g)
        else:
            p.grad = g.to(p.device)


def stepped(rule: str, rates: list[float]) -> list[Tensor]:
    params = parameters("cpu")
    optimizer = optim.optimizer(rule, params)
    for step, rate in enumerate(rates):
        give(params, gradients(step), in_place=False)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return params


def near(there: list[Tensor], here: list[Tensor]) -> None:
    for p, q in zip(there, here, strict=True):
        torch.testing.assert_close(p.detach().cpu(), q.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rule", ["adamw", "ema(clip_norm(nadam))", "novograd", "adafactor", "muon"])
def test_replays_are_steps(rule, on_numba):
    params = parameters(DEVICE)
    rate = torch.tensor(0.1, dtype=torch.float64, device=DEVICE) if GPU or rule != "muon" else 0.1
    optimizer = optim.optimizer(rule, params, lr=rate)
    for step in range(2):
        give(params, gradients(step), in_place=False)
        optimizer.step()
    with captured() as graph:
        optimizer.step()
    rates = [0.1, 0.1]
    for step in range(2, 5):
        if isinstance(rate, Tensor):
            rate.mul_(0.5)
        rates.append(float(rate))
        give(params, gradients(step), in_place=True)
        graph.replay()
    near(params, on_numba(lambda: stepped(rule, rates)))
    assert optimizer.state_dict()["state"][0]["step"] == 5


def test_steps_outside_of_a_graph_and_replays_go_on_from_each_other(on_numba):
    params = parameters(DEVICE)
    optimizer = optim.optimizer("clip_norm(nadam)", params, lr=0.1)
    for step in range(2):
        give(params, gradients(step), in_place=False)
        optimizer.step()
    give(params, gradients(0), in_place=False)  # the table is another one in the graph
    seen = [p.grad for p in params]
    optimizer.param_groups[0]["lr"] = 0.2  # and so are the settings
    with captured() as graph:
        optimizer.step()
    give(params, gradients(2), in_place=True)
    optimizer.step()  # what the graph has sent is not there yet
    optimizer.param_groups[0]["lr"] = 0.05
    give(params, gradients(3), in_place=False)
    optimizer.step()
    for g, new in zip(seen, gradients(4), strict=True):
        g.copy_(new)
    graph.replay()
    graph.replay()
    give(params, gradients(6), in_place=False)
    optimizer.step()

    def known() -> list[Tensor]:
        params = parameters("cpu")
        optimizer = optim.optimizer("clip_norm(nadam)", params)
        for seed, lr in ((0, 0.1), (1, 0.1), (2, 0.2), (3, 0.05), (4, 0.2), (4, 0.2), (6, 0.05)):
            give(params, gradients(seed), in_place=False)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        return params

    near(params, on_numba(known))
    assert optimizer.state_dict()["state"][0]["step"] == 7


def test_a_graph_may_be_of_some_of_the_tensors(on_numba):
    def train(params: list[Tensor], capture: bool) -> None:
        optimizer = optim.AdamW(params, lr=0.1)
        give(params, gradients(0), in_place=False)
        optimizer.step()
        params[0].grad = None
        if capture:
            with captured() as graph:
                optimizer.step()
        optimizer.step()  # how these are shared out has been sent by the graph alone
        graph.replay() if capture else optimizer.step()

    params, known = parameters(DEVICE), parameters("cpu")
    train(params, capture=True)
    on_numba(lambda: train(known, capture=False))
    near(params, known)


@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream")
def test_a_whole_training_step_is_captured(on_numba):
    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))

    def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        model(x).square().mean().backward()
        optimizer.step()

    batches = [torch.randn(8, 4, generator=torch.Generator().manual_seed(k)) for k in range(5)]
    model, x = network().to(DEVICE), torch.empty(8, 4, device=DEVICE)
    optimizer = optim.AdamW(model.parameters(), lr=0.1, clip_norm=0.5)
    side = torch.cuda.Stream() if GPU else None
    if side is not None:
        side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for batch in batches[:2]:
            x.copy_(batch)
            train(model, optimizer, x)
    if side is not None:
        torch.cuda.current_stream().wait_stream(side)
    with captured() as graph:
        train(model, optimizer, x)
    for batch in batches[2:]:
        x.copy_(batch)
        graph.replay()

    def known() -> list[Tensor]:
        model = network()
        optimizer = optim.AdamW(model.parameters(), lr=0.1, clip_norm=0.5)
        for batch in batches:
            train(model, optimizer, batch)
        return list(model.parameters())

    near(list(model.parameters()), on_numba(known))


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")
def test_a_graph_that_would_begin_anew_at_every_replay_is_refused():
    params = parameters(DEVICE)
    give(params, gradients(0), in_place=False)
    optimizer = optim.Adam(params)
    with pytest.raises(InputError, match="Take a step before the capture"), captured():
        optimizer.step()
    optimizer.step()
    assert optimizer.state_dict()["state"][0]["step"] == 1
    optimizer.state[params[0]]["step"] = 7
    with pytest.raises(InputError, match="Take a step before the capture"), captured():
        optimizer.step()


def test_what_a_graph_reads_is_kept_when_the_next_steps_take_other_memory():
    p = torch.ones(30, device=DEVICE, requires_grad=True)
    p.grad = torch.ones_like(p)
    optimizer = optim.optimizer("clip_norm(adam)", [p])
    optimizer.step()
    ((batch,),) = next(iter(optimizer._steppers.values())).batches.values()
    board = batch.board
    read = [board.table, board.rows, *board._rooms.values()]
    read += [tensor for blocks in board._blocks.values() for tensor in blocks]
    addresses = [weakref.ref(tensor) for tensor in read]
    del read
    with captured() as graph:
        optimizer.step()
    if not GPU:
        graph.calls.clear()  # the stand-in for a graph holds what it is given; a graph does not
    others = [torch.ones_like(p) for _ in range(20)]
    for g in others:
        p.grad = g
        optimizer.step()
    p.data = torch.ones(5000, device=DEVICE)
    p.grad = torch.ones_like(p)
    optimizer.state.clear()
    optimizer.step()
    gc.collect()
    assert all(reference() is not None for reference in addresses)
