"""Turning pydantic's errors into sentences that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.config.pipeline import PipelineConfig

Keys = tuple[str, ...]

_WANTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a section of settings",
    "model_attributes_type": "a section of settings",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: Keys down to the setting; empty for the whole file.
        what: What is wrong and how to mend it, as the rest of a sentence.
        where: File and line or override, where that is not to be looked up by ``path``.
    """

    path: Keys
    what: str
    where: str = ""

    def text(self, places: Mapping[Keys, str], name: str) -> str:
        """The whole line: where it stands, which setting, what is wrong."""
        where = self.where
        path = self.path
        while not where and path:
            where = places.get(path, "")
            path = path[:-1]
        if not where and self.path:  # a section that only its settings have a place for
            below = (place for keys, place in places.items() if keys[: len(self.path)] == self.path)
            where = next(below, "")
        setting = ".".join(self.path)
        return f"{where or name}: {setting + ' ' if setting else ''}{self.what}"


def suggest(name: str, names: Sequence[str]) -> str:
    """``; did you mean 'x'?``, or nothing."""
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def faults_of(
    error: ValidationError, values: Mapping[str, Any], model: type[BaseModel] = PipelineConfig
) -> list[Fault]:
    """Every error as a fault, in the order of the file; several about one setting become one."""
    by_path: dict[Keys, list[str]] = {}
    for item in error.errors():
        path = _plain_path(item["loc"], values)
        if item["type"] == "extra_forbidden":
            text = _unknown(path, values, _schema(model))
        elif item["type"] == "union_tag_not_found":
            text = f"is missing; set it to one of {', '.join(_tags(path, values, _schema(model)))}"
            path = (*path, "type")
        elif item["type"] == "value_error" and (
            named := _named_first(str(item["ctx"]["error"]), path, values)
        ):
            path, text = named
        else:
            text = _sentence(dict(item))
            path = (*path, "type") if item["type"] == "union_tag_invalid" else path
        texts = by_path.setdefault(path, [])
        if text not in texts:
            texts.append(text)
    faults = [
        Fault(path, _joined(texts))
        for path, texts in by_path.items()
        if not _other_form(path, texts, by_path)
    ]
    return [_as_axis(fault) for fault in faults] if "grid" in model.model_fields else faults


def _named_first(error: str, path: Keys, values: Mapping[str, Any]) -> tuple[Keys, str] | None:
    """The setting that a sentence begins with, where it was written, and the rest of the sentence: it has a line, its section many."""
    word, _, rest = error.partition(" ")
    inner = tuple(word.split("."))
    section = _value_at(path, values)
    if not rest or not isinstance(section, Mapping):
        return None
    if word in section:  # also one whose own name has dots
        return ((*path, word), rest)
    return ((*path, *inner), rest) if len(inner) > 1 and inner[0] in section else None


def _other_form(path: Keys, texts: Sequence[str], by_path: Mapping[Keys, Sequence[str]]) -> bool:
    """Whether a fault only says that a section is not the list that it could be as well, where something inside of it is wrong."""
    inside = any(len(other) > len(path) and other[: len(path)] == path for other in by_path)
    return inside and len(texts) == 1 and texts[0].startswith("must be a list, not {")


def _as_axis(fault: Fault) -> Fault:
    """A fault of an experiment, with the form of an axis where a setting's name with dots was written as sections."""
    if fault.path[:1] != ("grid",) or len(fault.path) < 3 or not fault.what.startswith("must be a mapping"):
        return fault
    axis = ".".join(fault.path[1:])
    return replace(
        fault, what=f"{fault.what}; an axis of a setting has its whole name as its key, {axis}: [...]"
    )


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _joined(texts: list[str]) -> str:
    """One sentence for several alternatives: ``must be text or a list, not 5``."""
    halves = [
        text.removeprefix("must be ").rsplit(", not ", 1) for text in texts if text.startswith("must be ")
    ]
    if len(halves) == len(texts) and len({half[-1] for half in halves}) == 1:
        return f"must be {' or '.join(half[0] for half in halves)}, not {halves[0][-1]}"
    return ", or ".join(texts)


def _plain_path(loc: Sequence[str | int], values: Any) -> Keys:
    """The keys as written: without the tags and type names that pydantic puts between them."""
    path: list[str] = []
    at = values
    tagged = False
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(at, Mapping):
            if part == at.get("type") and not tagged:
                tagged = (
                    True  # a tag may be called as a key is: a teacher of type endpoint has a setting endpoint
                )
                continue
            if part in at:
                at, tagged = at[part], False
            elif not last or not str(part).isidentifier():
                continue  # a tag, or pydantic's name of an alternative; only a missing key may end the path
        elif isinstance(at, (list, tuple)) and isinstance(part, int) and part < len(at):
            at, tagged = at[part], False
        else:
            continue
        path.append(str(part))
    return tuple(path)


