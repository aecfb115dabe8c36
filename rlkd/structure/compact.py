r"""The compact written form of a decomposition, for small trained models: one short line a segment, spans by number.

A decomposition is mostly copying. So the path is shown with its segments numbered, and the answer goes through them
in order: a segment that solves nothing is its number alone, and a step names its segment instead of quoting it::

    Pam has 2 pens. Kim has 6 pens. Val has as many pens as Pam plus Kim. How many pens does Val have?
     0: To find Val, I need Pam and Kim.
     1: So Val: Pam 2 plus Kim 6 is 8.
     2: The answer is 8.
    =
     0
     1| How many pens does Val have?| 8| Pam; Kim; 2; 6| plus| | 0
     2

The fields are: segment, sub-problem, answer, what it uses, operation, the segments of the earlier steps that it
depends on, and meta-reasoning. A segment or meta-reasoning that is a number (or a range, ``2-4``) stands for that
text of the path; any other text is a quotation, written with a ``"`` before it where it would look like a number.
Numbers, not quotations, keep the output short and let the spans be exact; and whoever counts through the segments
has only to say of each what it is, in an order of fields in which each follows from those before it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from rlkd.structure.parsing import MAX_STEPS, ParseFault, locate, make_step
from rlkd.structure.prompting import defang
from rlkd.structure.segments import sentence_ends, split_lines
from schemas.structure import ReasoningStep

NONE = "none"
FIELDS = 7
_REFERENCE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z")
_SPLIT = {separator: re.compile(rf"(?:[^\\{separator}]|\\.)*", re.DOTALL) for separator in "|;"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ENDS = ".,;:!"

Span = tuple[int, int]


def segments_of(path: str) -> list[Span]:
    """The numbered segments of a path, in code points: its lines, cut into sentences, without outer blanks."""
    spans: list[Span] = []
    for line in split_lines(path):
        cuts = [line.start, *sentence_ends(path, line.start, line.end), line.end]
        for start, end in itertools.pairwise(cuts):
            while end > start and path[end - 1].isspace():
                end -= 1
            if end > start:
                spans.append((start, end))
    return spans


def bare(path: str, span: Span) -> Span:
    """A span without outer blanks and the punctuation that ends it: two readers differ in that and mean the same."""
    start, end = span
    while end > start and (path[end - 1].isspace() or path[end - 1] in _ENDS):
        end -= 1
    while start < end and path[start].isspace():
        start += 1
    return start, end


def compact_prompt(problem: str, path: str) -> str:
    """What a model is asked: the problem (may be empty), the numbered segments, and a mark."""
    lines = [" ".join(defang(problem).split())] if problem.strip() else []
    lines += [f" {i}: {defang(path[start:end])}" for i, (start, end) in enumerate(segments_of(path))]
    return "\n".join([*lines, "=\n"])


def write_compact(steps: Sequence[ReasoningStep], path: str) -> str:
    """A decomposition as a model should write it; :func:`read_compact` reads it back.

    Kinds and calculations are not written, and a dependency names the last step of a segment.
    """
    segments = [bare(path, span) for span in segments_of(path)]
    spans = [bare(path, (step.start, step.end)) for step in steps]
    names = [_name_span(span, path, segments) for span in spans]
    silent = [
        i for i, (start, end) in enumerate(segments) if not any(a < end and start < b for a, b in spans)
    ]
    lines: list[str] = []
    for step, span, name in zip(steps, spans, names, strict=True):
        while silent and segments[silent[0]][0] < span[0]:
            lines.append(f" {silent.pop(0)}")
        depends = dict.fromkeys(names[d] for d in step.depends_on)
        fields = [
            name,
            _escape(step.sub_problem),
            _escape(step.answer),
            "; ".join(_escape(use, ";") for use in step.quantities),
            _escape(step.operation),
            "; ".join(_escape(d, ";") for d in depends),
            _name_text(step.meta, path, segments, step.start),
        ]
        lines.append(" " + "| ".join(fields))
    return "\n".join([*lines, *(f" {i}" for i in silent)]) or NONE


def read_compact(text: str, path: str) -> tuple[ReasoningStep, ...]:
    """Reads the steps that a model wrote in the compact form.

    Raises:
        ParseFault: A line names a segment that is not there, has not seven fields, or is no step.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ParseFault("it is empty")
    if lines == [NONE]:
        return ()
    segments = [bare(path, span) for span in segments_of(path)]
    steps: list[ReasoningStep] = []
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        fields = [part.strip() for part in _split(line, "|")]
        span = _referred(fields[0], segments, number)
        if len(fields) == 1 and span is not None:
            continue  # a segment that solves nothing
        if len(fields) != FIELDS:
            raise ParseFault(f"line {number} has {len(fields)} fields, not {FIELDS}")
        if span is None:
            span = locate([_unescape(fields[0].removeprefix('"'))], path)[0]
        row = {
            "sub_problem": _unescape(fields[1]),
            "answer": _unescape(fields[2]),
            "uses": [_unescape(part.strip()) for part in _split(fields[3], ";") if part.strip()],
            "operation": _unescape(fields[4]),
            "depends_on": sorted({last[d] for part in _split(fields[5], ";") if (d := part.strip()) in last}),
            "meta": _text_of(fields[6], path, segments, number),
            "quote": path[span[0] : span[1]],
        }
        steps.append(make_step(len(steps), row, span))
        last[fields[0]] = len(steps) - 1
        if len(steps) > MAX_STEPS:
            raise ParseFault(f"it has more than {MAX_STEPS} steps")
    return tuple(steps)


