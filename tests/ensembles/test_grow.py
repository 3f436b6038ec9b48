"""Training ensembles: members against plain PyTorch loops, stacked against alone, stopped against undisturbed."""

from __future__ import annotations

import json
import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fallline
from fallline import ensembles
from fallline.ensembles import Ensemble
from fallline.errors import InputError
from fallline.problems import derive, generator
from fallline.rules import REGISTRY
from fallline.training import Execution
from fallline.training.alone import Alone
from fallline.training.stack import Stack

ALONE = Execution()


def by_hand(problem, seed: int, lr: float, schedule, taken) -> list[dict[str, torch.Tensor]]:
    """A plain loop of PyTorch over the trial's own batches: the weights after the steps in `taken`."""
    model = problem.build(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = schedule(optimizer)
    found, step = [], 0
    for epoch in range(1, problem.epochs + 1):
        order = generator(derive(seed, "order", epoch))
        for x, y in problem.train.batches(problem.batch_size, torch.device("cpu"), order):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step in taken:
                found.append({name: p.detach().clone() for name, p in model.named_parameters()})
    return found


def close(members, weights, tolerance: float = 1e-5) -> None:
    for member, expected in zip(members, weights, strict=True):
        for name, p in member.named_parameters():
            torch.testing.assert_close(p.detach(), expected[name], rtol=tolerance, atol=tolerance)


def test_snapshots_are_those_of_pytorch_s_warm_restarts(make):
    problem = make()
    made = ensembles.snapshot(
        problem, 4, rule="momentum", settings={"lr": 0.1, "momentum": 0.9}, progress=False, execution=ALONE
    )

    def restarts(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=12)

    close(made.members, by_hand(problem, 0, 0.1, restarts, (12, 24, 36, 48)))
    assert made.names == [f"seed 0, step {step}" for step in (12, 24, 36, 48)]
    assert made.complete
    assert not made.members[0].training


@pytest.mark.parametrize("execution", [ALONE, Execution(width=3)], ids=["alone", "stacked"])
def test_independent_members_are_models_trained_alone(make, execution):
    problem = make()
    settings = {"lr": 0.1, "momentum": 0.9}
    made = ensembles.independent(
        problem, 3, rule="momentum", settings=settings, seed=4, progress=False, execution=execution
    )

    def constant(optimizer):
        return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

    close(made.members, [by_hand(problem, seed, 0.1, constant, (48,))[0] for seed in (4, 5, 6)])
    assert made.names == ["seed 4", "seed 5", "seed 6"]


def test_stacked_members_have_buffers_of_their_own(make, monkeypatch):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3)))
    # not a rule that divides by the size of gradients: of a bias before a batch norm they are rounding errors
    alone = ensembles.independent(problem, 3, rule="momentum", progress=False, execution=ALONE)
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together = ensembles.independent(problem, 3, rule="momentum", progress=False, execution=Execution(width=3))
    for one, other in zip(alone.members, together.members, strict=True):
        for (name, mine), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4, msg=name)


def test_a_member_is_evaluated_where_its_rule_is(make):
    """At averages, where the rule has them."""
    made = ensembles.snapshot(make(), 2, rule="ema(adamw)", settings={"ema_decay": 0.9}, progress=False)
    plain = ensembles.snapshot(make(), 2, rule="adamw", progress=False)
    assert not torch.equal(made.members[1][0].weight, plain.members[1][0].weight)


def until_ctrl_c(monkeypatch, every: int) -> None:
    """Ctrl-C after every so many updates, wherever they are taken."""
    steps = iter(range(1, 10**6))
    for kind in (Alone, Stack):

        def advance(self, pause, advance=kind.advance):
            def stop() -> bool:
                if next(steps) % every == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                return pause()

            return advance(self, stop)

        monkeypatch.setattr(kind, "advance", advance)


