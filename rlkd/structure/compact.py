r"""The compact written form of a decomposition, for small trained models: one short line a segment, spans by label.

A decomposition is mostly copying. So the path is shown with a letter before each of its segments, and the answer goes
through the letters in order::

    a|To find Val, I need Pam and Kim
    b|So Pam: Kim 4 minus Ned 2 is 2
    c|So Val: Pam 2 plus Kim 4 is 6
    d|The answer is 6
    =
    a
    b|So Pam| 2|How many pens does Pam have?||
    c|So Val| 6|How many pens does Val have?|b|a
    d

The fields of a step are: segment, its first words, answer, sub-problem, the segments of the earlier steps that it
depends on, and meta-reasoning. A segment or meta-reasoning that is a label (or a range, ``c-e``) stands for that text of
the path; any other text is a quotation, written with a ``"`` before it where it would look like a label. A segment that
solves nothing is its label alone, or with its first words where it begins as the steps do. What a step calculates with
is not written: the numbers are read off the segment.

Why so: the next label is known without counting, letters are not taken for the numbers of the path, and each field is a
copy of what stands beside the field before it: the words beside the label, the value beside the words. The problem's text
is left out, which the fields do not need: a short prompt is a fast one.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Sequence

from rlkd.structure.parsing import MAX_STEPS, ParseFault, locate, make_step
from rlkd.structure.prompting import defang
from rlkd.structure.segments import sentence_ends, split_lines
from schemas.structure import ReasoningStep

NONE = "none"
FIELDS = 6
WORDS = 2
"""How many of a segment's first words are written."""
_LETTERS = string.ascii_lowercase + string.ascii_uppercase
_REFERENCE = re.compile(r"([a-zA-Z]{1,3})(?:-([a-zA-Z]{1,3}))?\Z")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]{0,30}(?:\.\d{1,30})?")
_SPLIT = {separator: re.compile(rf"(?:[^\\{separator}]|\\.)*", re.DOTALL) for separator in "|;"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ENDS = ".,;:!"

Span = tuple[int, int]


def segments_of(path: str) -> list[Span]:
    """The labelled segments of a path, in code points: its lines, cut into sentences, without outer blanks."""
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


def label(index: int) -> str:
    """The label of a segment: ``a`` to ``z``, ``A`` to ``Z``, then ``aa``, ``ab`` and so on."""
    letters = ""
    while index >= 0:
        index, letter = divmod(index, len(_LETTERS))
        letters = _LETTERS[letter] + letters
        index -= 1
    return letters


def index_of(text: str) -> int:
    """The segment that a label names; the inverse of :func:`label`."""
    index = -1
    for letter in text:
        index = (index + 1) * len(_LETTERS) + _LETTERS.index(letter)
    return index


def compact_prompt(path: str) -> str:
    """What a model is asked: the labelled segments, and a mark."""
    spans = [bare(path, span) for span in segments_of(path)]
    lines = [f"{label(i)}|{defang(path[start:end])}" for i, (start, end) in enumerate(spans)]
    return "\n".join([*lines, "=\n"])


def write_compact(steps: Sequence[ReasoningStep], path: str) -> str:
    """A decomposition as a model should write it; :func:`read_compact` reads it back.

    Kinds, quantities, operations and calculations are not written, and a dependency names the last step of a segment.
    """
    segments = [bare(path, span) for span in segments_of(path)]
    spans = [bare(path, (step.start, step.end)) for step in steps]
    names = [_name_span(span, path, segments) for span in spans]
    silent = [
        i for i, (start, end) in enumerate(segments) if not any(a < end and start < b for a, b in spans)
    ]
    begins = {path[start:end].partition(" ")[0] for start, end in spans}
    lines: list[str] = []

    def nothing(i: int) -> str:
        words = _first_words(path, segments[i])
        return f"{label(i)}|{words}" if words.partition(" ")[0] in begins else label(i)

    for step, span, name in zip(steps, spans, names, strict=True):
        while silent and segments[silent[0]][0] < span[0]:
            lines.append(nothing(silent.pop(0)))
        depends = dict.fromkeys(names[d] for d in step.depends_on)
        fields = [
            name,
            _first_words(path, span),
            f" {_escape(step.answer)}",
            _escape(step.sub_problem),
            ";".join(_escape(d, ";") for d in depends),
            _name_text(step.meta, path, segments, step.start),
        ]
        lines.append("|".join(fields))
    return "\n".join([*lines, *map(nothing, silent)]) or NONE


def read_compact(text: str, path: str) -> tuple[ReasoningStep, ...]:
    """Reads the steps that a model wrote in the compact form.

    Raises:
        ParseFault: A line names a segment that is not there, has not six fields, or is no step.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ParseFault("it is empty")
    segments = [bare(path, span) for span in segments_of(path)]
    if lines == [NONE] and not segments:
        return ()
    steps: list[ReasoningStep] = []
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        fields = [part.strip() for part in _split(line, "|")]
        span = _referred(fields[0], segments, number)
        if len(fields) <= 2 and span is not None:
            continue  # a segment that solves nothing
        if len(fields) != FIELDS:
            raise ParseFault(f"line {number} has {len(fields)} fields, not {FIELDS}")
        if span is None:
            span = locate([_unescape(fields[0].removeprefix('"'))], path)[0]
        quote, answer = path[span[0] : span[1]], _unescape(fields[2])
        row = {
            "sub_problem": _unescape(fields[3]),
            "answer": answer,
            "uses": _numbers(quote, answer),
            "depends_on": sorted({last[d] for part in _split(fields[4], ";") if (d := part.strip()) in last}),
            "meta": _text_of(fields[5], path, segments, number),
            "quote": quote,
        }
        steps.append(make_step(len(steps), row, span))
        last[fields[0]] = len(steps) - 1
        if len(steps) > MAX_STEPS:
            raise ParseFault(f"it has more than {MAX_STEPS} steps")
    return tuple(steps)


def _first_words(path: str, span: Span) -> str:
    """How a segment begins, without the punctuation that follows."""
    return _escape(" ".join(path[span[0] : span[1]].split(maxsplit=WORDS)[:WORDS])).rstrip(_ENDS)


def _numbers(quote: str, answer: str) -> list[str]:
    """The numbers that a segment calculates with: those in it, without the one that answers."""
    found: list[str] = _NUMBER.findall(quote)
    if answer in found:
        del found[len(found) - 1 - found[::-1].index(answer)]
    return found


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
    return label(first) if first == last else f"{label(first)}-{label(last)}"


def _name_text(text: str, path: str, segments: list[Span], before: int) -> str:
    """The label of the nearest segment that says exactly this, looking back first; else the text."""
    same = [i for i, (start, end) in enumerate(segments) if path[start:end] == text]
    if not text or not same:
        return _quoted(text)
    earlier = [i for i in same if segments[i][0] <= before]
    return label(earlier[-1] if earlier else same[0])


def _referred(field: str, segments: list[Span], index: int) -> Span | None:
    """The span that a field refers to; ``None`` where it is a text."""
    match = _REFERENCE.match(field)
    if match is None:
        return None
    first = index_of(match[1])
    last = index_of(match[2]) if match[2] else first
    if not first <= last < len(segments):
        raise ParseFault(f"line {index} names segment {field}, and the path has {len(segments)}")
    return segments[first][0], segments[last][1]


def _text_of(field: str, path: str, segments: list[Span], index: int) -> str:
    span = _referred(field, segments, index)
    return path[span[0] : span[1]] if span is not None else _unescape(field.removeprefix('"'))
