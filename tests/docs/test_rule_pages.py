"""Every rule, modifier, verb and public name has its page, made from it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import fallline
from docs import (
    commands,
    composition,
    family,
    made,
    modifier_list,
    picture,
    reference,
    rule_list,
    rule_page,
    valley,
    words,
)
from fallline.kernels import cost, equation
from fallline.rules import MODIFIERS, get
from tests.kernels.executors import text_alone

RULES = composition.built_in()
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_a_rule_s_page_has_every_part(rule):
    page = rule_page.page(rule, leave_out=("Path", "Modifiers"))
    titles = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert page.startswith(f"# {rule.title}\n")
    assert page.count("<math ") == len(equation(rule)) + len(rule.hypers)
    assert titles == ["Equation", "Hyper-parameters", "Cost", "Code"]
    for hyper in rule.hypers:
        assert f"| {words.code(hyper)} |" in page
    for state in (*rule.states, *rule.numbers):
        assert words.code(state) in page
    assert f"{cost(rule).bytes_per_parameter} bytes" in page
    assert rule.source.strip() in page
    for name in re.findall(r"fallline\.optim\.(\w+)\(model", page):
        assert name == "optimizer" or isinstance(getattr(fallline.optim, name), type)


@pytest.mark.parametrize("name", ["sgd", "muon", "schedule_free_adamw"])
def test_a_rule_s_page_shows_its_path_and_its_modifiers(name):
    page = rule_page.page(get(name))
    assert list(rule_page.SECTIONS) == re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert page.count("<svg ") == 2
    assert f"{get(name).title}</span> at lr" in page
    decay = cost(composition.composed(MODIFIERS["l2"], get(name)))
    assert f"| [<code>l2</code>](../modifiers.md#l2) | <code>l2</code> | {decay.states} (+0) |" in page


@each_rule
def test_a_citation_with_a_number_is_a_link(rule):
    numbers = re.findall(r"arXiv:(\d{4}\.\d{4,5})", rule.paper)
    page = rule_page.head(rule)
    for number in numbers:
        assert f'href="https://arxiv.org/abs/{number}"' in page
    assert page.count("https://arxiv.org/abs/") == len(numbers)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Kingma & Ba 2015", "Kingma &amp; Ba 2015"),
        ("half of l2 * |p|", "half of l2 &#42; &#124;p&#124;"),
        ("`a | b` is code", "<code>a &#124; b</code> is code"),
        ("see arXiv:1412.6980.", 'see <a href="https://arxiv.org/abs/1412.6980" rel="noreferrer">arXiv:1412.6980</a>.'),
        ("doi:10.1137/0330046.", '<a href="https://doi.org/10.1137/0330046" rel="noreferrer">doi:10.1137/0330046</a>.'),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert words.prose(text) == shown


def test_the_year_is_the_paper_s_not_a_number_of_its_address():
    assert words.year("Graves 2013, arXiv:1308.0850, equations 38 to 41") == "2013"
    assert words.year("lecture notes, arXiv:2010.12345") == ""


def test_the_list_names_every_rule_once():
    page = rule_list.page()
    assert re.findall(r"^\| \[.+?\]\((\w+)\.md\)", page, re.MULTILINE) == [
        rule.name for rules in family.families().values() for rule in rules
    ]
    assert f"{len(RULES)} update rules" in page


def test_every_modifier_is_told_of_with_its_effect(monkeypatch):
    monkeypatch.setenv("FALLLINE_DOCS_RULES", "sgd,adam,adamw")
    page = modifier_list.page()
    made = [modifier.__name__ for stage in composition.modifiers().values() for modifier in stage]
    assert re.findall(r"^### \w+ { #(\w+) }$", page, re.MULTILINE) == made
    decay = page.partition("### decoupled ")[2].partition("\n### ")[0]
    assert "Adds state: none" in decay
    assert "Composes with every rule but [AdamW](rules/adamw.md)." in decay
    assert "1711.05101" in decay


def test_every_verb_is_told_of_with_its_options():
    page = commands.page()
    for name, verb in commands.verbs():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for parameter in verb.params:
            assert words.code(", ".join(parameter.opts) if parameter.opts[0].startswith("-") else "") in section or (
                parameter.name.upper() in section or parameter.metavar in section
            )


def test_every_public_function_and_class_is_in_the_reference_once():
    text = "\n".join(reference.pages().values())
    for room in ("fallline", "fallline.kernels", "fallline.optim", "fallline.problems", "fallline.rules.hyper"):
        assert room in reference.titles().values()
    told = re.findall(r"^::: (.+)$", text, re.MULTILINE)
    assert len(told) == len(set(told))
    assert {"fallline.study.comparison.compare", "fallline.optim.base.RuleOptimizer"} <= set(told)
    assert {"fallline.kernels.cost.cost", "fallline.kernels.equation.equation", "fallline.rules.hyper.log"} <= set(told)


def test_annotations_of_hyper_parameters_are_told_with_what_they_say():
    page = reference.pages()["rules.hyper.md"]
    assert "| <code>SgdRate</code> | at least 0 | 0.001 to 10 (log) |" in page
    assert "| <code>Epsilon</code> | at least 0 | no |" in page


def test_every_made_page_is_in_the_navigation():
    listed = re.findall(r"[\w/.-]+\.md", str(made.nav()))
    assert sorted(listed) == sorted(made.pages())


@pytest.mark.parametrize("name", ["sgd", "adam", "lion", "rprop"])
def test_a_path_goes_down_the_valley_from_its_start(name):
    path = valley.tuned(get(name))
    assert path.points.shape == (valley.STEPS + 1, 2)
    assert tuple(path.points[0]) == valley.START
    assert path.losses[-1] < path.losses[0] / 10
    assert -1e-9 <= get(name).space["lr"].position(path.rate) <= 1 + 1e-9


@each_rule
def test_every_rule_has_a_path_down_the_valley(rule, monkeypatch):
    """A short one, by its text alone; the build of the whole site draws all of them at their full length."""
    monkeypatch.setattr(valley, "STEPS", 10)
    monkeypatch.setattr(valley, "TRIALS", 4)
    with text_alone():
        path = valley.tuned.__wrapped__(rule)
    assert path.points.shape == (11, 2)
    assert path.losses[-1] < path.losses[0]


def test_gradient_descent_s_path_is_that_of_its_own_formula():
    expected = [np.array(valley.START)]
    for _ in range(valley.STEPS):
        expected.append(expected[-1] - 0.02 * np.array(valley.gradient(*expected[-1])))
    np.testing.assert_allclose(valley.walk(get("sgd"), 0.02), expected, rtol=1e-12, atol=1e-14)


def test_the_slope_is_that_of_the_valley():
    at, h = np.array([0.3, -0.2]), 1e-6
    measured = [(valley.loss(*(at + h * e)) - valley.loss(*(at - h * e))) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(valley.gradient(*at), measured, rtol=1e-8)
    assert valley.loss(*valley.MINIMUM) == 0
    assert valley.gradient(*valley.MINIMUM) == (0, 0)


def test_the_valley_is_as_steep_as_it_says():
    at = torch.tensor([[0.0, 0.0], list(valley.MINIMUM)], dtype=torch.float64)
    curvature = [torch.autograd.functional.hessian(lambda p: valley.loss(*p), point) for point in at]
    across, along = zip(*(torch.linalg.eigvalsh(h).flip(0).tolist() for h in curvature), strict=True)
    assert [round(a / b) for a, b in zip(across, along, strict=True)] == [10, 258]


def test_a_walk_that_leaves_the_valley_has_no_path():
    assert valley.walk(get("sgd"), 10.0) is None


def test_a_picture_is_markup_in_the_page_s_colours():
    shown = picture.picture({name: valley.tuned(get(name)) for name in ("sgd", "adam")})
    root = ElementTree.fromstring(shown)
    assert [child.tag.rpartition("}")[2] for child in root] == ["svg", "svg", "figcaption"]
    styles = " ".join(element.get("style", "") for element in root.iter())
    for colour in ("var(--path-0)", "var(--path-1)", "currentColor"):
        assert colour in styles
    assert not re.search(r"#[0-9a-f]{6}", styles)
    assert "sgd</span> at lr" in shown
    labels = {element.text for element in root.iter() if element.tag.endswith("}text")}
    assert {"0.01", "0.001", "first weight", "loss"} <= labels
