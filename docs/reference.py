"""The API reference: a page for each public room, which mkdocstrings fills from the docstrings of what it exports."""

from __future__ import annotations

import inspect
from types import ModuleType

import fallline
from fallline.rules import REGISTRY

from . import annotations, words


def titles() -> dict[str, str]:
    """The title of each page by its path."""
    return {_path(room): room.__name__ for room in _rooms(fallline)}


def pages() -> dict[str, str]:
    """The Markdown of each page by its path."""
    return {_path(room): _page(room) for room in _rooms(fallline)}


def exported(room: ModuleType) -> dict[str, str]:
    """The functions and classes that a room exports, each with the place where it is written."""
    things = {name: getattr(room, name) for name in _names(room)}
    return {
        name: f"{thing.__module__}.{thing.__qualname__}"
        for name, thing in things.items()
        if (inspect.isfunction(thing) or inspect.isclass(thing)) and thing.__module__.startswith("fallline.")
    }


def _names(room: ModuleType) -> list[str]:
    """What a room names as public: all that is written in it, where it does not say. Rules have pages of their own."""
    written = [name for name, thing in vars(room).items() if getattr(thing, "__module__", "") == room.__name__]
    said = list(getattr(room, "__all__", (name for name in written if not name.startswith("_"))))
    found = dir(room) if "__dir__" in vars(room) else []
    rules = {rule.title for rule in REGISTRY.values()}
    return [*said, *(name for name in found if name not in (*said, *rules) and not name.startswith("_"))]


def _rooms(room: ModuleType) -> list[ModuleType]:
    """The room itself and the rooms that it exports."""
    inner = [getattr(room, name) for name in getattr(room, "__all__", ())]
    return [room, *(below for module in inner if inspect.ismodule(module) for below in _rooms(module))]


def _path(room: ModuleType) -> str:
    return "index.md" if room is fallline else f"{room.__name__.removeprefix('fallline.')}.md"


def _home(place: str) -> ModuleType:
    """The room on whose page a thing is told of: of those that export it, the one nearest to where it is written."""
    rooms = [room for room in _rooms(fallline) if place in exported(room).values()]
    return max(rooms, key=lambda room: len(room.__name__) if place.startswith(f"{room.__name__}.") else 0)


def _page(room: ModuleType) -> str:
    things = exported(room)
    blocks = [
        f"::: {place}\n    options:\n      heading: {room.__name__}.{name}\n      toc_label: {name}"
        for name, place in things.items()
        if _home(place) is room
    ]
    told = [f"[{words.code(name)}][{place}]" for name, place in things.items() if _home(place) is not room]
    also = [f"Also exported here: {', '.join(told)}."] if told else []
    named = filter(None, [annotations.table(room)])
    return "\n\n".join([f"# {room.__name__}", words.paragraphs(room), *named, *also, *blocks])
