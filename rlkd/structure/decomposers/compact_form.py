r"""The compact written form of a decomposition, for small trained models: the path again, line by line, with the steps marked.

A decomposition is mostly copying, and copying is what a small model learns first. So the path is shown with a letter
behind each of its segments, and the answer says every segment again with its letter; where one solves something, what
it solves follows on the same line::

    =
    To find Val, I need Pam and Kim|A
    So Pam: Kim 4 minus Ned 2 is 2|B
    So Val: Pam 2 plus Kim 4 is 6|C
    =
    To find Val, I need Pam and Kim|A
    So Pam: Kim 4 minus Ned 2 is 2|B|How many pens does Pam have?|| 2|Kim;Ned; 4; 2| minus |
    So Val: Pam 2 plus Kim 4 is 6|C|How many pens does Val have?|To find Val, I need Pam and Kim| 6|Pam>b;Kim; 2; 4| plus |
    =

The fields of a step are: what it says, its segment, sub-problem, meta-reasoning, answer, what it uses, operation, and what
else it depends on. A step that is a part of its segment says that part only; one that covers several names the first and
the last (``B-D``) and says the last. It depends on earlier steps by the letter of their segment, in small: behind the use
that such a step solved (``Pam>b``), else in the last field.

Why so, for a model of 0.8 M parameters: every token repeats what follows the same words above, or stands on the same line
already. Lines, letters and the end are one and the same copying, steered by the last capital letter, which is why what
refers to a segment is a small one. Whether a line solves something is read off the line, when it has just been said. A use
and the step that solved it are one look-up, from the name that stands there. Forms that name a segment without saying it,
or a dependency without its use, are shorter, but ask for two looks at once, which takes such a model far longer to learn.
The problem's text is left out: the fields do not need it.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Sequence

from rlkd.structure.backends.prompting import defang
from rlkd.structure.decomposers.json_form import MAX_STEPS, ParseFault, locate, make_step
from rlkd.structure.reading.path import sentence_ends, split_lines
from schemas.structure import ReasoningStep

MARK = "="
"""Before the segments, and after them: where the path begins, and where saying it again begins and ends."""
FIELDS = 8
"""Of a line that is a step."""
_SILENT = 2
_LETTERS = string.ascii_uppercase
_LABELS = re.compile(r"([A-Z]{1,4})(?:-([A-Z]{1,4}))?\Z")
_SPLIT = {separator: re.compile(rf"(?:[^\\{separator}]|\\.)*", re.DOTALL) for separator in "|;>"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ENDS = ".,;:!"
_AGAIN = (-1, -1)
_WORD = re.compile(r"\w+")

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
    """The label of a segment: ``A`` to ``Z``, then ``AA``, ``AB`` and so on."""
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
    return "\n".join([MARK, *(_line(label(i), path, span) for i, span in enumerate(spans)), f"{MARK}\n"])


def _line(name: str, path: str, span: Span) -> str:
    return f"{_escape(path[span[0] : span[1]])}|{name}"


def write_compact(steps: Sequence[ReasoningStep], path: str) -> str:
    """A decomposition as a model should write it; :func:`read_compact` reads it back.

    Kinds and calculations are not written, and a dependency names the last step of a segment. A step without a place in
    the path is put with the one before it.
    """
    segments = [bare(path, span) for span in segments_of(path)]
    if not segments:
        return MARK
    spans = [bare(path, (step.start, step.end)) for step in steps]
    touched = [[i for i, (a, b) in enumerate(segments) if a < end and start < b] for start, end in spans]
    silent = sorted(set(range(len(segments))) - {i for own in touched for i in own})
    lines: list[str] = []
    names: list[str] = []
    last = 0
    for step, (start, end), own in zip(steps, spans, touched, strict=True):
        while own and silent and silent[0] < own[0]:
            lines.append(_line(label(silent[0]), path, segments[silent.pop(0)]))
        first, last = (own[0], own[-1]) if own else (last, last)
        said = (max(start, segments[last][0]), min(end, segments[last][1])) if own else segments[last]
        names.append(label(last).lower())
        name = label(last) if first == last else f"{label(first)}-{label(last)}"
        depends = {names[d]: steps[d].sub_problem for d in step.depends_on}
        lines.append("|".join([_line(name, path, said), *_fields(step, depends)]))
    return "\n".join([*lines, *(_line(label(i), path, segments[i]) for i in silent), MARK])


def _fields(step: ReasoningStep, depends: dict[str, str]) -> list[str]:
    """What follows the words of a step; ``depends`` has, for what it depends on, the sub-problem that is solved there."""
    uses: list[str] = []
    left = dict(depends)
    for use in step.quantities:
        named = next((name for name, asked in left.items() if use in _WORD.findall(asked)), None)
        text = _escape(use, ";>")
        uses.append((f" {text}" if text[:1].isdigit() else text) + (f">{named}" if named else ""))
        left.pop(named or "", None)
    return [
        _escape(step.sub_problem),
        _escape(step.meta),
        f" {_escape(step.answer)}",
        ";".join(uses),
        f" {_escape(step.operation)} " if step.operation else "",
        ";".join(left),
    ]


def read_compact(text: str, path: str) -> tuple[ReasoningStep, ...]:
    """Reads the steps that a model wrote in the compact form.

    Raises:
        ParseFault: It does not end, or a line names no segment that is there, has not eight fields, or is no step.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ParseFault("it is empty")
    if lines[-1] != MARK:
        raise ParseFault(f"it does not end with {MARK}")
    segments = [bare(path, span) for span in segments_of(path)]
    if segments and len(lines) == 1:
        raise ParseFault("it says none of the segments")
    said = _Said(path, segments)
    steps: list[ReasoningStep] = []
    last: dict[str, int] = {}
    for number, line in enumerate(lines[:-1]):
        fields = [part.strip() for part in _split(line, "|")]
        place = said.place(fields)
        if len(fields) == _SILENT or place is _AGAIN:
            continue  # a segment that solves nothing
        if len(fields) != FIELDS:
            raise ParseFault(f"line {number} has {len(fields)} fields, not {FIELDS}")
        if place is None:
            raise ParseFault(f"line {number} names none of the {len(segments)} segments")
        first, final = place
        span = _span(_unescape(fields[0]), (segments[first], segments[final]), path)
        uses = [_split(part, ">") for part in _split(fields[5], ";")]
        needs = [part for use in uses for part in use[1:]] + _split(fields[7], ";")
        row = {
            "sub_problem": _unescape(fields[2]),
            "meta": _unescape(fields[3]),
            "answer": _unescape(fields[4]),
            "uses": [_unescape(use[0].strip()) for use in uses if use[0].strip()],
            "operation": _unescape(fields[6]),
            "depends_on": sorted({last[d] for part in needs if (d := part.strip()) in last}),
            "quote": path[span[0] : span[1]],
        }
        steps.append(make_step(len(steps), row, span))
        # Later lines refer to this one by the letter that it was given, be it the right one or not.
        last[fields[1].rpartition("-")[2].lower()] = len(steps) - 1
        if len(steps) > MAX_STEPS:
            raise ParseFault(f"it has more than {MAX_STEPS} steps")
    return tuple(steps)


