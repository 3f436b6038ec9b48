"""Models, layers and steps of augmentation are found by their files being there."""

from __future__ import annotations

import inspect
import sys

import pytest

import fallline
from fallline import augmentation, layers, models
from fallline.found import public


@pytest.mark.parametrize("room", [models, layers, augmentation], ids=lambda room: room.__name__)
def test_every_public_thing_is_an_attribute_and_says_what_it_is(room):
    assert len(room.__all__) > 1
    for name in room.__all__[1:]:
        assert inspect.getdoc(getattr(room, name)), name
    with pytest.raises(AttributeError, match="It has"):
        room.__getattr__("nothing_of_this_name")


def test_a_new_file_is_found(tmp_path, monkeypatch):
    package = tmp_path / "made_for_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("__all__ = ['wide']\nwide = hidden = 1\n")
    (package / "two.py").write_text("__all__ = ['deep']\ndeep = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert public("made_for_a_test", [str(package)]) == {"deep": 2, "wide": 1}
    (package / "three.py").write_text("__all__ = ['deep']\ndeep = 3\n")
    with pytest.raises(ImportError, match="two things named deep"):
        public("made_for_a_test", [str(package)])
    for name in [name for name in sys.modules if name.startswith("made_for_a_test")]:
        del sys.modules[name]


def test_the_rooms_are_part_of_the_public_face():
    for name in ("models", "layers", "augmentation", "penalties"):
        assert name in fallline.__all__
        assert getattr(fallline, name).__name__ == f"fallline.{name}"
