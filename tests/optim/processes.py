"""What two processes do together in `test_distributed.py`: each function here runs in both, gives what it found.

All train the model of `model()` on the batches of `batch(step)`, of which each process takes every other row.
"""

from __future__ import annotations

import copy
import multiprocessing
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from fallline import optim
from fallline.rules import Rule, columns, numel, rule, total, where

SECONDS = 60
STEPS = 3


@rule
def _own_norms(p, g, m, *, t, lr=0.1):
    """A rule of a user's own with every reduction of a tensor."""
    m = 0.9 * m + g
    size = p.norm() * g.abs().amax() + m.mean() + g.sum() / numel(g) - (m * m).amin() + 1
    return p - lr * m * where(size > 0, size, 1.0), m


@rule
def _own_matrix(p, g, m, *, t, lr=0.1):
    """A rule of a user's own that looks across rows, and sums over all parameters."""
    m = 0.9 * m + g - g.mean(-1, keepdim=True)
    return p - lr * m / (1 + total(g * g)) ** 0.5 / columns(p), m


WAYS: dict[str, tuple[str | Rule, dict[str, Any]]] = {
    "adamw": ("adamw", {"lr": 0.1}),
    "averaged_and_clipped": ("adamw", {"lr": 0.1, "clip_norm": 0.1, "ema": 0.5}),
    "noisy": ("sgd", {"lr": 0.1, "noise": 0.5}),
    "prodigy": ("prodigy", {}),
    "lamb": ("lamb", {"lr": 0.1}),
    "muon": ("muon", {"lr": 0.1}),
    "adafactor": ("adafactor", {"lr": 0.1}),
    "shampoo": ("shampoo", {"lr": 0.1}),
    "own_norms": (_own_norms, {"lr": 0.1}),
    "own_matrix": (_own_matrix, {"lr": 0.1}),
    "wrapped": ("adamw", {"lr": 0.1, "lookahead": 1, "accumulate": 2}),
    "climbing": ("momentum", {"lr": 0.1, "sam": 0.5}),
}
"""Rules that look at each element, at norms, at all parameters together, and across rows; some step by a closure."""

SHARED = ("adamw", "averaged_and_clipped", "own_norms", "own_matrix")
"""Those that ZeRO shares out."""

SAVED = ("averaged_and_clipped", "adafactor", "prodigy", "shampoo", "own_matrix", "climbing")
"""Those whose shards are saved."""

NARROW: dict[str, tuple[torch.dtype, dict[str, Any]]] = {
    "compensated": (torch.bfloat16, {"kahan_sum": True}),
    "rounded_at_random": (torch.bfloat16, {"stochastic_rounding": True}),
    "state_bfloat16": (torch.float32, {"state_bfloat16": True}),
    "state_8bit": (torch.float32, {"state_8bit": True}),
}
"""Types of parameters, and settings of momentum that keep fewer bits."""

RATE = 7e-5
"""At which the wide model learns."""

CODED = {"adamw": 1e-2, "lamb": 1e-2, "muon": 1e-2}
"""Rules stepped with states in eight bits, and their rates: by element, by norms, and of whole matrices."""


def model() -> nn.Module:
    """Layers that two processes can share evenly, and one of a single row, of which one of them has nothing."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def wide_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    """Tensors that are large enough for states in eight bits: shards of other sizes, and one that has everything."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8193), nn.Tanh(), nn.Linear(8193, 1)).to(dtype)


def batch(step: int) -> Tensor:
    """Sixteen rows."""
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


def train(net: nn.Module, optimizer: Any, part: slice = slice(None), first: int = 0, steps: int = STEPS) -> None:
    """Some steps on a part of every batch."""
    closure = any("sam" in group for group in optimizer.param_groups)
    for step in range(first, first + steps):
        x = batch(step)[part].to(next(net.parameters()).dtype)

        def gradients(x: Tensor = x) -> Tensor:
            optimizer.zero_grad()
            loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
            return loss

        if closure:
            optimizer.step(gradients)
        else:
            gradients()
            optimizer.step()


