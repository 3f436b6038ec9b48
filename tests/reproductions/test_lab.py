"""What was measured is kept, part by part."""

from __future__ import annotations

import json

import pytest
from reproductions.lab import Lab
from reproductions.record import kept, measure

from fallline.problems import load
from fallline.rules import get
from fallline.training import Trial


def test_an_interrupted_measurement_goes_on_after_its_last_part(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    lab = Lab(tmp_path, "1")
    assert lab.part("first", lambda: {"x": 1}) == {"x": 1}
    with pytest.raises(KeyboardInterrupt):
        lab.part("second", interrupted)
    again = Lab(tmp_path, "1")
    assert again.part("first", interrupted) == {"x": 1}
    assert again.part("second", lambda: [2.5]) == [2.5]
    assert again.spared > 0


def test_parts_of_another_version_are_measured_again(tmp_path):
    Lab(tmp_path, "1").part("first", lambda: 1)
    assert Lab(tmp_path, "2").part("first", lambda: 2) == 2


def test_a_damaged_part_is_measured_again(tmp_path):
    (tmp_path / "first.json").write_text('{"version": "1", "val')
    assert Lab(tmp_path, "1").part("first", lambda: 1) == 1
    assert json.loads((tmp_path / "first.json").read_text())["value"] == 1


def test_trials_are_the_same_when_they_were_kept(tmp_path):
    problem = load("moons")
    problem.epochs = 1
    trials = [Trial(get("adam"), {}, seed, "tuned") for seed in range(2)]
    made = Lab(tmp_path, "1").train("adam", problem, trials)
    assert Lab(tmp_path, "1").train("adam", problem, []) == made


def test_a_record_counts_the_seconds_of_kept_parts(claim, tmp_path):
    lab = Lab(tmp_path / claim.name, "1")
    lab.spared = 100.0
    assert measure(claim, lab, claim.settings, tmp_path).seconds > 100
    assert kept(tmp_path, claim).seconds > 100


def test_a_claims_version_is_that_of_what_it_does(claim):
    assert claim.version({"values": (1,)}) != claim.version({"values": (2,)})