def _sentence(item: dict[str, Any]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    got = show(item.get("input"))
    if kind == "missing":
        place = item["loc"][-1]
        return f"needs an item {place + 1}, but is {got}" if isinstance(place, int) else "is missing; set it"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        return _of_another_length(kind, context, got)
    if kind == "union_tag_invalid":
        tags = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
        return f"must be one of {', '.join(tags)}, not {context['tag']!r}{suggest(str(context['tag']), tags)}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, not {got}"
    if kind == "literal_error":
        wanted = str(context["expected"])
        names = [part.strip().strip("'") for part in wanted.replace(" or ", ",").split(",")]
        return f"must be {wanted}, not {got}{suggest(str(item.get('input')), names)}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {context[key]}, not {got}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {got}"
    if kind == "value_error":
        return f"is wrong: {context.get('error', item['msg'])}"
    return f"is wrong: {item['msg']} (got {got})"


def _of_another_length(kind: str, context: Mapping[str, Any], got: str) -> str:
    what = "character" if kind.startswith("string") else "item"
    least = kind.endswith("short")
    count = context["min_length" if least else "max_length"]
    if least and count == 1:
        return f"is empty; give it at least one {what}"
    return f"must have at {'least' if least else 'most'} {count} {what}s, not {got}"


def show(value: Any) -> str:
    """A value as it stands in a message: cut off where it is long."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(path: Keys, values: Mapping[str, Any], schema: dict[str, Any]) -> str:
    """A key that no section has: the nearest name here, or the same name deeper down."""
    properties = _section(path[:-1], values, schema).get("properties", {})
    here = ".".join(path[:-1])
    owners = _owners(path, values, schema)
    if owners:
        kind = _value_at(path[:-1], values).get("type")
        return f"belongs to {here}.type {' or '.join(owners)}, but {here}.type is {kind!r}; drop it, or replace the section with --set {here}='{{type: {kind}, ...}}'"
    if len(path) == 1 and path[0] in PipelineConfig.model_fields and "settings" in properties:
        return (
            f"is no setting of an experiment; what all cells share stands below settings: settings.{path[0]}"
        )
    near = difflib.get_close_matches(path[-1], list(properties), n=1, cutoff=0.6)
    if near:
        return f"is no setting; did you mean {'.'.join((*path[:-1], near[0]))}?"
    deeper = [found for found in _named(path[-1], properties, schema, path[:-1]) if found != path]
    elsewhere = deeper or [
        found for found in _named(path[-1], schema["properties"], schema, ()) if found != path
    ]
    if elsewhere:
        return f"is no setting; did you mean {' or '.join('.'.join(p) for p in elsewhere[:3])}?"
    return f"is no setting; {here or 'the file'} has {', '.join(properties) or 'no settings'}"


def _value_at(path: Keys, values: Any) -> Any:
    for part in path:
        values = _inside(values, part)
    return values


def _inside(value: Any, part: str) -> Any:
    """A value's part by key, or by position in a list; ``None`` where there is none."""
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    return None


def _below(node: Mapping[str, Any], part: str, value: Any) -> Mapping[str, Any]:
    """The schema of a part: of a setting (in the form, one or a list, that its value has), or of a list's item."""
    found: Mapping[str, Any] = node.get("properties", {}).get(part) or node.get("items", {})
    if "oneOf" in found and "discriminator" not in found:
        listed = isinstance(value, list | tuple)
        found = next((item for item in found["oneOf"] if (item.get("type") == "array") == listed), found)
    return found


def _alternatives(path: Keys, values: Any, schema: Mapping[str, Any]) -> dict[str, str]:
    """Reference of each alternative of a section, by its ``type``; empty where there is but one."""
    if not path:
        return {}
    node = _below(_section(path[:-1], values, schema), path[-1], _value_at(path, values))
    mapping: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
    return mapping


def _tags(path: Keys, values: Any, schema: Mapping[str, Any]) -> list[str]:
    return list(_alternatives(path, values, schema))


def _owners(path: Keys, values: Any, schema: Mapping[str, Any]) -> list[str]:
    """Other types of the same section that do have the setting."""
    alternatives = _alternatives(path[:-1], values, schema)
    return [
        tag
        for tag, ref in alternatives.items()
        if path[-1] in _resolve({"$ref": ref}, schema).get("properties", {})
    ]


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any], value: Any = None) -> Mapping[str, Any]:
    """Follows references, optional values and, by the value's ``type``, alternatives."""
    while True:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif (
            "discriminator" in node
            and isinstance(value, Mapping)
            and value.get("type") in node["discriminator"]["mapping"]
        ):
            node = {"$ref": node["discriminator"]["mapping"][value["type"]]}
        elif "anyOf" in node and any("$ref" in option for option in node["anyOf"]):
            node = next(option for option in node["anyOf"] if "$ref" in option)
        else:
            return node


def _section(path: Keys, values: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Mapping[str, Any] = schema
    for part in path:
        values = _inside(values, part)
        node = _resolve(_below(node, part, values), schema, values)
    return node


def _named(name: str, properties: Mapping[str, Any], schema: Mapping[str, Any], at: Keys) -> Iterator[Keys]:
    """Every setting of that name below some properties."""
    for key, node in properties.items():
        if key == name:
            yield (*at, key)
        options = node.get("oneOf", [node])
        found: dict[Keys, None] = {}
        for option in options:
            deeper = _resolve(option, schema).get("properties", {})
            found.update(dict.fromkeys(_named(name, deeper, schema, (*at, key))))
        yield from found