def halves() -> tuple[Tensor, Tensor]:
    """A start and some gradients, (128, 96), whose upper and lower halves are equal."""
    drawn = torch.randn(1 + STEPS, 64, 96, generator=torch.Generator().manual_seed(3)).repeat(1, 2, 1)
    return drawn[0], drawn[1:]


def local(tensor: Tensor) -> Tensor:
    """A process's part."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def local_bytes(state: dict[str, Any]) -> int:
    """What a process holds of a parameter's state."""
    return sum(local(value).nbytes for value in state.values() if isinstance(value, Tensor))


def optimizer_of(way: str, params: Any) -> Any:
    """The optimizer of one of the ways."""
    name, settings = WAYS[way]
    return optim.optimizer(name, params, **settings)


def weights(net: nn.Module) -> list[Tensor]:
    """A copy of the parameters, whole."""
    return [whole(p) for p in net.parameters()]


def whole(tensor: Tensor) -> Tensor:
    """A copy of a tensor, gathered where it is spread."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().clone()


def sharded(mesh: Any = None, net: Any = None) -> nn.Module:
    """The model with FSDP2's shards, one unit a layer."""
    net = model() if net is None else net
    for layer in net:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(net, mesh=mesh)


CHECKS: dict[str, Callable[[int, Path], Any]] = {}


def check(function: Callable[[int, Path], Any]) -> Callable[[int, Path], Any]:
    """A function to be run in both processes."""
    CHECKS[function.__name__] = function
    return function


@check
def data_parallel(rank: int, folder: Path) -> Any:
    """DDP: what PyTorch shares out and sums is nothing to the optimizer."""
    found = {}
    for way in ("adamw", "averaged_and_clipped", "own_matrix", "climbing"):
        net = DistributedDataParallel(model())
        train(net, optimizer_of(way, net.parameters()), slice(rank, None, 2))
        found[way] = weights(net)
    return found


@check
def zero(rank: int, folder: Path) -> Any:
    """ZeRO, its state gathered and given to another one half-way."""
    from torch.distributed.optim import ZeroRedundancyOptimizer  # its import warns of PyTorch's own deprecations

    found = {}
    for way in SHARED:
        name, settings = WAYS[way]
        net = DistributedDataParallel(model())
        cls = optim.class_of(name)
        one = ZeroRedundancyOptimizer(net.parameters(), optimizer_class=cls, **settings)
        train(net, one, slice(rank, None, 2))
        one.consolidate_state_dict(to=0)
        state = [copy.deepcopy(one.state_dict()) if rank == 0 else None]
        dist.broadcast_object_list(state)
        two = ZeroRedundancyOptimizer(net.parameters(), optimizer_class=cls, **settings)
        two.load_state_dict(copy.deepcopy(state[0]))
        train(net, two, slice(rank, None, 2), first=STEPS)
        found[way] = {"weights": weights(net), "state": state[0], "held": len(one.optim.state)}
    return found


@check
def shards(rank: int, folder: Path) -> Any:
    """FSDP2, by every way: weights, states, and how much of them a process holds."""
    found = {}
    for way in WAYS:
        net = sharded()
        optimizer = optimizer_of(way, net.parameters())
        train(net, optimizer, slice(rank, None, 2))
        states = [s for state in optimizer.state.values() for s in state.values() if isinstance(s, Tensor)]
        found[way] = {
            "weights": weights(net),
            "states": [whole(state) for state in states],
            "local": sum(local(state).numel() for state in states),
        }
        with optimizer.evaluating():
            found[way]["evaluated"] = weights(net)
    return found


