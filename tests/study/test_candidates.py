from __future__ import annotations

from pathlib import Path

import pytest

from fallline.errors import InputError
from fallline.rules import REGISTRY, get
from fallline.study.candidates import DEFAULT_RULES, candidates

TEXT = '''
import fallline.rules as fl

@fl.rule(paper="mine")
def half_sgd(p, g, *, t, lr: fl.Hyper = 0.1):
    """Half a step."""
    return p - lr / 2 * g

@fl.rule(name="renamed_rule")
def _private(p, g, *, t, lr=0.1):
    return p - lr * g

number = 3
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("half_sgd", "renamed_rule"):
        monkeypatch.setitem(REGISTRY, name, get("sgd"))
        monkeypatch.delitem(REGISTRY, name)
    path = tmp_path / "my_rules.py"
    path.write_text(TEXT.replace(": fl.Hyper", ""))
    return path


def test_names_rules_and_files(file: Path) -> None:
    sgd, adam = get("sgd"), get("adam")
    assert candidates(["sgd", adam]) == candidates("sgd, adam") == [sgd, adam]
    assert candidates(adam) == [adam]
    mine, renamed = candidates([f"{file}:half_sgd", f"{file}:renamed_rule"])
    assert mine.summary == "Half a step."
    assert mine.defaults == {"lr": 0.1}
    assert renamed.name == "renamed_rule"
    assert len(candidates(DEFAULT_RULES)) == len(DEFAULT_RULES) >= 8


WRONG = [
    ("{file}:nothing", "has nothing called 'nothing'. Rules in it: .*half_sgd"),
    ("{file}:number", "is a int, not a rule"),
    ("{file}.gone.py:rule", "there is no file"),
    ("nosuchmodule.rules:mine", "there is no module 'nosuchmodule"),
    ("adm", "unknown rule 'adm'. Did you mean adam"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_rule_that_cannot_be_found_is_told(file: Path, given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        candidates([given.format(file=file)])