class _Said:
    """Which segments a decomposition has said so far.

    A line says twice which segment it is about: by its words and by its letter. Where the two contradict each other the
    words are believed: a small model counts on from letter to letter, and is off by one ever after where it lost a line or
    said one twice.
    """

    def __init__(self, path: str, segments: list[Span]) -> None:
        self.texts = [_flat(path[start:end]) for start, end in segments]
        self.done: set[int] = set()

    def place(self, fields: list[str]) -> tuple[int, int] | None:
        """The first and the last segment of a line: ``None`` where it names none, ``_AGAIN`` where it was said before."""
        match = _LABELS.match(fields[1]) if len(fields) > 1 else None
        if match is None:
            return None
        first, last = index_of(match[1]), index_of(match[2] or match[1])
        named = (first, last) if first <= last < len(self.texts) else None
        words = _flat(_unescape(fields[0]))
        whole = [i for i, text in enumerate(self.texts) if text == words]
        if named and (words in self.texts[last] or not whole):
            self.done |= {last} & set(whole)
            return named
        fresh = [i for i in whole if i not in self.done]
        self.done.update(fresh[:1])
        if fresh:
            return fresh[0], fresh[0]
        return _AGAIN if whole else None


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


def _span(words: str, places: tuple[Span, Span], path: str) -> Span:
    """The span of a step: where its words are in its last segment; all of that where they are not."""
    first, last = places
    start, end = locate([words], path[last[0] : last[1]])[0]
    found = (last[0] + start, last[0] + end) if end > start else last
    return found if first == last else (first[0], found[1])


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
