"""Every rule and modifier says whose it is: a source with its year, and the place in it that the text follows."""

from __future__ import annotations

import re

import pytest

from fallline.report.markup import cite
from fallline.rules import MODIFIERS, REGISTRY
from fallline.rules.rule import is_built_in

SOURCES = {rule.name: rule.paper for rule in REGISTRY.values() if is_built_in(rule)}
SOURCES |= {f"{name} (modifier)": made.paper for name, made in MODIFIERS.items() if made.is_built_in()}
COMMON = {"ascend (modifier)", "l1 (modifier)", "l2 (modifier)", "accumulate (modifier)"}
"""What is nobody's: a sign, penalties and sums."""
YEAR = r"\b(19|20)\d\d\b"
PLACE = r"\b([Ee]quations?|[Aa]lgorithms?|[Ss]ections?|lecture) [\w-]+"
ADDRESS = r"(arXiv:|doi:|https://)\S+"


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - COMMON))
def test_a_source_has_a_year_and_a_place_in_it(name):
    said = re.sub(ADDRESS, "", SOURCES[name])
    assert re.search(YEAR, said)
    assert re.search(PLACE, said)


def test_what_has_an_address_is_a_link():
    linked = str(cite(REGISTRY["tiger"].paper))
    assert linked.startswith('Su 2023, Tiger: a tight-fisted optimizer, <a href="https://github.com/bojone/tiger" ')
    for name, paper in SOURCES.items():
        assert str(cite(paper)).count("</a>") == len(re.findall(ADDRESS, paper)), name
