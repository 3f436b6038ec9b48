"""Equations, as pages and terminals show them."""

from __future__ import annotations

import pytest
from latex2mathml.converter import convert

from fallline.kernels import cost, equation
from fallline.rules import REGISTRY, get


def test_adam_reads_like_the_paper():
    assert equation(get("adam"), "text") == [
        "m_t = β₁ · m_{t-1} + (1 - β₁) · g_t",
        "v_t = β₂ · v_{t-1} + (1 - β₂) · g_t²",
        "m̂_t = m_t / (1 - β₁^t)",
        "v̂_t = v_t / (1 - β₂^t)",
        "θ_t = θ_{t-1} - η · m̂_t / (√(v̂_t) + ε)",
    ]
    assert equation(get("adam"))[2:] == [
        r"\hat{m}_{t} = \frac{m_{t}}{1 - {\beta_{1}}^{t}}",
        r"\hat{v}_{t} = \frac{v_{t}}{1 - {\beta_{2}}^{t}}",
        r"\theta_{t} = \theta_{t-1} - \frac{\eta \, \hat{m}_{t}}{\sqrt{\hat{v}_{t}} + \epsilon}",
    ]


def test_numbers_and_words_do_not_run_together():
    lines = equation(get("nadam"))
    assert lines[0] == r"\mu = \beta_{1} \, \left(1 - 0.5 \cdot {0.96}^{t \, \psi}\right)"
    assert r"\mu_{\text{next}}" in lines[1]


def test_decoupled_decay_shows_in_the_equation():
    assert equation(get("adamw"), "text")[0] == "θ̃_t = θ_{t-1} · (1 - η · λ)"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_equation_is_valid_latex_and_ends_with_the_parameter(name):
    lines = equation(get(name))
    assert lines[-1].startswith(r"\theta_{t} = ")
    for line in lines:
        assert "<math" in convert(line)


@pytest.mark.parametrize(("name", "expected"), [("sgd", 12), ("momentum", 20), ("adam", 28), ("amsgrad", 36)])
def test_bytes_a_step_count_every_array_read_and_written(name, expected):
    assert cost(get(name)).bytes_per_parameter == expected
