"""Two processes that train one model together do what one process does, however the work is shared out."""

from __future__ import annotations

import fcntl
import math
import os
from functools import cache

import pytest
import torch
from torch import nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

from fallline import optim

from . import processes
from .processes import (
    CODED,
    NARROW,
    RATE,
    SAVED,
    STEPS,
    WAYS,
    halves,
    model,
    optimizer_of,
    train,
    weights,
    wide_model,
    wide_optimizer,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all of pytest's own processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "processes"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def both(folder):
    """What the two processes found, by the name of what they did: whoever asks first has them run."""
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return processes.found(folder)
        results = processes.run(folder)
        done.touch()
        return results


@pytest.fixture
def found(both):
    def of(name):
        for results in both:
            result = results.get(name, "the process ended before")
            assert not isinstance(result, str), result
        return [results[name] for results in both]

    return of


@cache
def alone(way, steps=STEPS):
    """One process on whole batches: the parameters, the optimizer's states, and its elements of states."""
    net = model()
    optimizer = optimizer_of(way, net.parameters())
    train(net, optimizer, steps=steps)
    states = [s for state in optimizer.state.values() for s in state.values() if isinstance(s, torch.Tensor)]
    return weights(net), states, optimizer


def same(given, wanted):
    torch.testing.assert_close(given, wanted, rtol=1e-9, atol=1e-11)


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_data_parallel_replicas_are_equal_bit_by_bit(found):
    first, second = found("data_parallel")
    for way in first:
        assert equal(first[way], second[way])
        same(first[way], alone(way)[0])


def test_zero_steps_and_checkpoints_a_share_in_each_process(found):
    """With sums over all parameters, those of the other process too."""
    first, second = found("zero")
    for way in first:
        assert equal(first[way]["weights"], second[way]["weights"])
        same(first[way]["weights"], alone(way, 2 * STEPS)[0])
        assert sorted([first[way]["held"], second[way]["held"]])[0] > 0
        assert first[way]["held"] + second[way]["held"] == len(first[way]["weights"])
        state = first[way]["state"]
        halfway = alone(way)[2].state_dict()
        assert state["state"].keys() == halfway["state"].keys()
        for index, held in halfway["state"].items():
            same(list(state["state"][index].values()), list(held.values()))


@pytest.mark.parametrize("way", WAYS)
def test_fsdp_steps_shards(way, found):
    first, second = (results[way] for results in found("shards"))
    wanted, states, optimizer = alone(way)
    assert equal(first["weights"], second["weights"])
    same(first["weights"], wanted)
    same(first["states"], states)
    with optimizer.evaluating():
        same(first["evaluated"], [p.detach() for p in optimizer.param_groups[0]["params"]])


@pytest.mark.parametrize("way", ["adamw", "averaged_and_clipped", "prodigy", "lamb", "own_norms", "muon"])
def test_a_process_holds_the_states_of_its_shards_alone(way, found):
    first, second = (results[way] for results in found("shards"))
    assert first["local"] + second["local"] == sum(state.numel() for state in alone(way)[1])
    assert second["local"] > first["local"] / 3


@pytest.mark.parametrize("way", NARROW)
def test_weights_and_states_of_few_bits(way, found):
    """Replicas round alike, at random too; and all come near to where one process in single precision comes."""
    first, second = found("few_bits")
    start, net = weights(wide_model()), wide_model()
    train(net, optim.optimizer("momentum", net.parameters(), lr=RATE))
    wanted = weights(net)
    for kind in ("replicas", "shards"):
        given = first[way, kind]
        assert equal(given["weights"], second[way, kind]["weights"])
        assert (torch.uint8 in given["types"]) == (way == "state_8bit")
        for before, held, p in zip(start, given["weights"], wanted, strict=True):
            assert held.dtype is NARROW[way][0]
            rounding = before.abs().max() * torch.finfo(held.dtype).eps
            assert (held.float() - p).abs().max() < 0.15 * (p - before).abs().max() + 2 * rounding


def test_eight_bits_are_a_quarter_of_the_bytes_in_every_process(found):
    """Of shards of other sizes, and of none; what is small stays whole."""
    for results in found("few_bits"):
        given = results["state_8bit", "shards"]
        *large, last = zip(given["elements"], given["bytes"], strict=True)
        assert all(held == count + math.ceil(count / 256) for count, held in large)
        assert last[1] == 4 * last[0]
    assert [results["state_8bit", "shards"]["elements"][2] for results in found("few_bits")] == [8193, 0]


@pytest.mark.parametrize("way", CODED)
def test_a_process_rounds_its_shard_at_random_as_no_other(way, found):
    """Both halves of the matrix, and of its gradients, are equal: what differs between them was drawn."""
    first, second = found("codes_of_shards")
    start, gradients = halves()
    runs = {}
    for low in (False, True):
        p = nn.Parameter(start.clone())
        optimizer = optim.optimizer(way, [p], lr=CODED[way], **({"state_8bit": True} if low else {}))
        for g in gradients:
            p.grad = g
            optimizer.step()
        runs[low] = p.detach()
    apart = (runs[True] - runs[False]).norm()
    for kind, where in first:
        if where == way:
            one, two = first[kind, way], second[kind, way]
            assert torch.equal(one["weights"], two["weights"])
            assert (one["weights"] - runs[False]).norm() < 1.2 * apart
            assert torch.equal(one["codes"], two["codes"]) == ("replicas" in kind)
    rows = [results["rows", way]["codes"] for results in (first, second)]
    assert (rows[0] != rows[1]).float().mean() > 0.2
    if way == "adamw":
        assert torch.equal(first["replicas", way]["weights"], runs[True])
        assert torch.equal(first["replicas of rows", way]["weights"], runs[True])
        assert torch.equal(first["rows", way]["part"], runs[True][:64])


def near(given, wanted):
    """Whether numbers are those wanted, up to a rounding to eight bits."""
    for name, state in wanted.items():
        for key, value in state.items():
            if key == "step":
                assert given[name][key] == value
            else:
                least = 2.0**-15 * value.float().abs().max()
                torch.testing.assert_close(given[name][key].float(), value.float(), rtol=1 / 15, atol=float(least))


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_states_in_eight_bits_are_saved_and_loaded_by_any_number_of_processes(found, folder):
    first, second = found("checkpoints_of_codes")
    gathered = first["gathered"]["state"]
    for results in (first, second):
        for way in ("loaded", "filled"):
            assert equal(results["gone_on"], results[f"{way}_on"])
            torch.testing.assert_close(results[way]["state"], gathered, rtol=0, atol=0)
        near(results["of_plain"]["state"], results["plain"]["state"])
        near(results["by_place"]["state"], results["plain"]["state"])
        assert results["bytes"] == results["bytes_before"]

    coded, whole = wide_model(), wide_model()
    for net, optimizer in ((coded, wide_optimizer(coded)), (whole, optim.AdamW(whole.parameters(), lr=RATE))):
        state = {"optimizer": get_optimizer_state_dict(net, optimizer)}
        checkpoint.load(state, checkpoint_id=folder / "codes", no_dist=True)
        set_optimizer_state_dict(net, optimizer, state["optimizer"])
        loaded = get_optimizer_state_dict(net, optimizer)["state"]
        near(loaded, gathered)
        large = optimizer.state[net[0].weight]["exp_avg"]
        assert large.dtype is (torch.uint8 if net is coded else torch.float32)
    for name, state in gathered.items():
        assert torch.equal(loaded[name]["exp_avg_sq"], state["exp_avg_sq"].float())


def test_estimates_of_curvature_are_averaged_over_replicas(found):
    first, second = found("curvature")
    assert equal(first["weights"], second["weights"])
    for step in range(STEPS):
        means = [(a + b) / 2 for a, b in zip(first["apart"][step], second["apart"][step], strict=True)]
        assert equal(first["together"][step], second["together"][step])
        same(first["together"][step], means)
    assert not equal(first["apart"][0], second["apart"][0])


def test_estimates_for_different_models_are_not_averaged(found):
    for results in found("different_models"):
        (refused,) = results
        assert "the processes hold different parameters" in refused
        assert "average_over(None)" in refused


def test_shards_on_meshes_of_two_dimensions(found):
    for results in found("shards_of_replicas"):
        for (_, way), given in results.items():
            same(given, alone(way)[0])


def test_shards_are_stepped_in_the_backward_pass(found):
    for results in found("shards_in_backward"):
        for way in ("adamw", "lamb"):
            same(results[way]["weights"], alone(way)[0])
            assert results[way]["gradients"] == 0
        assert "only parameters sharded by `fully_shard` can step in the backward pass" in results["plain"]


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("way", SAVED)
def test_a_sharded_checkpoint_is_loaded_by_two_processes_and_by_one(way, found, folder):
    first, second = (results[way] for results in found("checkpoints"))
    assert equal(first["gone_on"], first["loaded"])
    assert equal(second["gone_on"], second["loaded"])
    same(first["gone_on"], alone(way, 2 * STEPS)[0])

    net = model()
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    optimizer = optimizer_of(way, net.parameters())
    state = {"model": net.state_dict(), "optimizer": get_optimizer_state_dict(net, optimizer)}
    checkpoint.load(state, checkpoint_id=folder / way, no_dist=True)
    net.load_state_dict(state["model"])
    set_optimizer_state_dict(net, optimizer, state["optimizer"])
    train(net, optimizer, first=STEPS)
    same(weights(net), alone(way, 2 * STEPS)[0])

    gathered = first["gathered"]["state"]
    _, _, reference = alone(way)
    for (name, _), p in zip(net.named_parameters(), reference.param_groups[0]["params"], strict=True):
        same(gathered[name], reference.state[p])


@pytest.mark.parametrize("way", WAYS)
def test_tensor_parallel_layers(way, found):
    for results in found("tensor_parallel"):
        same(results[way], alone(way)[0])


def test_every_placement_of_parameters_and_gradients(found):
    for results in found("placements"):
        assert "a parameter and a gradient of which only one is a DTensor" in results.pop("mixed")
        for (way, dtype), given in results.items():
            torch.manual_seed(1)
            starts, gradients = torch.randn(2, 4, 5, 3, dtype=dtype)
            params = [start.clone().requires_grad_() for start in starts]
            for p, g in zip(params, gradients, strict=True):
                p.grad = g
            optimizer = optimizer_of(way, params)
            for _ in range(3):
                optimizer.step()
            same(given["weights"], [p.detach() for p in params])
            assert "modified by an inplace operation" in given["stale"]


def test_sums_go_over_the_parameters_of_other_stages(found):
    torch.manual_seed(2)
    starts, gradients = torch.randn(2, 2, 3, dtype=torch.float64)
    params = [start.clone().requires_grad_() for start in starts]
    optimizer = optimizer_of("averaged_and_clipped", params)
    for step in range(3):
        for k, p in enumerate(params):
            p.grad = None if (k, step) == (1, 0) else gradients[k] * (step + 1)
        optimizer.step()
    same(found("stages"), [p.detach() for p in params])
