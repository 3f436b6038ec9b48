"""`resume`: a study gone on with from its record alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fallline import resume
from fallline.errors import InputError
from fallline.problems import load
from fallline.rules import REGISTRY
from fallline.study import Result, compare
from fallline.study.conduct import CHECKPOINTS
from fallline.study.plan import Plan
from fallline.study.record.record import Record
from fallline.training import train

from .children import numbers

FILE = """
import torch, fallline
from fallline.problems import whole
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()

def model(width=4):
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))

problem = fallline.Problem(model, train=(x, y), epochs=3, space={"width": whole(3, 5)})

@fallline.rule
def half_step(p, g, *, t, lr=0.1):
    return p - lr / 2 * g
"""

OPTIONS: dict[str, Any] = {"trials": 4, "seeds": 1, "progress": False, "stack": 3, "processes": 1}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A problem file in a directory of its own."""
    before = dict(REGISTRY)
    home = tmp_path / "home"
    home.mkdir()
    (home / "my_model.py").write_text(FILE)
    monkeypatch.chdir(home)
    yield "my_model.py:problem"
    REGISTRY.clear()
    REGISTRY.update(before)


def stopping(after: int) -> Any:
    """The training, ended by Ctrl-C at some epoch."""
    epochs = 0

    def training(problem: Any, trials: Any, *, on_epoch: Any, **others: Any) -> Any:
        def watch(index: int, point: Any) -> None:
            nonlocal epochs
            on_epoch(index, point)
            epochs += 1
            if epochs == after:
                raise KeyboardInterrupt

        return train(problem, trials, on_epoch=watch, **others)

    return training


def stopped(out: Path, problem: Any = "my_model.py:problem", after: int = 17, **options: Any) -> Result:
    rules = ["sgd", "my_model.py:half_step"]
    result = compare(problem, rules, out=out, _train=stopping(after), **{**OPTIONS, **options})
    assert not result.complete
    return result


def test_it_goes_on_from_anywhere_to_the_same_numbers(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compare(spec, ["sgd", "my_model.py:half_step"], **OPTIONS)
    part = stopped(tmp_path / "out")
    assert part.notes[0] == (
        f"Interrupted. Go on with `fallline resume {tmp_path / 'out'}`: nothing that was trained is lost."
    )
    monkeypatch.chdir(tmp_path)
    REGISTRY.pop("half_step")
    result = resume(tmp_path / "out", progress=False)
    assert result.complete
    assert result.study.id == part.study.id == whole.study.id
    assert numbers(result) == numbers(whole)
    assert not (tmp_path / "out" / CHECKPOINTS).exists()


def test_a_complete_study_is_read_even_without_its_problem(spec: str, tmp_path: Path) -> None:
    whole = compare(spec, ["sgd"], out=tmp_path, **OPTIONS)
    Path("my_model.py").unlink()
    again = resume(tmp_path)
    assert again.notes[0] == "This study was complete already: nothing was left to train."
    assert numbers(again) == numbers(whole)


def test_one_of_several_studies(spec: str, tmp_path: Path) -> None:
    first, last = stopped(tmp_path), stopped(tmp_path, trials=5, after=20)
    assert resume(tmp_path, study=first.study.id, progress=False).study.id == first.study.id
    assert not Result.load(tmp_path, last.study.id).complete
    with pytest.raises(InputError, match=r"unknown study in .*'nothing'"):
        resume(tmp_path, study="nothing")


def test_a_database_by_its_url(spec: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    part = stopped(tmp_path / "out", record=url)
    assert f"fallline resume {tmp_path / 'out'} --record " in part.notes[0]
    assert resume(tmp_path / "out", record=url, progress=False).complete
    assert resume(record=url).complete


def change(text: str, by: str) -> None:
    Path("my_model.py").write_text(Path("my_model.py").read_text().replace(text, by) + "\n# another time stamp\n")


def test_a_problem_or_a_rule_that_has_changed_is_refused(spec: str, tmp_path: Path) -> None:
    stopped(tmp_path)
    change("epochs=3", "epochs=4")
    with pytest.raises(InputError, match=r"my_model.py:problem has changed since .* call fallline.compare again"):
        resume(tmp_path)
    change("epochs=4", "epochs=3")
    change("whole(3, 5)", "whole(3, 6)")
    with pytest.raises(InputError, match="has changed since"):
        resume(tmp_path)
    change("whole(3, 6)", "whole(3, 5)")
    change("lr / 2", "lr / 3")
    with pytest.raises(InputError, match=r"the rules changed since study .* began: half_step; call"):
        resume(tmp_path)
    Path("my_model.py").unlink()
    with pytest.raises(InputError, match="there is no file"):
        resume(tmp_path)


def test_a_problem_made_in_python_must_be_given_again(spec: str, tmp_path: Path) -> None:
    made = load(spec)
    made.source = ""  # as one that `load` has not seen
    part = stopped(tmp_path, made)
    assert part.notes[0].startswith(f"Interrupted. Run the same comparison into {tmp_path} again")
    with pytest.raises(InputError, match="was given as a Python object, which cannot be loaded again"):
        resume(tmp_path)
    assert compare(made, ["sgd", "my_model.py:half_step"], out=tmp_path, **OPTIONS).complete


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record at"):
        resume(tmp_path)
    with pytest.raises(InputError, match="resume needs the directory"):
        resume()
    with Record.create(tmp_path):
        pass
    with pytest.raises(InputError, match="holds no study"):
        resume(tmp_path)


def test_a_plan_of_an_older_record_is_that_of_a_plain_random_search() -> None:
    """Fields that were added have defaults, under which a study keeps its name."""
    older = {
        "problem_name": "digits",
        "metric_name": "accuracy",
        "maximize": True,
        "target": None,
        "trials": 16,
        "seeds": 5,
        "seed": 0,
        "rules": [{"name": "sgd", "fingerprint": "x", "hypers": []}],
        "problem": {"fingerprint": "p"},
        "notes": [],
    }
    plan = Plan(**json.loads(json.dumps(older)))
    assert (plan.sampler, plan.pruner, plan.source) == ("random", "none", "")
    assert plan.study_id == "digits-cdb0e39f"
