"""Problems by name: built in, in a file, in a module; and what a user is told when theirs cannot be had."""

from __future__ import annotations

import sys
import textwrap

import pytest

from fallline.errors import InputError
from fallline.problems import load, names, summary

PROBLEM = """
import torch
from torch import nn
from fallline.problems import Problem

def make():
    return Problem(lambda: nn.Linear(3, 2), (torch.ones(20, 3), torch.arange(20) % 2))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into an empty directory, which is the current one; its imports are undone after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def to(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    yield to
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_problem_in_a_file(write):
    write("mine.py", PROBLEM + "problem = make()")
    problem = load("mine.py:problem")
    assert problem.name == "mine:problem"
    assert load("mine.py").fingerprint == problem.fingerprint
    assert load("./mine.py:problem") is problem


def test_a_function_in_place_of_a_problem_is_called(write):
    write("mine.py", PROBLEM)
    assert load("mine.py:make").sizes["train"] == 13


def test_a_name_that_was_given_is_kept(write):
    write("mine.py", PROBLEM + "problem = make()\nproblem.name, problem.named = 'ours', True")
    assert load("mine.py:problem").name == "ours"


def test_a_changed_file_is_read_again(write):
    import os

    path = write("mine.py", PROBLEM + "problem = make()")
    first = load("mine.py:problem")
    write("mine.py", PROBLEM + "problem = make()\nproblem.epochs = 3")
    os.utime(path, ns=(1, 1))
    assert load("mine.py:problem").epochs == 3
    assert first.epochs == 15


def test_siblings_are_importable_on_import_and_later(write):
    write("elsewhere/parts_a.py", "features = 3")
    write("elsewhere/parts_b.py", "classes = 2")
    write(
        "elsewhere/mine.py",
        """
        import torch
        from torch import nn
        from fallline.problems import Problem
        import parts_a

        def model():
            import parts_b
            return nn.Linear(parts_a.features, parts_b.classes)

        problem = Problem(model, (torch.ones(20, 3), torch.arange(20) % 2))
        """,
    )
    assert load("elsewhere/mine.py:problem").build(1).weight.shape == (2, 3)


def test_a_file_may_be_called_like_a_library(write):
    import torch

    write("torchvision.py", PROBLEM + "problem = make()")
    load("torchvision.py:problem")
    assert sys.modules["torch"] is torch
    assert "torchvision" not in sys.modules


def test_a_problem_in_a_module_of_a_package(write):
    write("pack/__init__.py", "")
    write("pack/inner.py", PROBLEM + "problem = make()")
    assert load("pack.inner:problem").name == "pack.inner:problem"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digts", "unknown problem 'digts'. Did you mean digits.*Known: .*moons.*FILE.py:NAME"),
        ("nowhere.py:problem", "there is no file 'nowhere.py' .looked in .*Python files there: .*empty.py"),
        ("text.txt:problem", "'text.txt' is not a Python file"),
        ("./text.txt:problem", "not a Python file"),
        ("empty.py:problem", "empty.py has nothing called 'problem'.*There is no Problem in it"),
        ("empty.py", "empty.py has no Problem"),
        ("two.py:secnd", "nothing called 'secnd'. Did you mean 'second'.*Problems in it: first, second"),
        ("two.py", "more than one Problem; name one: two.py:first or two.py:second"),
        ("two.py:nn", "nn is a module; a fallline.Problem is needed"),
        ("two.py:number", "number is a int; a fallline.Problem is needed"),
        ("two.py:wrong", r"wrong\(\) gave a str; a fallline.Problem is needed"),
        ("two.py:needs", "needs the arguments width"),
        ("two.py:breaks", r"two.py: breaks\(\) failed.*two.py, line \d+: return 1 / 0.*ZeroDivisionError"),
        ("undefined.py:problem", "undefined.py cannot be imported.*undefined.py, line 2: x = y.*NameError.*'y'"),
        ("syntax.py:problem", "syntax.py cannot be imported.*syntax.py, line 2: def f.*SyntaxError"),
        ("deeper.py:problem", "undefined.py, line 2: x = y"),
        ("missing.py:problem", "missing.py, line 1: import not_installed.*ModuleNotFoundError.*not_installed"),
        ("leaves.py:problem", "ended the program.*leaves.py, line 2: .*__main__"),
        ("bad_problem.py:problem", "bad_problem.py, line 5: problem = Problem.*labels out of range: 9"),
        ("no_such_package.inner:problem", "there is no module 'no_such_package'"),
        ("pack.nothing:problem", "there is no module 'pack.nothing'"),
        ("pack.broken:problem", "pack.broken cannot be imported.*line 1: 1 / 0.*ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_told_by_the_users_own_line(write, spec, message):
    write("empty.py", "")
    write("text.txt", "")
    write("undefined.py", "import os\nx = y\n")
    write("syntax.py", "import os\ndef f(:\n")
    write("deeper.py", "import undefined\n")
    write("missing.py", "import not_installed\n")
    write("leaves.py", "import sys\nsys.exit(2)\n")
    write("pack/__init__.py", "")
    write("pack/broken.py", "1 / 0")
    write(
        "bad_problem.py",
        "import torch\nfrom torch import nn\nfrom fallline.problems import Problem\nx = torch.ones(20, 3)\n"
        "problem = Problem(lambda: nn.Linear(3, 2), (x, torch.full((20,), 9)))\n",
    )
    write(
        "two.py",
        PROBLEM
        + "first = make()\nsecond = make()\nnumber = 3\n"
        + "def wrong(): return 'x'\ndef needs(width): return make()\n"
        + "def breaks():\n    return 1 / 0\n",
    )
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        load(spec)
    assert "Traceback" not in str(caught.value)


def test_every_built_in_problem_has_a_summary():
    assert {"digits", "moons", "breast_cancer", "mnist1d", "fashion_mnist"} <= set(names())
    assert all(summary(name).endswith(".") for name in names())