@check
def few_bits(rank: int, folder: Path) -> Any:
    """DDP and FSDP2, with weights and states of few bits; and how many bytes of states a process holds."""
    found: dict[Any, Any] = {}
    kinds: dict[str, Callable[[nn.Module], nn.Module]] = {
        "replicas": DistributedDataParallel,
        "shards": lambda net: sharded(net=net),
    }
    for way, (dtype, settings) in NARROW.items():
        for kind, share in kinds.items():
            net = share(wide_model(dtype))
            optimizer = optim.optimizer("momentum", net.parameters(), lr=RATE, **settings)
            train(net, optimizer, slice(rank, None, 2))
            found[way, kind] = {
                "weights": weights(net),
                "types": {state["v"].dtype for state in optimizer.state.values()},
                "bytes": [local_bytes(state) for state in optimizer.state.values()],
                "elements": [local(p).numel() for p in optimizer.state],
            }
    return found


@check
def codes_of_shards(rank: int, folder: Path) -> Any:
    """A matrix of two equal halves stepped in eight bits, placed in every way: its parts, and its codes."""
    mesh = init_device_mesh("cpu", (2,))
    copies, single = (init_device_mesh("cpu", sides, mesh_dim_names=("a", "b")) for sides in ((2, 1), (1, 2)))
    kinds = {
        "rows": (mesh, [Shard(0)]),
        "columns": (mesh, [Shard(1)]),
        "replicas": (mesh, [Replicate()]),
        "replicas of rows": (copies, [Replicate(), Shard(0)]),
        "rows and columns": (single, [Shard(0), Shard(1)]),
    }
    found: dict[Any, Any] = {}
    for way in CODED:
        for kind, (over, placed) in kinds.items():
            start, gradients = halves()
            p = nn.Parameter(distribute_tensor(start, over, placed))
            optimizer = optim.optimizer(way, [p], lr=CODED[way], state_8bit=True)
            for g in gradients:
                p.grad = distribute_tensor(g, over, placed)
                optimizer.step()
            (codes,) = (value for key, value in optimizer.state[p].items() if key in ("m", "exp_avg"))
            assert codes.placements == p.placements
            assert codes.dtype is torch.uint8
            found[kind, way] = {"weights": whole(p), "part": local(p).clone(), "codes": local(codes)}
    return found


