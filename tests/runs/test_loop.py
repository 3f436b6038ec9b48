"""What is trained: the weights that a loop written by hand gives, bit for bit where it takes the same steps."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from fallline import optim
from fallline.errors import InputError
from fallline.problems import Problem, derive, seeded
from fallline.rules import get
from fallline.runs import train
from fallline.training import Execution, Trial
from fallline.training import train as train_trials

from .problems import examples, noisy, plain, plain_network, signs


def batches(epoch: int, size: int = 16, count: int = 90) -> list[Tensor]:
    """The examples of each batch of an epoch, from 1, in the order of seed 0."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(derive(0, "order", epoch)))
    return list(order.split(size))


def by_hand(
    step: Callable[[Any, nn.Module, Tensor, Tensor], None], make: Callable[..., Any], epochs: int = 4, **settings: Any
) -> list[Tensor]:
    """The weights of the plain problem's model, trained as people write it."""
    x, y = examples(150)
    model = plain().build(0)
    optimizer = make(model.parameters(), **settings)
    for epoch in range(1, epochs + 1):
        for index in batches(epoch):
            step(optimizer, model, x[index], y[index])
    return weights(model)


def step(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("rule", "settings"), [("sgd", {"lr": 0.1}), ("adamw", {"lr": 0.01, "weight_decay": 0.1})])
def test_weights_are_those_of_a_loop_by_hand_bit_for_bit(rule: str, settings: dict[str, float]) -> None:
    run = train(plain(), rule, settings)
    made = {"sgd": optim.SGD, "adamw": optim.AdamW}[rule]
    assert same(weights(run.model), by_hand(step, made, **settings))


def test_sgd_gives_the_weights_of_torch_bit_for_bit() -> None:
    # at a rate that is a power of two, whose product with a gradient is exact, however it is rounded
    run = train(plain(), "sgd", lr=0.125)
    assert same(weights(run.model), by_hand(step, torch.optim.SGD, lr=0.125))


def test_adamw_gives_the_weights_of_torch() -> None:
    run = train(plain(), "adamw", {"lr": 0.01, "weight_decay": 0.1})
    hand = by_hand(step, torch.optim.AdamW, lr=0.01, weight_decay=0.1)
    for mine, theirs in zip(weights(run.model), hand, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [plain, signs])
def test_a_run_gives_the_numbers_of_a_comparisons_trial(make: Callable[[], Problem]) -> None:
    problem = make()
    trial = Trial(get("adamw"), {"lr": 0.01}, 3, "tuned")
    ((_, outcome),) = next(iter(train_trials(problem, [trial], execution=Execution())))
    run = train(problem, "adamw", lr=0.01, seed=3)
    assert [(row.train_loss, row.valid_loss) for row in run.history] == [
        (point.train_loss, point.valid_loss) for point in outcome.curve
    ]
    assert run.test is not None
    assert run.test.loss == outcome.test_loss


