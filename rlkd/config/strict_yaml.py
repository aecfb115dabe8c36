"""Reading YAML so that nothing changes in silence: the core schema of YAML 1.2, and a refusal of what is ambiguous.

PyYAML resolves plain words by YAML 1.1, where ``010`` is 8, ``1:30`` is 90, ``no`` is false and ``2024-01-01`` a date.
Here a plain word is null, a boolean or a number only where both versions agree on it, and text otherwise; words that
they disagree on are refused, and so is text that a comment cuts off: ``answer_pattern: #### (.+)`` would be empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from rlkd.errors import ConfigError

Places = dict[tuple[str, ...], str]
"""File and line of each path of keys."""

_MAX_DEPTH = 20
_MAX_VALUES = 20_000
"""More than any configuration has; aliases of aliases make 10**9 of 500 bytes."""

_PLAIN = "rlkd:plain"
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_YES_NO = re.compile(r"yes|no|on|off", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_BINARY = re.compile(r"[-+]?0b[01_]+|[-+]0[xo][0-9a-fA-F_]+|0[xo][0-9a-fA-F]*_[0-9a-fA-F_]*")
_BREAKS = "\0\r\n\x85\u2028\u2029"
_HASH = "\ue000"
"""Stands for ``#`` while a value of ``--set`` is parsed, where it begins no comment."""


@dataclass(frozen=True)
class Parsed:
    """A YAML document: its value, and where each path of keys stands."""

    value: Any
    places: Places


class _Loader(yaml.SafeLoader):
    """Leaves plain words unresolved, tells them from quoted ones, and remembers where comments begin."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.comments: list[int] = []

    def scan_to_next_token(self) -> None:
        """The scanner's own, with comments noted."""
        while True:
            while self.peek() == " ":
                self.forward()
            if self.peek() == "#":
                self.comments.append(self.index)
                while self.peek() not in _BREAKS:
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """The tag of a node without one."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return super().resolve(kind, value, implicit)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that one of the two YAML versions would read as something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    odd = any(
        sign in text for sign in "\r\x85\u2028\u2029"
    )  # line breaks to YAML 1.1: only escaped are they kept
    return dumper.represent_scalar(f"{_TAG}str", text, style='"' if odd else None)


_Dumper.add_representer(str, _represent_text)

for _pattern in (_INTEGER, _FLOAT, _YES_NO, _LEADING_ZERO, _BASE_60, _UNDERSCORES, _BINARY):
    _Dumper.add_implicit_resolver(
        f"{_TAG}ambiguous", re.compile(f"(?:{_pattern.pattern})$", _pattern.flags), None
    )


def parse_yaml(text: str, name: str) -> Parsed:
    """Parses a configuration file.

    Args:
        text: YAML, or JSON.
        name: Its file, for messages.

    Raises:
        ConfigError: It is no YAML, a key is set twice, or a value would not be what it looks like; one sentence with
            file, line and what to quote.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}, line {line}: not valid YAML (it holds the character U+{ord(text[error.position]):04X}, which YAML does not allow); "
            "take it out, or write it as an escape in double quotes"
        ) from None
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        _check_comments(loader, text, name)
        raise ConfigError(_syntax(error, loader, text, name)) from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply; mend the file") from None
    reading = _Reading(text, name)
    value = None if node is None else reading.value(node, ())
    _check_comments(loader, text, name)
    return Parsed(value, reading.places)


def _check_comments(loader: _Loader, text: str, name: str) -> None:
    """Refuses comments behind something that look like the rest of it: ``[x, #### y`` has lost an item."""
    for index in loader.comments:
        line = text.rfind("\n", 0, index) + 1
        if text.startswith("##", index) and text[line:index].strip():
            comment = text[index:].split("\n", 1)[0].strip()
            raise ConfigError(
                f"{name}, line {text.count(chr(10), 0, index) + 1}: {_quotable(comment)!r} is a comment, as ' #' begins one; put "
                "what it belongs to in quotes, or begin a comment with a single #"
            )


