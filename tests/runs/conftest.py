"""Small problems for the tests of this room."""

from __future__ import annotations

import pytest

from fallline.problems import Problem

from .problems import signs


@pytest.fixture
def problem() -> Problem:
    """A classifier with dropout and batch norm, with noise on its inputs."""
    return signs()