def test_a_schedule_sets_the_rate_of_every_update() -> None:
    def scheduled(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * next(count) / 24)) / 2
        step(optimizer, model, x, y)

    count = iter(range(100))
    run = train(plain(), "sgd", lr=0.1, schedule="cosine")
    for mine, theirs in zip(weights(run.model), by_hand(scheduled, optim.SGD, lr=0.1), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    assert run.history[-1].lr == pytest.approx(0.1 * (1 + math.cos(math.pi * 23 / 24)) / 2)


def test_restarts_divide_the_decay_by_the_root_of_their_period() -> None:
    def scheduled(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        t = next(count)
        began, period = max((0, 6), (6, 12), (18, 24), key=lambda each: (each[0] <= t, each[0]))
        group = optimizer.param_groups[0]
        group["lr"] = 0.05 * (1 + math.cos(math.pi * (t - began) / period)) / 2
        group["weight_decay"] = 2 / math.sqrt(period)
        step(optimizer, model, x, y)

    count = iter(range(100))
    hand = by_hand(scheduled, torch.optim.AdamW, lr=0.05, weight_decay=2)
    schedule = "normalized_restarts(1 epoch, mult=2)"
    run = train(plain(), "adamw", {"lr": 0.05, "weight_decay": 2.0}, schedule=schedule)
    for mine, theirs in zip(weights(run.model), hand, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_average_is_what_is_scored_and_given() -> None:
    average: list[AveragedModel] = []

    def averaged(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        if not average:
            average.append(AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)))
        step(optimizer, model, x, y)
        average[0].update_parameters(model)

    by_hand(averaged, optim.SGD, lr=0.1)
    run = train(plain(), "sgd", lr=0.1, average="ema(0.9, debias=off)")
    for mine, theirs in zip(weights(run.model), weights(average[0].module), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    x, y = examples(150)
    with torch.no_grad():
        expected = float(functional.cross_entropy(run.model(x[120:]), y[120:]))
    assert run.test is not None
    assert run.test.loss == pytest.approx(expected, rel=1e-6)


def test_batch_norms_have_the_statistics_of_the_averaged_weights() -> None:
    x, y = examples(150)
    model = signs().build(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.125)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))

    def augmented(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for k, index in enumerate(batches(epoch)):
            with seeded(derive(0, "augment", epoch - 1, k)):
                batch = noisy(x[index], y[index])
            yield batch

    def losses(epoch: int, model: nn.Module) -> list[float]:
        with seeded(derive(0, "recalibrate", epoch - 1)):
            update_bn(augmented(epoch), average)
        with torch.no_grad():
            return [float(functional.cross_entropy(model.eval()(x[a:b]), y[a:b])) for a, b in ((90, 120), (120, 150))]

    run = train(signs(), "sgd", lr=0.125, average="ema(0.9, debias=off)")
    for epoch in range(1, 5):
        with seeded(derive(0, "epoch", epoch)):
            for inputs, targets in augmented(epoch):
                step(optimizer, model.train(), inputs, targets)
                average.update_parameters(model)
        assert run.history[epoch].valid_loss == pytest.approx(losses(epoch, average.module)[0], rel=1e-5)
    valid, test = losses(5, average.module)
    assert run.valid is not None
    assert run.test is not None
    assert (run.valid.loss, run.test.loss) == pytest.approx((valid, test), rel=1e-5)
    average.module.load_state_dict(dict(model.named_buffers()), strict=False)
    _, stale = losses(5, copy.deepcopy(average.module))
    assert run.test.loss != pytest.approx(stale, rel=1e-3)


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_a_batch_in_parts_takes_the_step_of_the_whole_one(parts: int) -> None:
    whole, divided = train(plain(), "sgd", lr=0.1), train(plain(), "sgd", lr=0.1, accumulate=parts)
    assert divided.updates == whole.updates == 24
    for mine, theirs in zip(weights(divided.model), weights(whole.model), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_penalties_are_those_of_the_loss_by_hand() -> None:
    def penalized(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        last = model.get_submodule("2").get_parameter("weight")
        loss = functional.cross_entropy(model(x), y) + 0.01 * last.abs().sum() + 0.05 * last.square().sum()
        loss.backward()
        optimizer.step()

    run = train(plain(), "sgd", lr=0.1, l1=0.01, l2=0.1, penalize="2.weight")
    for mine, theirs in zip(weights(run.model), by_hand(penalized, optim.SGD, lr=0.1), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_as_torch_clips_them() -> None:
    def clipped(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    run = train(plain(), "sgd", {"lr": 0.5, "clip_norm": 0.1})
    for mine, theirs in zip(weights(run.model), by_hand(clipped, torch.optim.SGD, lr=0.5), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_mixed_precision_is_torchs(precision: str, dtype: torch.dtype) -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "fp16")

    def mixed(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            loss = functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    run = train(plain(), "sgd", lr=0.1, precision=precision)
    assert same(weights(run.model), by_hand(mixed, optim.SGD, lr=0.1))
    assert all(p.dtype is torch.float32 for p in run.model.parameters())


def test_a_compiled_model_takes_the_same_steps() -> None:
    run = train(plain(), "sgd", lr=0.1, epochs=1, compile="eager")
    assert same(weights(run.model), by_hand(step, optim.SGD, epochs=1, lr=0.1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its own modules
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize(
    ("more", "tolerance"),
    [({}, 1e-6), ({"accumulate": 3}, 1e-5), ({"l1": 0.01, "l2": 0.1}, 1e-5), ({"precision": "bf16"}, 1e-2)],
    ids=["plain", "in parts", "penalized", "bf16"],
)
def test_inductors_code_takes_the_same_steps(more: dict[str, Any], tolerance: float) -> None:
    torch.compiler.reset()
    compiled, plainly = (train(plain(), "sgd", lr=0.1, compile=how, **more) for how in (True, False))
    for mine, theirs in zip(weights(compiled.model), weights(plainly.model), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


def test_sharpness_aware_steps_take_their_second_gradient() -> None:
    def twice(optimizer: Any, model: nn.Module, x: Tensor, y: Tensor) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    run = train(plain(), "sam(sgd)", lr=0.1)
    made = lambda params, **settings: optim.optimizer("sam(sgd)", params, **settings)  # noqa: E731
    assert same(weights(run.model), by_hand(twice, made, lr=0.1))


def test_a_rule_that_reads_curvature_is_given_it() -> None:
    x, y = examples(150)
    model, taken = plain().build(0), 0
    optimizer: Any = optim.Sophia(model.parameters(), lr=1e-2, every=5)
    for epoch in range(1, 5):
        with seeded(derive(0, "epoch", epoch)):
            for index in batches(epoch):
                loss = functional.cross_entropy(model(x[index]), y[index])
                optimizer.zero_grad()
                if taken % 5 == 0:
                    optimizer.estimate(loss)
                loss.backward()
                optimizer.step()
                taken += 1
    run = train(plain(), "sophia", {"lr": 1e-2, "every": 5})
    assert same(weights(run.model), weights(model))


def test_patience_ends_a_run_and_gives_its_best_weights(tmp_path: Any) -> None:
    run = train(plain(), "sgd", lr=0.0, patience=2, epochs=50)
    assert run.state == "stopped early"
    assert run.history[-1].epoch == 3  # nothing moves: the first epoch stays the best one
    noisy = train(signs(), "adamw", lr=0.3, patience=3, epochs=30, out=tmp_path)
    scores = [row.valid_metric for row in noisy.history[1:]]
    assert noisy.best_epoch == 1 + scores.index(max(scores))
    assert noisy.valid is not None
    assert noisy.valid.metric == max(scores)


def test_the_batch_really_grows_and_updates_fall() -> None:
    run = train(plain(), "sgd", lr=0.1, schedule="batch_size: multi_step(50%, factor=2)")
    assert [row.batch_size for row in run.history[1:]] == [16, 16, 32, 32]
    assert run.updates == 6 + 6 + 3 + 3


def test_layers_thaw_one_after_another_and_learn_at_their_own_rates() -> None:
    start = weights(plain().build(0))
    frozen = train(plain(), "sgd", lr=0.1, epochs=2, unfreeze_every=2)
    assert same(weights(frozen.model)[:2], start[:2])
    assert not same(weights(frozen.model)[2:], start[2:])
    thawed = train(plain(), "sgd", lr=0.1, epochs=4, unfreeze_every=2)
    assert not same(weights(thawed.model)[:2], start[:2])
    slow = train(plain(), "sgd", lr=0.1, epochs=1, layer_factor=1e6)
    torch.testing.assert_close(weights(slow.model)[0], start[0], rtol=0, atol=1e-6)


def test_weights_to_start_from_are_loaded_and_their_report_is_told(tmp_path: Any) -> None:
    first = train(plain(), "sgd", lr=0.1, out=tmp_path / "a")
    second = train(plain(), "sgd", lr=0.0, epochs=1, weights=tmp_path / "a" / "model.safetensors")
    assert same(weights(second.model), weights(first.model))
    assert any("4 tensors loaded" in note for note in second.notes)
    frozen = train(plain(), "sgd", lr=0.1, epochs=1, weights=tmp_path / "a" / "best.safetensors", freeze="0")
    begun = copy.deepcopy(frozen.model)
    assert not any(p.requires_grad for p in begun.get_submodule("0").parameters())


@pytest.mark.parametrize("how", ["auto", "skip"])
def test_a_head_of_other_classes_stays_fresh(tmp_path: Any, how: str) -> None:
    def five_classes() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5))

    first = train(plain(), "sgd", lr=0.1, out=tmp_path)
    x, y = examples()
    problem = Problem(five_classes, (x, y + 3 * (x[:, 2] > 0)), epochs=1)
    second = train(problem, "sgd", lr=0.0, weights=tmp_path / "model.safetensors", head=how)
    assert same(weights(second.model), [*weights(first.model)[:2], *weights(problem.build(0))[2:]])
    assert any("The head stays fresh: 2.weight" in note for note in second.notes)
    with pytest.raises(InputError, match=r"2\.weight"):
        train(problem, weights=tmp_path / "model.safetensors", head="load")


def test_a_head_is_left_out_where_that_is_asked_for(tmp_path: Any) -> None:
    first = train(plain(), "sgd", lr=0.1, out=tmp_path)
    second = train(plain(), "sgd", lr=0.0, epochs=1, weights=tmp_path / "model.safetensors", head="skip")
    assert same(weights(second.model), [*weights(first.model)[:2], *weights(plain().build(0))[2:]])


def test_a_run_has_the_patience_and_the_penalty_of_its_problem() -> None:
    given: dict[str, Any] = {"rule": "adamw", "lr": 0.3, "epochs": 12}
    own = plain().patient(2).penalized(l2=0.3, penalize="0")
    mine, asked = train(own, **given), train(plain(), **given, patience=2, l2=0.3, penalize="0")
    assert same(weights(mine.model), weights(asked.model))
    assert (mine.state, mine.best_epoch, mine.settings) == (asked.state, asked.best_epoch, asked.settings)
    without, bare = train(own, **given, patience="none", l2=0.0), train(plain(), **given)
    assert same(weights(without.model), weights(bare.model))
    assert not same(weights(mine.model), weights(bare.model))


def test_a_run_and_a_trial_of_one_problem_stop_at_the_same_epoch() -> None:
    problem = plain().patient(2).penalized(l1=0.01)
    problem.epochs = 12
    run = train(problem, "momentum", lr=0.5)
    ((_, outcome),) = next(iter(train_trials(problem, [Trial(get("momentum"), {"lr": 0.5}, 0, "tuned")])))
    assert outcome.state == run.state
    assert [p.valid_loss for p in outcome.curve] == pytest.approx([row.valid_loss for row in run.history], rel=1e-5)
    assert [p.train_loss for p in outcome.curve[1:]] == pytest.approx(
        [row.train_loss for row in run.history[1:]], rel=1e-5
    )
    assert run.test is not None
    assert outcome.test_loss == pytest.approx(run.test.loss, rel=1e-5)


def test_a_run_that_diverges_says_so_and_keeps_what_was_best() -> None:
    run = train(plain(), "sgd", lr=1e9)
    assert run.state == "diverged"
    assert "loss" in run.reason


def test_the_callers_random_numbers_stay_as_they_were(problem: Problem) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(problem, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_hyper_parameters_of_the_problems_own_reach_the_model() -> None:
    from fallline.problems import whole

    def model(width: int = 8) -> nn.Module:
        return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))

    problem = Problem(model, examples(), epochs=1, space={"width": whole(4, 16)})
    run = train(problem, "sgd", {"width": 5, "lr": 0.1})
    assert run.model.get_submodule("0").get_parameter("bias").shape == (5,)


def test_the_plain_network_is_what_its_name_says() -> None:
    assert [type(layer) for layer in plain_network()] == [nn.Linear, nn.Tanh, nn.Linear]
