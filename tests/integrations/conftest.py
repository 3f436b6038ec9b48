"""What these frameworks keep for a whole process is forgotten between tests."""

from __future__ import annotations

import gc

import pytest
from accelerate.state import AcceleratorState, GradientState


@pytest.fixture(autouse=True)
def fresh():
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """They collect garbage after every run: half a second while all that their imports made is looked at again."""
    gc.freeze()
    yield
    gc.unfreeze()
