"""`RESULTS.md` says what the papers say and what was measured, as it was measured."""

from __future__ import annotations

import dataclasses

import pytest
from reproductions.finding import Finding, Range, exactly, measured
from reproductions.lab import Lab
from reproductions.record import kept, measure
from reproductions.results import publish, table, told

from fallline.study.result import Estimate


@pytest.fixture
def record(claim, tmp_path):
    lab = Lab(tmp_path / claim.name, claim.version(claim.settings))
    return measure(claim, lab, claim.settings, tmp_path)


def test_claims_figures_measurements_verdicts_and_commands_are_in_the_table(claim, record):
    text = table([claim], {claim.name: record})
    assert "| 99 | Sums are positive | about 2 (from memory) | **in part: shows (1 of 2), " in text
    assert "Nobody 2020: about 2 (from memory)." in text
    assert "Adds up." in text
    assert "`python -m reproductions sums_are_positive`" in text
    assert f"Machine: {record.machine}." in text
    low, high = (f"{value:.2f}" for value in (record.findings[0].estimate.low, record.findings[0].estimate.high))
    assert f"| a sum | above 0 nats | 2.50 nats [{low}, {high}], 3 seeds | shows |" in text
    assert "| a count |  | 1,248,424 (exact) | measured |" in text
    assert "no difference shown |" in text


def test_what_was_not_measured_is_said(claim):
    text = table([claim], {})
    command = "`python -m reproductions sums_are_positive`"
    assert f"| 99 | Sums are positive | about 2 (from memory) | **not measured yet** |  | {command} |" in text


def test_what_an_earlier_version_measured_is_said(claim, record):
    assert "earlier version" not in table([claim], {claim.name: record})
    assert "by an earlier version" in table([claim], {claim.name: dataclasses.replace(record, version="old")})


def test_a_record_is_read_back_as_it_was_written(claim, record, tmp_path):
    assert kept(tmp_path, claim) == record


def test_pictures_are_put_beside_the_table(claim, record, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "p.png").write_bytes(b"picture")
    target = tmp_path / "there" / "RESULTS.md"
    target.parent.mkdir()
    publish([claim], {claim.name: dataclasses.replace(record, pictures=("x/p.png",))}, tmp_path, target)
    assert "![Sums are positive](pictures/p.png)" in target.read_text()
    assert (target.parent / "pictures" / "p.png").read_bytes() == b"picture"


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding("x", Estimate(1.23456, 1.2, 1.3, 4)), "1.235 [1.200, 1.300], 4 seeds"),
        (Finding("x", Estimate(-12.3, -20.0, -5.0, 4), unit="points"), "−12.3 points [−20.0, −5.0], 4 seeds"),
        (Finding("x", Estimate(123456.0, 120000.0, 130000.0, 4)), "123,456 [120,000, 130,000], 4 seeds"),
        (Finding("x", Estimate(1.04, 0.0123, 2.08, 4), Range(low=0)), "1.04 [0.01, 2.08], 4 seeds"),
        (Finding("x", Estimate(100.0, 100.0, 100.0, 4), unit="%"), "100 % [100, 100], 4 seeds"),
        (exactly("x", 48.9421, unit="times"), "48.942 times (exact)"),
        (exactly("x", 0.0), "0 (exact)"),
        (Finding("x", Estimate(1.0, 0.9, 1.1, 7), unit="s", over="epochs"), "1.00 s [0.90, 1.10], 7 epochs"),
        (measured("x", [2.5]), "2.500 (no interval)"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_allows(finding, text):
    assert told(finding) == text