@check
def curvature(rank: int, folder: Path) -> Any:
    """DDP with estimates of the Hessian, each process's from its own rows and its own draws."""
    net = model()
    replica = DistributedDataParallel(net)
    optimizer, apart = (optim.Sophia(net.parameters(), every=1) for _ in range(2))
    apart.average_over(None)
    found: dict[str, Any] = {"together": [], "apart": []}
    for step in range(STEPS):
        x = batch(step)[rank::2]
        for each, kept in ((apart, found["apart"]), (optimizer, found["together"])):
            loss = (replica(x) - x.sum(1, keepdim=True)).square().mean()
            each.estimate(loss, torch.Generator().manual_seed(2 * step + rank))
            kept.append([state["hutchinson"].clone() for state in each.state.values()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {**found, "weights": weights(net)}


@check
def shards_of_replicas(rank: int, folder: Path) -> Any:
    """FSDP2 on meshes of two dimensions: replicas of shards, and shards of replicas."""
    found = {}
    for sides in ((1, 2), (2, 1)):
        mesh = init_device_mesh("cpu", sides, mesh_dim_names=("replicas", "shards"))
        for way in ("averaged_and_clipped", "lamb", "muon"):
            net = sharded(mesh)
            train(net, optimizer_of(way, net.parameters()), slice(rank, None, 2))
            found[sides, way] = weights(net)
    return found


@check
def shards_in_backward(rank: int, folder: Path) -> Any:
    """FSDP2, stepped in the backward pass."""
    found = {}
    for way in ("adamw", "lamb"):
        net = sharded()
        optimizer = optimizer_of(way, net.parameters())
        optim.in_backward(optimizer)
        train(net, optimizer, slice(rank, None, 2))
        found[way] = {"weights": weights(net), "gradients": sum(p.grad is not None for p in net.parameters())}
    plain = optimizer_of("adamw", model().parameters())
    try:
        optim.in_backward(plain)
    except ValueError as error:
        found["plain"] = str(error)
    return found


@check
def checkpoints(rank: int, folder: Path) -> Any:
    """Sharded checkpoints: saved, loaded by another optimizer, and gathered; the test loads them in one process."""
    found = {}
    for way in SAVED:
        net = sharded()
        optimizer = optimizer_of(way, net.parameters())
        train(net, optimizer, slice(rank, None, 2))
        state = {"model": net.state_dict(), "optimizer": get_optimizer_state_dict(net, optimizer)}
        checkpoint.save(state, checkpoint_id=folder / way)
        gathered = copy.deepcopy(
            get_optimizer_state_dict(net, optimizer, options=StateDictOptions(full_state_dict=True))
        )

        other = sharded()
        with torch.no_grad():
            for p in other.parameters():
                p.zero_()
        again = optimizer_of(way, other.parameters())
        state = {"model": other.state_dict(), "optimizer": get_optimizer_state_dict(other, again)}
        checkpoint.load(state, checkpoint_id=folder / way)
        other.load_state_dict(state["model"])
        set_optimizer_state_dict(other, again, state["optimizer"])
        train(net, optimizer, slice(rank, None, 2), first=STEPS)
        train(other, again, slice(rank, None, 2), first=STEPS)
        found[way] = {"gone_on": weights(net), "loaded": weights(other), "gathered": gathered if rank == 0 else None}
    return found


def wide_optimizer(net: nn.Module) -> Any:
    """AdamW for the wide model, its states in eight bits."""
    return optim.AdamW(net.parameters(), lr=RATE, state_8bit=True)


def full(net: nn.Module, optimizer: Any) -> Any:
    """A copy of an optimizer's states by the parameters' names, gathered."""
    return copy.deepcopy(get_optimizer_state_dict(net, optimizer, options=StateDictOptions(full_state_dict=True)))


@check
def checkpoints_of_codes(rank: int, folder: Path) -> Any:
    """States in eight bits: saved as shards and whole, loaded into shards in each way that PyTorch has."""
    net, other, filled, plain, of_plain, by_place = (wide_model() for _ in range(6))
    for each in (net, other, filled, of_plain, by_place):
        sharded(net=each)
    optimizer, again, third, first, fourth, fifth = map(wide_optimizer, (net, other, filled, plain, of_plain, by_place))
    train(net, optimizer, slice(rank, None, 2))
    checkpoint.save({"optimizer": get_optimizer_state_dict(net, optimizer)}, checkpoint_id=folder / "codes")
    gathered = full(net, optimizer)

    state = {"optimizer": get_optimizer_state_dict(other, again)}
    checkpoint.load(state, checkpoint_id=folder / "codes")
    set_optimizer_state_dict(other, again, state["optimizer"])
    set_optimizer_state_dict(filled, third, gathered, options=StateDictOptions(full_state_dict=True))
    found: dict[str, Any] = {"gathered": gathered}
    for name, each in {"bytes_before": optimizer, "bytes": again}.items():
        found[name] = [local_bytes(each.state[p]) for group in each.param_groups for p in group["params"]]
    for name, (loaded, at) in {"loaded": (other, again), "filled": (filled, third)}.items():
        for p, q in zip(loaded.parameters(), net.parameters(), strict=True):
            p.data.copy_(q.data)
        found[name] = full(loaded, at)
    for name, each in {"gone_on": (net, optimizer), "loaded_on": (other, again), "filled_on": (filled, third)}.items():
        train(*each, slice(rank, None, 2), first=STEPS)
        found[name] = weights(each[0])

    train(plain, first)
    checkpoint.save({"optimizer": get_optimizer_state_dict(plain, first)}, checkpoint_id=folder / "whole")
    state = {"optimizer": get_optimizer_state_dict(of_plain, fourth)}
    checkpoint.load(state, checkpoint_id=folder / "whole")
    set_optimizer_state_dict(of_plain, fourth, state["optimizer"])
    fifth.load_state_dict(first.state_dict())
    return {**found, "plain": full(plain, first), "of_plain": full(of_plain, fourth), "by_place": full(by_place, fifth)}


@check
def tensor_parallel(rank: int, folder: Path) -> Any:
    """Layers split by columns and rows; both processes see the whole batch."""
    found = {}
    mesh = init_device_mesh("cpu", (2,))
    for way in WAYS:
        net = parallelize_module(model(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
        for name, p in net[4].named_parameters():
            setattr(net[4], name, nn.Parameter(distribute_tensor(p.detach(), mesh, [Replicate()])))
        net[4].register_forward_pre_hook(lambda _, x: (DTensor.from_local(x[0], mesh, [Replicate()]),))
        net[4].register_forward_hook(lambda _, x, y: y.to_local())
        train(net, optimizer_of(way, net.parameters()))
        found[way] = weights(net)
    return found


@check
def placements(rank: int, folder: Path) -> Any:
    """Parameters placed in every way, with gradients placed otherwise; complex ones; plain ones beside them."""
    mesh = init_device_mesh("cpu", (2,))
    found = {}
    for way in ("averaged_and_clipped", "own_norms", "muon"):
        for dtype in (torch.float64, torch.complex128) if way != "muon" else (torch.float64,):
            torch.manual_seed(1)
            starts, gradients = torch.randn(2, 4, 5, 3, dtype=dtype)
            kinds = [None, Replicate(), Shard(0), Shard(1)]
            params = [
                nn.Parameter(start if kind is None else distribute_tensor(start, mesh, [kind]))
                for start, kind in zip(starts, kinds, strict=True)
            ]
            for p, kind, g in zip(params, reversed(kinds), gradients, strict=True):
                if isinstance(p, DTensor):
                    half = DTensor.from_local(g / 2, mesh, [Partial()])
                    p.grad = half if kind is None else distribute_tensor(g, mesh, [kind])
                else:
                    p.grad = g
            optimizer = optimizer_of(way, params)
            optimizer.step()
            optimizer.step()
            loss = params[2].abs().square().sum()
            optimizer.step()
            found[way, dtype] = {"weights": [whole(p) for p in params], "stale": ""}
            try:
                loss.backward()
            except RuntimeError as error:
                found[way, dtype]["stale"] = str(error)
    params[0].grad = params[1].grad
    try:
        optimizer.step()
    except ValueError as error:
        found["mixed"] = str(error)
    return found


@check
def stages(rank: int, folder: Path) -> Any:
    """Parameters of its own in each process, clipped by the norm of all; one has none to step at first."""
    torch.manual_seed(2)
    starts, gradients = torch.randn(2, 2, 3, dtype=torch.float64)
    p = starts[rank].clone().requires_grad_()
    optimizer = optimizer_of("averaged_and_clipped", [p])
    optimizer.sum_over(dist.group.WORLD)
    for step in range(3):
        p.grad = None if (rank, step) == (1, 0) else gradients[rank] * (step + 1)
        optimizer.step()
    return p.detach()


@check
def different_models(rank: int, folder: Path) -> Any:
    """An estimate where each process trains a model of its own."""
    net = model()
    with torch.no_grad():
        net[0].weight.mul_(1 + rank)
    x = batch(0)
    loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer = optim.Sophia(net.parameters())
    try:
        optimizer.estimate(loss)
    except ValueError as error:
        return [str(error)]


def run(folder: Path) -> list[dict[str, Any]]:
    """Run all of it in two processes; gives what each found, a traceback in place of what failed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    both = [context.Process(target=_begin, args=(rank, folder)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(4 * SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
    return found(folder)


def found(folder: Path) -> list[dict[str, Any]]:
    """What the two processes of an earlier `run` found."""
    files = [folder / f"{rank}.pt" for rank in range(2)]
    return [torch.load(file, weights_only=False) if file.exists() else {} for file in files]


def _begin(rank: int, folder: Path) -> None:
    from datetime import timedelta

    torch.set_num_threads(1)
    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=timedelta(seconds=SECONDS))
    found: dict[str, Any] = {}
    for name, function in CHECKS.items():
        try:
            found[name] = function(rank, folder)
        except Exception:
            found[name] = traceback.format_exc()
            break  # the other process waits for this one now
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()