def parse_setting(text: str) -> Any:
    """The value of ``--set key=text``: text, unless it clearly is null, a boolean, a number, a list or a mapping.

    ``#`` is never a comment, and words that YAML's versions disagree on stay text, to be read as the setting wants it:
    ``seed=010`` is 10, ``student.system=010`` the text.

    Raises:
        ConfigError: A list, a mapping or a quoted text is not valid YAML.
    """
    text = text.strip()
    if not text:
        return ""
    try:
        if _ambiguous(text) is None:
            return _plain(text)
    except ValueError:
        pass
    quoted = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    listed = text[0] + text[-1] == "[]"
    mapped = text == "{}" or (
        text[0] + text[-1] == "{}" and re.search(r":(\s|$)|[\"']\s*:", text) is not None
    )
    if not (quoted or listed or mapped):
        return text
    hidden = text.replace("#", _HASH)
    try:
        node = _Loader(hidden).get_single_node()
    except (yaml.YAMLError, RecursionError):
        if quoted:
            return text  # "a" and "b"
        raise ConfigError(f"has a value that is not valid YAML ({text!r}); quote it") from None
    return None if node is None else _Reading(hidden, "", _HASH).value(node, ())


def dump_yaml(value: Any, width: int = 110) -> str:
    """Plain values as YAML that every version reads to the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)


@dataclass
class _Reading:
    """Values of nodes, with their places noted on the way."""

    text: str
    name: str
    hash: str = "#"
    places: Places = field(default_factory=dict)
    count: int = 0

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.count += 1
        if len(path) > _MAX_DEPTH:
            raise self.fault(node, "nested too deeply; does an alias contain itself?")
        if self.count > _MAX_VALUES:
            raise self.fault(node, f"aliases repeat more than {_MAX_VALUES:,} values; write them out")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self.check_tag(node, "seq", path)
            return [self.item(item, (*path, str(i))) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self.scalar(node, path)

    def item(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self.places[path] = self.where(node)
        return self.value(node, path)

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        self.check_tag(node, "map", path)
        values: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.fault(key, "a list or mapping cannot be the name of a setting; quote it")
            if key.tag == _PLAIN and key.value == "<<":
                merged += self.merged(value, path)
                continue
            name = self.restored(key.value)
            at = (*path, name)
            if name in values:
                raise self.fault(key, f"{'.'.join(at)} is set twice (first at {self.places[at]}); keep one")
            self.places[at] = self.where(key)
            values[name] = self.value(value, at)
        for section in merged:
            values.update({name: value for name, value in section.items() if name not in values})
        return values

    def merged(self, node: yaml.Node, path: tuple[str, ...]) -> list[dict[str, Any]]:
        """The sections that ``<<`` brings in; what stands beside it wins."""
        sections = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(section, yaml.MappingNode) for section in sections):
            raise self.fault(node, "<< takes a mapping or a list of mappings")
        kept = dict(self.places)
        values = [self.value(section, (*path, "<<")) for section in sections]
        self.places = kept
        return values

    def scalar(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> Any:
        text = self.restored(node.value)
        setting = ".".join(path)
        if node.tag == f"{_TAG}str":
            return text
        if node.tag != _PLAIN:
            return self.tagged(node, text, setting)
        reason = _ambiguous(text)
        if reason is not None:
            raise self.fault(node, f"{setting + ' ' if setting else ''}{reason}")
        self.check_comment(node, text, setting)
        try:
            return _plain(text)
        except ValueError:
            return text

    def tagged(self, node: yaml.ScalarNode, text: str, setting: str) -> Any:
        """A scalar with a tag of its own, such as ``!!int "3"``."""
        wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}.get(
            node.tag.removeprefix(_TAG)
        )
        try:
            value = _plain(text)
        except ValueError:
            value = text
        if wanted is None or _ambiguous(text) or not isinstance(value, wanted):  # type: ignore[arg-type]
            raise self.fault(
                node,
                f"not valid YAML ({setting} has the tag {node.tag!r}, which it cannot have); drop the tag",
            )
        return float(value) if node.tag == f"{_TAG}float" else value

    def check_tag(self, node: yaml.Node, wanted: str, path: tuple[str, ...]) -> None:
        if node.tag != f"{_TAG}{wanted}":
            raise self.fault(
                node,
                f"not valid YAML ({'.'.join(path) or 'the file'} has the tag {node.tag!r}, which it cannot have); drop the tag",
            )

    def check_comment(self, node: yaml.ScalarNode, text: str, setting: str) -> None:
        """Refuses a value that a comment leaves empty, or cuts off where the comment looks like the rest of it."""
        end = node.end_mark.index
        rest, _, below = self.text[end:].partition("\n")
        comment = rest.strip()
        if comment.startswith(self.hash) and self.hash == "#":
            if not text:
                raise self.fault(
                    node,
                    f"{setting} is empty, as ' #' begins a comment; write '{_quotable(comment)}' in quotes, or null",
                )
            if comment[1:2].strip() and _is_text(text):
                raise self.fault(
                    node,
                    f"{setting} would end at {_last(text)!r}, as ' #' begins a comment; put the whole value in quotes, or a space "
                    "behind a single # that does begin one",
                )
        elif not text and not comment:
            following = next((line for line in below.split("\n") if line.strip()), "")
            if following.lstrip().startswith("##") and following[:1].isspace():
                raise self.fault(
                    node,
                    f"{setting} is empty, as # begins a comment in the next line; quote it, or write null",
                )

    def restored(self, text: str) -> str:
        return text if self.hash == "#" else text.replace(self.hash, "#")

    def where(self, node: yaml.Node) -> str:
        return f"{self.name}, line {node.start_mark.line + 1}"

    def fault(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"{self.where(node)}: {what}" if self.name else what)


def _plain(text: str) -> Any:
    """A plain word as null, a boolean or a number.

    Raises:
        ValueError: It is text.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    raise ValueError(text)


