"""Every claim runs, at settings that take seconds."""

from __future__ import annotations

import inspect
import warnings

import pytest
from reproductions.claim import chosen, claims
from reproductions.lab import Lab
from reproductions.record import measure

from fallline.errors import InputError
from fallline.training import Execution

SLOW = {"small_models_scale"}
"""They start processes of their own."""
CLAIMS = [pytest.param(each, id=each.name, marks=[pytest.mark.slow] * (each.name in SLOW)) for each in claims()]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_measured(claim, data, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        lab = Lab(tmp_path / claim.name, "1", data, Execution())
        record = measure(claim, lab, {**claim.settings, **claim.smoke}, tmp_path)
    assert record.findings
    for finding in record.findings:
        assert finding.estimate.low <= finding.estimate.mean <= finding.estimate.high
    for picture in record.pictures:
        assert (tmp_path / picture).stat().st_size > 1000


@pytest.mark.slow
def test_what_a_claim_defines_is_known_in_other_processes(data, tmp_path):
    (claim,) = chosen(["transformer_schedule"])
    settings = {**claim.settings, **claim.smoke}
    here, elsewhere = (
        measure(claim, Lab(tmp_path / str(n), "1", data, Execution(processes=n)), settings, tmp_path) for n in (1, 2)
    )
    assert [f.estimate.mean for f in elsewhere.findings] == pytest.approx([f.estimate.mean for f in here.findings])


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_file_of_its_name_and_says_how_it_is_measured(claim):
    assert inspect.getmodule(claim.measure).__name__.rpartition(".")[2] == claim.name
    assert len(claim.protocol) > 50
    assert claim.paper
    assert set(claim.smoke) <= set(claim.settings)
    assert bool(claim.figures) == (claim.source.value != "no figure")


def test_claims_of_the_field_are_there():
    assert {each.number for each in claims()} == {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 21}


def test_an_unknown_claim_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="adam_amsgrad"):
        chosen(["adam_amsgrat"])
