"""Each modifier against PyTorch's own parts, another library or its paper's formula, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import optimi
import pytest
import pytorch_optimizer
import torch
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fallline import optim

SHAPES = [(6,), (4, 5), (3, 2, 2, 2), ()]
RULES = ["adam", "momentum", "lion", "muon"]
"""An adaptive rule, one with a single state, one of signs, and one for matrices."""


def parameters(shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def gradients(params: Sequence[Tensor], step: int) -> list[Tensor]:
    """Gradients that depend on the point and on the step, of a size that is sometimes small and sometimes large."""
    generator = torch.Generator().manual_seed(100 + step)
    size = (0.01, 1.0, 30.0)[step % 3]
    return [size * (p.detach().cos() + torch.randn(p.shape, generator=generator, dtype=p.dtype)) for p in params]


def path(
    optimizer: torch.optim.Optimizer,
    params: Sequence[Tensor],
    steps: int = 9,
    before: Callable[[Sequence[Tensor], int], None] = lambda params, step: None,
    after: Callable[[Sequence[Tensor], int], None] = lambda params, step: None,
) -> list[list[Tensor]]:
    """Every iterate; `before` may change the gradients, `after` what a step has made."""
    walked = []
    for step in range(1, steps + 1):
        for p, g in zip(params, gradients(params, step), strict=True):
            p.grad = g
        before(params, step)
        optimizer.step()
        with torch.no_grad():
            after(params, step)
        walked.append([p.detach().clone() for p in params])
    return walked


def modified(text: str, steps: int = 9, **settings: float) -> list[list[Tensor]]:
    params = parameters()
    return path(optim.optimizer(text, params, **settings), params, steps)


def plain(name: str, steps: int = 9, before=lambda params, step: None, after=lambda params, step: None, **settings):
    params = parameters()
    return path(optim.optimizer(name, params, **settings), params, steps, before, after)


def assert_same(a, b, rtol=1e-9):
    torch.testing.assert_close(a, b, rtol=rtol, atol=1e-11)


def _clip_norm(params, step, bound=0.7):
    clip_grad_norm_(params, bound)


def _clip_value(params, step, bound=0.3):
    clip_grad_value_(params, bound)


def _clip_each(params, step, bound=0.5):
    for p in params:
        clip_grad_norm_([p], bound)


def _adaptive(params, step):
    for p in params:
        p.grad = pytorch_optimizer.agc(p.detach(), p.grad, agc_eps=1e-2, agc_clip_val=0.1)


def _centered(params, step):
    for p in params:
        centralize_gradient(p.grad)


def _signs(params, step):
    for p in params:
        p.grad = p.grad.sign()


ON_GRADIENTS = {
    "clip_norm({}, max_norm=0.7)": _clip_norm,
    "clip_value({}, max_value=0.3)": _clip_value,
    "clip_tensor_norm({}, max_tensor_norm=0.5)": _clip_each,
    "agc({}, agc_ratio=0.1, agc_eps=0.01)": _adaptive,
    "centralize({})": _centered,
    "sign({})": _signs,
}


PAIRS = [(text, name) for k, text in enumerate(ON_GRADIENTS) for name in (RULES[k % 3], RULES[3])]
"""Each with the rule for matrices, which modifies the rest too, and with one of the others."""


@pytest.mark.parametrize(("text", "name"), PAIRS)
def test_what_is_done_to_a_gradient_is_what_others_do_before_the_step(text, name):
    assert_same(modified(text.format(name)), plain(name, before=ON_GRADIENTS[text]))


def test_the_global_norm_is_over_all_groups_and_each_clips_to_its_own():
    params, others = parameters(), parameters()
    bounds = (0.5, 2.0)
    groups = [{"params": params[:2], "clip_norm": bounds[0]}, {"params": params[2:], "clip_norm": bounds[1], "lr": 0.1}]
    ours = optim.Adam(groups, lr=0.01)
    theirs = torch.optim.Adam([{"params": others[:2]}, {"params": others[2:], "lr": 0.1}], lr=0.01)

    def clip(params, step):
        norm = torch.cat([p.grad.flatten() for p in params]).norm()
        for k, p in enumerate(params):
            p.grad = p.grad * min(1.0, float(bounds[k >= 2] / (norm + 1e-6)))

    assert_same(path(ours, params), path(theirs, others, before=clip))


@pytest.mark.parametrize("dtype", [torch.complex128, torch.bfloat16], ids=str)
def test_clipping_takes_complex_numbers_and_half_types(dtype):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(40, dtype=torch.complex128 if dtype.is_complex else torch.float64, generator=generator).to(
        dtype
    )
    p, q = start.clone().requires_grad_(), start.clone().requires_grad_()
    ours, theirs = optim.SGD([p], lr=0.5, clip_norm=0.3), torch.optim.SGD([q], lr=0.5)
    p.grad, q.grad = torch.ones_like(p) * 2, torch.ones_like(q) * 2
    clip_grad_norm_([q], 0.3)
    ours.step()
    theirs.step()
    torch.testing.assert_close(p, q)


def test_decay_beside_the_rate_is_optimis():
    params, others = parameters(), parameters()
    ours = optim.Adam(params, lr=0.01, independent_decay=9e-4, peak_lr=0.02)
    settings = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 9e-4, "decouple_lr": True, "max_lr": 0.02}
    theirs = optimi.Adam(others, lr=0.01, triton=False, **settings)
    assert_same(path(ours, params), path(theirs, others), rtol=1e-7)  # their bias corrections are rounded
    assert_same(
        modified("fully_decoupled(sgd, independent_decay=0.05)", lr=0.0),
        [[0.95**t * p.detach() for p in parameters()] for t in range(1, 10)],
    )


@pytest.mark.parametrize("name", RULES)
def test_penalties_join_the_gradient(name):
    def penalized(params, step):
        for p in params:
            p.grad = p.grad + 0.1 * p.detach() + 0.02 * p.detach().sign()

    assert_same(modified(f"l1(l2({name}, l2=0.1), l1=0.02)"), plain(name, before=penalized))


def test_the_look_ahead_of_gradient_descent_is_nesterovs_momentum():
    params = parameters()
    theirs = torch.optim.SGD(params, lr=0.05, momentum=0.8, nesterov=True)
    assert_same(modified("nesterov(sgd, nesterov_momentum=0.8)", lr=0.05), path(theirs, params))


@pytest.mark.parametrize("name", RULES)
def test_caution_keeps_what_goes_against_the_gradient_and_makes_up_for_the_rest(name):
    masked, params = parameters(), parameters()
    ours = path(optim.optimizer(f"cautious({name})", masked, lr=0.05), masked)
    theirs = optim.optimizer(name, params, lr=0.05)
    start = [p.detach().clone() for p in params]

    def keep(params, step):
        start[:] = [p.detach().clone() for p in params]

    def mask(params, step):
        for p, old in zip(params, start, strict=True):
            kept = ((old - p) * p.grad > 0).to(p.dtype)
            p.copy_(old + (p - old) * kept / kept.mean().clamp(min=1e-3))

    assert_same(ours, path(theirs, params, before=keep, after=mask))


def test_caution_is_for_the_rules_own_step_and_not_for_the_decay():
    rule_of = optim.AdamW([torch.ones(2, requires_grad=True)], cautious=True)
    assert rule_of.rule_of(rule_of.param_groups[0])[0].name == "decoupled(cautious(adam))"


@pytest.mark.parametrize("name", RULES)
def test_lookahead_is_the_other_librarys(name):
    params = parameters()
    theirs = pytorch_optimizer.Lookahead(optim.optimizer(name, params), k=3, alpha=0.4)
    assert_same(modified(f"lookahead({name}, lookahead_steps=3, lookahead_rate=0.4)"), path(theirs, params))


@pytest.mark.parametrize("name", RULES)
def test_the_average_is_pytorchs(name):
    model, ours = nn.Module(), parameters()
    model.held = nn.ParameterList(p.detach().clone() for p in ours)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    params = list(model.parameters())
    optimizer = optim.optimizer(f"ema({name}, ema_decay=0.8)", ours)
    theirs = optim.optimizer(name, params)
    walked = path(optimizer, ours)
    assert_same(walked, path(theirs, params, after=lambda params, step: average.update_parameters(model)))
    assert_same([optimizer.state[p]["average"] for p in ours], [p.detach() for p in average.parameters()])


def test_without_bias_every_step_has_its_exponential_weight():
    params = parameters()
    optimizer = optim.Adam(params, ema=0.8, ema_debias=1)
    walked = path(optimizer, params, 6)
    weights = torch.tensor([0.8 ** (6 - t) for t in range(1, 7)], dtype=torch.float64)
    for k, p in enumerate(params):
        steps = torch.stack([iterate[k] for iterate in walked])
        expected = (weights.view(-1, *(1,) * p.ndim) * steps).sum(0) / weights.sum()
        assert_same(optimizer.state[p]["average"], expected)


def test_noise_is_normal_with_a_variance_that_falls_and_the_same_in_every_run():
    def steps(seed: int) -> list[Tensor]:
        params = [torch.zeros(40_000, dtype=torch.float64, requires_grad=True) for _ in range(2)]
        optimizer = optim.SGD(params, lr=1.0, noise=0.3, noise_decay=0.55, noise_seed=seed)
        drawn = []
        for _ in range(3):
            for p in params:
                p.grad = torch.zeros_like(p)
            before = torch.stack([p.detach().clone() for p in params])
            optimizer.step()
            drawn.append(before - torch.stack([p.detach() for p in params]))
        return drawn

    drawn = steps(0)
    for t, x in enumerate(drawn, 1):
        normal = x / math.sqrt(0.3 / (1 + t) ** 0.55)
        assert abs(float(normal.mean())) < 0.02
        assert abs(float(normal.std()) - 1) < 0.02
        assert abs(float((normal[0] * normal[1]).mean())) < 0.03
    assert abs(float((drawn[0] * drawn[1]).mean())) < 0.01
    assert all(torch.equal(a, b) for a, b in zip(drawn, steps(0), strict=True))
    assert not torch.equal(drawn[0], steps(1)[0])


@pytest.mark.parametrize("name", RULES)
def test_a_step_on_several_micro_batches_is_a_step_on_their_mean(name):
    params, held = parameters(), {}

    def gather(params, step):
        mean = [held[k] / 3 for k in range(len(params))]
        for p, g in zip(params, mean, strict=True):
            p.grad = g
        clip_grad_norm_(params, 0.5)

    ours = optim.optimizer(f"accumulate(clip_norm({name}, max_norm=0.5), micro_batches=3)", params)
    others = parameters()
    theirs = optim.optimizer(name, others)
    for step in range(1, 10):
        here = gradients(params, step)
        for p, g in zip(params, here, strict=True):
            p.grad = g
        ours.step()
        held = {k: g + (held[k] if step % 3 != 1 else 0) for k, g in enumerate(here)}
        if step % 3 == 0:
            gather(others, step)
            theirs.step()
        assert_same([p.detach() for p in params], [p.detach() for p in others])


def test_a_micro_step_that_does_not_step_touches_the_sum_alone():
    p = torch.ones(3, requires_grad=True)
    optimizer = optim.AdamW([p], accumulate=2, ema=0.9)
    for _ in range(3):
        p.grad = torch.ones(3)
        optimizer.step()
    state = optimizer.state[p]
    before = {name: (value.clone(), value._version) for name, value in state.items() if name not in ("step", "g_sum")}
    assert before.keys() == {"exp_avg", "exp_avg_sq", "average"}
    assert torch.equal(state["g_sum"], torch.ones(3))
    p.grad = torch.full((3,), 3.0)
    optimizer.step()
    assert all(not torch.equal(state[name], value) for name, (value, _) in before.items())
