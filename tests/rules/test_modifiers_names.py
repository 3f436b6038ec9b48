"""Rules named as text: what is written is what is made, and what cannot be read is told."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fallline
from fallline import cli
from fallline.errors import FalllineError, InputError
from fallline.optim import call
from fallline.rules import MODIFIERS, REGISTRY, get, named
from fallline.rules.naming import is_known_everywhere, replaced, split
from fallline.rules.rule import find
from fallline.study.candidates import candidates, load_rule
from fallline.study.described import describe, fingerprint, restore
from fallline.study.planning import sources
from fallline.training.pool import dumps

COMPOSABLE = ["accumulate", "agc", "cautious", "clip_norm", "ema", "l1", "l2", "lookahead", "noise", "sam", "sign"]
"""Modifiers of which any go together."""


def _allowed(modifier: str, hyper: str) -> list[float]:
    allowed = {**MODIFIERS[modifier].hypers, **get("adamw").hypers}[hyper].allowed
    return [value for value in (0.0, 0.25, 1.0) if value in allowed]


@st.composite
def named_rules(draw) -> tuple[str, list[str], dict[str, float]]:
    """A name with spaces anywhere, its modifiers from the inside, and the settings of the outermost."""
    modifiers = draw(st.lists(st.sampled_from(COMPOSABLE), unique=True, max_size=5))
    space = st.sampled_from(["", " ", "  ", "\n"])
    text = draw(space) + "adamw" + draw(space)
    settings: dict[str, float] = {}
    for name in modifiers:
        hypers = draw(st.lists(st.sampled_from([*MODIFIERS[name].hypers, "lr"]), unique=True, max_size=2))
        settings = {hyper: draw(st.sampled_from(_allowed(name, hyper))) for hyper in hypers}
        given = "".join(f",{draw(space)}{hyper}{draw(space)}={value}" for hyper, value in settings.items())
        text = f"{draw(space)}{name}{draw(space)}({text}{given}){draw(space)}"
    return text, modifiers, settings


@given(named_rules())
def test_a_text_gives_the_rule_that_it_says_whose_name_gives_it_again(drawn):
    text, modifiers, settings = drawn
    rule = get(text) if modifiers else get(text.strip())
    assert get(rule.name) is rule
    assert {name: rule.defaults[name] for name in settings} == settings
    for name in reversed(modifiers):
        assert rule.modifier is MODIFIERS[name]
        rule = rule.inner
    assert rule is get("adamw")


@given(st.text(alphabet="emacliponrdw_(),=.0159 ", max_size=40))
def test_any_text_is_a_rule_or_one_clear_error(text):
    rule = find(text)
    if rule is None:
        with pytest.raises(FalllineError) as told:
            get(text)
        assert len(str(told.value).splitlines()) == 1
    else:
        assert get(rule.name) is rule


@given(st.lists(named_rules(), max_size=4))
def test_a_list_is_split_at_its_own_commas(drawn):
    texts = [text.strip() for text, _, _ in drawn]
    assert split(",".join(texts)) == texts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emma(adamw)", r"unknown modifier 'emma'\. Did you mean ema"),
        ("ema(adamm)", r"unknown rule 'adamm'\. Did you mean adam"),
        ("ema", r"'ema' is a modifier, not a rule; put it around one, as in ema\(adamw\)"),
        ("adam(sgd)", "'adam' is a rule; what stands before a parenthesis is a modifier"),
        ("ema()", "the name of a rule is missing"),
        ("(adam)", "the name of a modifier is missing"),
        ("ema(adam", "a parenthesis is open: that of ema"),
        ("ema(clip_norm(adam)", "a parenthesis is open: that of ema"),
        ("ema(adam))", r"'\)' stands after its end"),
        ("ema(adam) now", "'now' stands after its end"),
        ("ema(adam, 0.5)", "'0.5' is no setting; write name=number with one of lr, beta1"),
        ("ema(adam, ema_decay=much)", "ema_decay=much is no number"),
        ("ema(adam, ema_decay=0.9, ema_decay=0.8)", "ema_decay is set twice"),
        ("ema(adam, decay=0.9)", r"unknown hyper-parameter of ema\(adam\) 'decay'\. Did you mean ema_decay"),
        ("ema(adam, ema_decay=2)", r"ema_decay=2 is not allowed for ema\(adam\); allowed: from 0 to 1"),
        ("ema(adam, clip_norm(sgd))", "stands where a setting or a closing parenthesis should be"),
        ("ema(ema(adam))", r"ema\(ema\(adam\)\): the rule already has average, ema_debias, ema_decay"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(FalllineError, match=message):
        get(text)


def test_settings_at_their_default_and_spaces_are_no_part_of_a_name():
    assert get("clip_norm( adamw,max_norm = 1)") is get("clip_norm(adamw)")
    assert get("ema(clip_norm(adamw,max_norm=.50))").name == "ema(clip_norm(adamw, max_norm=0.5))"
    assert MODIFIERS["clip_norm"](get("adamw"), max_norm=0.5) is get("clip_norm(adamw, max_norm=0.5)")


def test_the_rule_inside_can_be_named_otherwise():
    assert replaced("ema(my.py:mine, ema_decay=0.9)", lambda name: f"/home/{name}") == (
        "ema(/home/my.py:mine, ema_decay=0.9)"
    )
    assert replaced("my.py:mine", str.upper) == "MY.PY:MINE"


def test_a_rule_that_is_named_as_text_goes_to_other_processes_by_name():
    rule = get("ema(clip_norm(adamw, max_norm=0.5))")
    assert is_known_everywhere(rule)
    assert pickle.loads(pickle.dumps(rule)) is rule
    assert pickle.loads(dumps(rule)) is rule
    code = "import pickle, sys; from fallline.rules import get; rule = pickle.load(sys.stdin.buffer)\n"
    code += "print(rule.name, rule is get(rule.name))"
    told = subprocess.run([sys.executable, "-c", code], input=dumps(rule), capture_output=True, check=True)
    assert told.stdout.decode().strip() == "ema(clip_norm(adamw, max_norm=0.5)) True"


def test_a_modified_rule_of_ones_own_goes_to_other_processes_by_its_parts():
    mine = named(get("ema(adamw)"), "mine_averaged", ema_decay=0.5)
    try:
        assert not is_known_everywhere(mine)
        copy = pickle.loads(dumps(mine))
        assert copy is not mine
        assert (copy.name, copy.defaults, copy.states) == (mine.name, mine.defaults, mine.states)
        composed = MODIFIERS["clip_norm"](mine)
        assert get("clip_norm(mine_averaged)") is composed
        assert not is_known_everywhere(composed)
    finally:
        REGISTRY.pop("mine_averaged")
    with pytest.raises(InputError, match="unknown rule 'mine_averaged'"):
        get("clip_norm(mine_averaged)")


@pytest.fixture
def my_rules(tmp_path):
    path = tmp_path / "my_rules.py"
    path.write_text(
        "import fallline\n\n\n@fallline.rule\ndef halved(p, g, *, t, lr=0.1):\n"
        '    """Half a step."""\n    return p - lr / 2 * g\n'
    )
    yield path
    REGISTRY.pop("halved", None)


def test_candidates_are_named_as_text_also_around_a_file(my_rules):
    given = f"adamw, ema(clip_norm(adamw, max_norm=0.5)), ema({my_rules}:halved, ema_decay=0.9)"
    found = candidates(given)
    assert [rule.name for rule in found] == [
        "adamw",
        "ema(clip_norm(adamw, max_norm=0.5))",
        "ema(halved, ema_decay=0.9)",
    ]
    assert found[2].defaults["ema_decay"] == 0.9
    with pytest.raises(InputError, match=r"rules names ema\(adamw\) more than once"):
        candidates(["ema(adamw)", "ema( adamw )"])


def test_a_study_knows_where_the_rule_inside_is_found_again(my_rules, monkeypatch):
    monkeypatch.chdir(my_rules.parent)
    found = sources("adamw,ema(my_rules.py:halved, ema_decay=0.9)")
    assert found == ["adamw", f"ema({my_rules}:halved, ema_decay=0.9)"]
    assert [load_rule(source).name for source in found] == ["adamw", "ema(halved, ema_decay=0.9)"]


def test_what_a_record_keeps_of_a_modified_rule_is_the_rule_again():
    rule = get("sam(ema(clip_norm(adamw, max_norm=0.5)))")
    assert restore(describe(rule)) is rule
    assert fingerprint(rule) != fingerprint(get("ema(clip_norm(adamw, max_norm=0.5))"))
    assert fingerprint(get("clip_norm(adamw, max_norm=0.5)")) == fingerprint(get("clip_norm(adamw)"))
    assert fingerprint(get("agc(sgd)")) != fingerprint(get("centralize(sgd)"))


def test_a_modified_rule_is_shown_with_all_its_texts_and_how_it_is_made(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fallline", "rules", "show", "ema(clip_norm(adamw))"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    shown = capsys.readouterr().out
    for text in (
        'fallline.optim.optimizer("ema(clip_norm(adamw))", params)',
        "def adam(",
        "def decoupled(",
        "def clip_norm(",
        "def ema(",
        "Pascanu et al. 2013",
    ):
        assert text in shown


def test_python_to_paste_makes_the_rules_optimizer():
    assert call("adamw", {"lr": 0.1}) == "fallline.optim.AdamW(params, lr=0.1)"
    text = call("ema(clip_norm(adamw, max_norm=0.5))", {"lr": 0.1, "beta1": 0.8, "ema_decay": 0.5})
    assert text.splitlines()[1:] == [
        '    "ema(clip_norm(adamw, max_norm=0.5))",',
        "    params,",
        "    lr=0.1, beta1=0.8, ema_decay=0.5,",
        ")",
    ]
    made = eval(text, {"fallline": fallline, "params": [torch.ones(2, requires_grad=True)]})
    assert made.param_groups[0]["lr"] == 0.1
    assert made.param_groups[0]["max_norm"] == 0.5
