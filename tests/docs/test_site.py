"""The site builds, without a warning and without a network, and every page that it links to is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import composition

ROOT = Path(__file__).parents[2]


def build(out: Path, rules: str) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "FALLLINE_DOCS_RULES": rules, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    build(out, "sgd,adam,adamw")
    return out


def test_a_rule_s_page_shows_equation_path_and_code(site):
    page = (site / "rules" / "adamw.html").read_text()
    assert page.count("<math ") >= 5
    assert page.count("<svg xmlns:xlink") == 2
    assert "arxiv.org/abs/1711.05101" in page
    assert "decoupled" in page


def test_pages_load_nothing_from_a_network(site):
    for file in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="([^"]+)"', file.read_text())
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], file.name


def test_the_search_knows_the_rules_and_not_the_pictures(site):
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    found = {entry["location"]: entry["text"] for entry in entries}
    assert "rules/adam.html" in found
    assert "second weight" not in json.dumps(entries)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("index", "fallline.study.comparison.compare"),
        ("kernels", "fallline.kernels.cost.cost"),  # a function with its file's name
        ("rules.hyper", "fallline.rules.hyper.log"),
    ],
)
def test_the_reference_shows_signatures(site, page, name):
    assert f'id="{name}"' in (site / "reference" / f"{page}.html").read_text()


@pytest.mark.slow
def test_the_whole_site_builds(tmp_path):
    build(tmp_path, "")
    made = {path.stem for path in (tmp_path / "rules").glob("*.html")}
    assert made == {"index", *(rule.name for rule in composition.built_in())}
    for page in (tmp_path / "rules").glob("*.html"):
        assert page.stem == "index" or 'class="path"' in page.read_text()