def _split(text: str, separator: str) -> list[str]:
    """Splits at separators that no backslash stands before."""
    parts: list[str] = []
    position = 0
    while True:
        match = _SPLIT[separator].match(text, position)
        end = match.end() if match else position
        parts.append(text[position:end])
        if end >= len(text):
            return parts
        position = end + 1  # a separator, or a lone backslash at the end


def _escape(text: str, also: str = "") -> str:
    """A field's text on one line; the separators in it get a backslash."""
    flat = " ".join(text.split())
    for mark in f"\\|{also}":
        flat = flat.replace(mark, "\\" + mark)
    return defang(flat)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else m[1], text)


def _quoted(text: str) -> str:
    """A quotation that cannot be taken for a reference."""
    escaped = _escape(text)
    return f'"{escaped}' if escaped.startswith('"') or _REFERENCE.match(escaped) else escaped


def _name_span(span: Span, path: str, segments: list[Span]) -> str:
    """The segments that a span is made of, or the text itself where it is a part of one."""
    start, end = bare(path, span)
    first = next((i for i, segment in enumerate(segments) if segment[0] == start), None)
    last = next((i for i, segment in enumerate(segments) if segment[1] == end), None)
    if first is None or last is None or last < first:
        return _quoted(path[start:end])
    return str(first) if first == last else f"{first}-{last}"


def _name_text(text: str, path: str, segments: list[Span], before: int) -> str:
    """The number of the nearest segment that says exactly this, looking back first; else the text."""
    same = [i for i, (start, end) in enumerate(segments) if path[start:end] == text]
    if not text or not same:
        return _quoted(text)
    earlier = [i for i in same if segments[i][0] <= before]
    return str(earlier[-1] if earlier else same[0])


def _referred(field: str, segments: list[Span], index: int) -> Span | None:
    """The span that a field refers to; ``None`` where it is a text."""
    match = _REFERENCE.match(field)
    if match is None:
        return None
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if not first <= last < len(segments):
        raise ParseFault(f"line {index} names segment {field}, and the path has {len(segments)}")
    return segments[first][0], segments[last][1]


def _text_of(field: str, path: str, segments: list[Span], index: int) -> str:
    span = _referred(field, segments, index)
    return path[span[0] : span[1]] if span is not None else _unescape(field.removeprefix('"'))