@pytest.mark.parametrize(
    ("kind", "execution"),
    [("snapshot", ALONE), ("fge", ALONE), ("independent", ALONE), ("independent", Execution(width=4))],
    ids=["snapshot", "fge", "independent", "stacked"],
)
def test_stopped_again_and_again_it_ends_with_the_same_bits(make, tmp_path, monkeypatch, kind, execution):
    def train():
        return ensembles.train(make(), 4, kind=kind, out=tmp_path, progress=False, execution=execution)

    undisturbed = ensembles.train(make(), 4, kind=kind, progress=False, execution=execution)
    sizes = []
    with monkeypatch.context() as patch:
        until_ctrl_c(patch, 17)
        for _ in range(30):
            try:
                made = train()
            except KeyboardInterrupt:
                assert not list(tmp_path.glob("*.safetensors"))
                continue
            sizes.append(len(made))
            if made.complete:
                break
            assert f"{len(made)} of 4 members are finished" in made.notes[-1]
    assert sizes[-1] == 4
    assert sizes == sorted(sizes)
    for one, other in zip(made.members, undisturbed.members, strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    monkeypatch.setattr(Alone, "begin", None)  # nothing is left to train
    monkeypatch.setattr(Stack, "begin", None)
    again = train()
    assert again.complete
    assert again.notes == []
    loaded = Ensemble.load(tmp_path, make())
    assert torch.equal(loaded.predict(make().test.x), undisturbed.predict(make().test.x))
    assert loaded.names == undisturbed.names
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_run_that_diverges_is_left_out_and_told(make, tmp_path):
    """Seeds that fail, and a single run that fails after its first member."""

    def model() -> nn.Module:
        made = nn.Sequential(nn.Linear(5, 3))
        if torch.initial_seed() == 1:
            nn.init.constant_(made[0].weight, float("inf"))
        return made

    made = ensembles.independent(make(model), 3, out=tmp_path, progress=False, execution=ALONE)
    assert made.names == ["seed 0", "seed 2"]
    assert made.complete
    assert made.notes[0].startswith("The run of seed 1 diverged: ")
    assert ensembles.independent(make(model), 3, out=tmp_path, progress=False).notes == made.notes
    with pytest.raises(InputError, match="Try a lower rate"):
        ensembles.snapshot(make(), 2, rule="sgd", settings={"lr": 1e30}, progress=False)


def test_members_taken_after_a_run_went_wrong_are_left_out(make, monkeypatch):
    """A single run that is in order for two epochs of eight updates."""
    from fallline.training.course import Course

    def watch(self, value, step, epoch, watch=Course.watch):
        if step == 20:
            self.reason = "the training loss was too large at step 20"
            return False
        return watch(self, value, step, epoch)

    monkeypatch.setattr(Course, "watch", watch)
    made = ensembles.snapshot(make(), 8, progress=False, execution=ALONE)  # members every 6 updates
    assert made.names == ["seed 0, step 6", "seed 0, step 12"]
    assert "diverged: the training loss was too large" in made.notes[0]


def test_a_directory_with_another_ensemble_is_left_alone(make, tmp_path):
    ensembles.snapshot(make(), 2, out=tmp_path, progress=False)
    before = (tmp_path / "ensemble.json").read_text()
    for changes, said in (
        ({"settings": {"lr": 0.5}}, "settings was"),
        ({"seed": 3}, "seed was 0, now 3"),
        ({"kind": "fge"}, "kind was snapshot, now fge"),
        ({"epochs": 9}, "the problem has other data"),
    ):
        with pytest.raises(InputError, match=said):
            ensembles.train(make(), 2, **{"kind": "snapshot", **changes}, out=tmp_path, progress=False)
    assert (tmp_path / "ensemble.json").read_text() == before
    made = ensembles.train(make(), 3, kind="fge", out=tmp_path, fresh=True, progress=False)
    assert Ensemble.load(tmp_path, make()).names == made.names
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    made.save(tmp_path / "saved")
    with pytest.raises(InputError, match="that was saved"):
        ensembles.fge(make(), 3, out=tmp_path / "saved", progress=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "snapshots"}, "Did you mean snapshot"),
        ({"rule": "adamv"}, "Did you mean adam"),
        ({"settings": {"lr": -1}}, "lr=-1"),
        ({"members": 0}, "members=0 is not allowed"),
        ({"members": 2.5}, r"members=2\.5 is not allowed"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"epochs": 0}, "epochs=0 is not allowed"),
        ({"schedule": "cosine"}, "not allowed for snapshot, which has its own"),
        ({"kind": "independent", "schedule": "cosin"}, "Did you mean cosine"),
        ({"high": 0.5}, "not allowed for snapshot"),
        ({"problem": 3}, "it is a int"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_training(make, changes, said):
    arguments = {"problem": make(), "members": 2, "progress": False, **changes}
    with pytest.raises(InputError, match=said):
        ensembles.train(arguments.pop("problem"), arguments.pop("members"), **arguments)


def test_a_rule_without_a_rate_has_none_to_cycle(make):
    @fallline.rule
    def fixed_step(p, g, *, t):
        return p - 0.01 * g

    try:
        with pytest.raises(InputError, match="no learning rate"):
            ensembles.snapshot(make(), 2, rule=fixed_step, progress=False)
        assert len(ensembles.independent(make(), 2, rule=fixed_step, progress=False)) == 2
    finally:
        del REGISTRY["fixed_step"]


def test_schedule_and_length_of_independent_runs(make, tmp_path):
    ensembles.independent(
        make(), 2, schedule="warmup(10%) > cosine", epochs=2, out=tmp_path, progress=False, execution=ALONE
    )
    facts = json.loads((tmp_path / "ensemble.json").read_text())
    assert [member["step"] for member in facts["members"]] == [16, 16]