def _is_text(text: str) -> bool:
    try:
        _plain(text)
    except ValueError:
        return True
    return False


def _ambiguous(text: str) -> str | None:
    """Why a plain word is refused, and what to write for it; ``None`` for a clear one."""
    if _YES_NO.fullmatch(text):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        return f"is {text}, which is text to some readers of YAML and {meant} to others; write {meant}, or '{text}' in quotes"
    if _LEADING_ZERO.fullmatch(text):
        digits = text.replace("_", "").lstrip("+-0") or "0"
        return f"is {text}, which is octal to some readers of YAML; write {'-' * text.startswith('-')}{digits}, or '{text}' in quotes"
    if _BASE_60.fullmatch(text):
        return f"is {text}, which is a number of base 60 to some readers of YAML; write the number, or '{text}' in quotes"
    if "_" in text and _UNDERSCORES.fullmatch(text):
        return f"is {text}, which is a number to some readers of YAML and text to others; write {text.replace('_', '')}, or '{text}' in quotes"
    if _BINARY.fullmatch(text):
        return f"is {text}, which is a number to some readers of YAML and text to others; write it in decimal, or '{text}' in quotes"
    return None


def _quotable(comment: str) -> str:
    shown = comment if len(comment) <= 40 else f"{comment[:37]}..."
    return shown.replace("'", "''")


def _last(text: str) -> str:
    return text if len(text) <= 30 else f"...{text[-27:]}"


def _syntax(error: yaml.YAMLError, loader: _Loader, text: str, name: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f", line {mark.line + 1}" if mark is not None else ""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    last = loader.comments[-1] if loader.comments else 0
    line = text[text.rfind("\n", 0, last) + 1 : last]
    hint = f"; ' #' begins a comment in line {text.count(chr(10), 0, last) + 1}, so put a value that holds it in quotes"
    return f"{name}{where}: not valid YAML ({what}); mend the line{hint if line.strip() else ''}"
