"""`python -m reproductions`."""

from __future__ import annotations

import pytest
from reproductions.claim import claims

from reproductions import __main__ as command


@pytest.fixture
def run(claim, monkeypatch, tmp_path):
    """The command with one claim, its results and `RESULTS.md` in a directory of the test's."""
    monkeypatch.setattr(command, "chosen", lambda names: [claim])
    monkeypatch.setattr(command, "claims", lambda: [claim])

    def main(*arguments):
        return command.main([*arguments, "--results", str(tmp_path / "kept"), "--to", str(tmp_path / "RESULTS.md")])

    return main


def test_all_claims_are_measured_once_and_written(run, claim, tmp_path, capsys):
    assert run() == 0
    assert "Sums are positive" in (tmp_path / "RESULTS.md").read_text()
    assert run() == 0
    assert len(claim.measure.calls) == 1
    assert "--fresh measures again" in capsys.readouterr().out
    assert run("--fresh") == 0
    assert len(claim.measure.calls) == 2


def test_one_claim_leaves_the_table_alone(run, tmp_path, capsys):
    assert run("sums_are_positive") == 0
    assert "a sum: 2.50 nats" in capsys.readouterr().out
    assert not (tmp_path / "RESULTS.md").exists()
    assert run("--write") == 0
    assert "2.50 nats" in (tmp_path / "RESULTS.md").read_text()


def test_smoke_settings_are_kept_apart(run, claim, tmp_path):
    assert run("--smoke", "sums_are_positive") == 0
    assert (tmp_path / "kept" / "smoke" / f"{claim.name}.json").exists()
    assert not (tmp_path / "kept" / f"{claim.name}.json").exists()


def test_an_interruption_writes_what_is_finished(run, claim, monkeypatch, tmp_path, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", interrupted)
    assert run() == 130
    assert "Stopped" in capsys.readouterr().err
    assert "not measured yet" in (tmp_path / "RESULTS.md").read_text()


def test_a_mistake_is_told_without_a_traceback(capsys):
    assert command.main(["no_such_claim"]) == 2
    assert capsys.readouterr().err.startswith("Error: unknown claim 'no_such_claim'.")


def test_the_list_names_every_claim(capsys):
    assert command.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(each.name in printed and each.title in printed for each in claims())
