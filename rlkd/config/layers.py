"""Settings laid over others, each layer with a name: so that a fault is told where it was written."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from rlkd.config.faults import Fault, Keys, show
from schemas.base import Schema


@dataclass(frozen=True)
class Layer:
    """Settings that are laid over a configuration.

    Attributes:
        name: What they are called where one of them is wrong: ``method grpo``.
        values: The settings.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lays settings over others, section by section; a section of another ``type`` replaces the one below it."""
    found = dict(below)
    for name, value in above.items():
        old: Any = found.get(name)
        if _goes_on(old, value):
            found[name] = overlay(old, value)
        else:
            found[name] = dict(value) if isinstance(value, Mapping) else value
    return found


def _goes_on(old: Any, value: Any) -> bool:
    """Whether a value is laid over the one below it, and does not replace it."""
    return (
        isinstance(old, Mapping)
        and isinstance(value, Mapping)
        and value.get("type", old.get("type")) == old.get("type")
    )


def lay_over(
    values: Mapping[str, Any], places: Mapping[Keys, str], layers: Sequence[Layer], model: type[Schema]
) -> tuple[dict[str, Any], dict[Keys, str], list[Fault]]:
    """Lays layers over a configuration, the last one winning.

    Args:
        values: The configuration as written.
        places: Where its settings stand.
        layers: What is laid over it.
        model: What it configures.

    Returns:
        All settings, where each of them stands, and what is wrong with the layers themselves: a section that is none
        would not show below a layer that replaces it.
    """
    found, where, faults = dict(values), dict(places), list[Fault]()
    inside: dict[Keys, list[str]] = {}
    for layer in layers:
        above = copy.deepcopy(dict(layer.values))
        for path, value in list(_no_sections(above, model)):
            faults.append(Fault(path, f"must be a section of settings, not {show(value)}", layer.name))
            _drop(above, path)
        _note(above, found, layer.name, where, inside)
        found = overlay(found, above)
    return found, where, faults


def _no_sections(
    values: Mapping[str, Any], model: type[Schema], path: Keys = ()
) -> Iterator[tuple[Keys, Any]]:
    """What is no mapping where a configuration has a section."""
    for name, value in values.items():
        known = model.model_fields.get(name)
        sections, may_be_none = _sections(known.annotation) if known is not None else ([], True)
        if not sections or (value is None and may_be_none):
            continue
        if not isinstance(value, Mapping):
            yield (*path, name), value
            continue
        named = [one for one in sections if "type" in value and _type(one) == value["type"]]
        if len(sections) == 1 or named:
            yield from _no_sections(value, (named or sections)[0], (*path, name))


def _sections(annotation: Any) -> tuple[list[type[Schema]], bool]:
    """The schemas that a setting may be a section of, and whether it may be null; none where it may be a value or a list."""
    options = list(_options(annotation))
    sections = [one for one in options if isinstance(one, type) and issubclass(one, Schema)]
    may_be_none = type(None) in options
    return (sections if len(sections) + may_be_none == len(options) else []), may_be_none


def _options(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for one in get_args(annotation):
            yield from _options(one)
    else:
        yield annotation


def _type(section: type[Schema]) -> Any:
    known = section.model_fields.get("type")
    return None if known is None else known.default


def _drop(values: dict[str, Any], path: Keys) -> None:
    for part in path[:-1]:
        values = values[part]
    del values[path[-1]]


def _note(
    above: Mapping[str, Any],
    below: Mapping[str, Any],
    name: str,
    places: dict[Keys, str],
    inside: dict[Keys, list[str]],
    path: Keys = (),
) -> None:
    """Notes a layer as the place of what it sets, and as one of those of each section that it sets something in."""
    for key, value in above.items():
        at, old = (*path, key), below.get(key)
        if old and _goes_on(old, value):
            if value:
                # A section's place is asked for where nobody wrote the setting itself: it is each one's that changed the section.
                inside.setdefault(at, []).append(name)
                places[at] = " and ".join(inside[at])
            _note(value, old, name, places, inside, at)
            continue
        for gone in [known for known in places if known[: len(at)] == at]:
            del places[gone]
        places[at] = name
        inside[at] = [name]
        if isinstance(value, Mapping):
            _note(value, {}, name, places, inside, at)
