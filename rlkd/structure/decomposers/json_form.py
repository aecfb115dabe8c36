"""Reads a decomposition out of what a model wrote: tolerant of wrapping, strict about content."""

from __future__ import annotations

import json
import re
from typing import Any

from rlkd.quantities.numbers import canonical, parse_number
from rlkd.structure.reading.inline_arithmetic import find_calculations
from schemas.structure import Calculation, ReasoningStep

MAX_STEPS = 512
"""More steps than this are no decomposition but a model that repeats itself."""
MAX_FIELD = 4000
"""Characters of a field that are kept."""
_NUMBER = re.compile(r"[$£€]?\s?(\d[\d,]*(?:\.\d+)?|\.\d+)\s?")
_WORDS = re.compile(r"\S+")

STEPS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["steps"],
    "properties": {
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["meta", "sub_problem", "answer", "uses", "operation", "depends_on", "quote"],
                "properties": {
                    "meta": {"type": "string"},
                    "sub_problem": {"type": "string"},
                    "answer": {"type": "string"},
                    "uses": {"type": "array", "items": {"type": "string"}},
                    "operation": {"type": "string"},
                    "depends_on": {"type": "array", "items": {"type": "integer"}},
                    "quote": {"type": "string"},
                },
            },
        }
    },
}
"""JSON schema of a decomposition, in the subset that OpenAI's strict mode and vLLM both take."""


class ParseFault(ValueError):
    """A text that holds no decomposition; the message tells the model what is wrong."""


def parse_steps(text: str, path: str) -> tuple[ReasoningStep, ...]:
    """Reads the steps of a decomposition.

    Prose, code fences and ``<think>`` blocks around the JSON are ignored; a dependency on a step that does not
    come earlier is dropped; a step's span is where its quote is found in the path (0, 0 where it is not).

    Args:
        text: What the model wrote.
        path: The reasoning text that it read.

    Returns:
        The steps; empty where the model says that there are none.

    Raises:
        ParseFault: There is no such object, it is cut off, or a step has neither sub-problem nor answer.
    """
    rows = _rows(_find_object(text))
    if len(rows) > MAX_STEPS:
        raise ParseFault(f"it has {len(rows)} steps")
    located = locate([_text(row, "quote", i) for i, row in enumerate(rows)], path)
    return tuple(make_step(i, row, located[i]) for i, row in enumerate(rows))


def _find_object(text: str) -> Any:
    """The last complete JSON object or list of the text that could be a decomposition."""
    text = text.rpartition("</think>")[2]
    decoder = json.JSONDecoder(strict=False)  # raw line breaks in strings are a common slip
    found: Any = None
    position, tries = 0, 0
    while tries < 200:
        starts = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not starts:
            break
        position, tries = min(starts), tries + 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        if _looks_right(value):
            found = value
        position = max(end, position + 1)
    if found is None:
        raise ParseFault('there is no complete JSON object {"steps": [...]} in it')
    return found


def _looks_right(value: Any) -> bool:
    """``{"steps": [...]}``, or its list alone. A bare ``[]`` or a list of numbers is anything at all."""
    if isinstance(value, dict):
        return "steps" in value
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "sub_problem" in item for item in value)
    )


def _rows(value: Any) -> list[dict[str, Any]]:
    rows = value["steps"] if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ParseFault('"steps" is not a list of objects')
    return rows


def _text(row: dict[str, Any], name: str, index: int) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return canonical(float(value)) if abs(value) < 1e15 else str(value)
    if not isinstance(value, str):
        raise ParseFault(f'"{name}" of step {index} is not a string')
    return value.strip()[:MAX_FIELD]


def make_step(index: int, row: dict[str, Any], span: tuple[int, int]) -> ReasoningStep:
    """A step from its fields as a model wrote them (:data:`STEPS_SCHEMA`) and its span in the path.

    Raises:
        ParseFault: It has neither sub-problem nor answer, or a field is of another kind.
    """
    sub_problem, answer = _text(row, "sub_problem", index), _text(row, "answer", index)
    if not sub_problem and not answer:
        raise ParseFault(f"step {index} has neither sub_problem nor answer")
    uses = row.get("uses") or []
    depends = row.get("depends_on") or []
    if not isinstance(uses, list) or not isinstance(depends, list):
        raise ParseFault(f'"uses" and "depends_on" of step {index} must be lists')
    quantities = tuple(_quantity(str(use)) for use in uses if isinstance(use, str | int | float))
    operation = _text(row, "operation", index)
    earlier = {d for d in depends if isinstance(d, int) and not isinstance(d, bool) and 0 <= d < index}
    return ReasoningStep(
        index=index,
        meta=_text(row, "meta", index),
        sub_problem=sub_problem,
        answer=answer,
        quantities=quantities,
        operation=operation,
        depends_on=tuple(sorted(earlier)),
        start=span[0],
        end=span[1],
        calculations=_calculations(_text(row, "quote", index), quantities, operation, answer),
    )


def _calculations(
    quote: str, quantities: tuple[str, ...], operation: str, answer: str
) -> tuple[Calculation, ...]:
    """Returns the calculations that a step quotes; else the one that its quantities, operation and answer make.

    With them the judges that compare values work on generated structures as they do on read ones.
    """
    found = find_calculations(quote)
    if found:
        return tuple(calc.finished() for calc in found)
    value = _quantity(answer)
    if operation not in ("+", "-", "*", "/") or len(quantities) < 2:
        return ()
    if not all(_NUMBER.fullmatch(part) for part in (*quantities, value)):
        return ()
    made = find_calculations(f"{operation.join(quantities)}={value}")
    return (made[0].finished(),) if len(made) == 1 and made[0].holds else ()


def _quantity(text: str) -> str:
    """A number in its canonical form, anything else as it is."""
    match = _NUMBER.fullmatch(text.strip())
    value = parse_number(match.group(1)) if match else None
    return canonical(value) if value is not None else text.strip()[:MAX_FIELD]


def locate(quotes: list[str], path: str) -> list[tuple[int, int]]:
    """Finds quotes in a path, in code points, forgiving case and white space.

    Quotes are looked for in order, each after the one before it, then anywhere; (0, 0) where a quote is
    empty or not found.
    """
    if not any(quotes):
        return [(0, 0)] * len(quotes)
    words = [(match.group().casefold(), match.start(), match.end()) for match in _WORDS.finditer(path)]
    flat, starts, ends = _flatten(words)
    spans: list[tuple[int, int]] = []
    after = 0
    for quote in quotes:
        wanted = " ".join(quote.casefold().split())
        at = flat.find(wanted, after) if wanted else -1
        if at < 0 and wanted:
            at = flat.find(wanted)
        if at < 0:
            spans.append((0, 0))
            continue
        after = at + 1
        spans.append((starts[at], ends[at + len(wanted) - 1]))
    return spans


def _flatten(words: list[tuple[str, int, int]]) -> tuple[str, list[int], list[int]]:
    """The path with single spaces, and for each of its characters where it starts and ends in the source."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for word, start, end in words:
        if pieces:
            pieces.append(" ")
            starts.append(start)
            ends.append(start)
        pieces.append(word)
        if len(word) == end - start:
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:  # folding changed the length: the whole word is the finest place that can be named
            starts.extend([start] * len(word))
            ends.extend([end] * len(word))
    return "".join(pieces), starts, ends
