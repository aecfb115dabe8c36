"""Reads a path into steps: its lines, sentences, list items, headings, checks, and the stated final answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from rlkd.answers import gsm8k
from rlkd.structure.reading.calculation import Found
from rlkd.structure.reading.corrections import resolve_corrections
from rlkd.structure.reading.formulas.algebra import read_equations, read_special
from rlkd.structure.reading.formulas.latex import find_latex_calculations, has_latex
from rlkd.structure.reading.inline_arithmetic import find_calculations
from rlkd.structure.reading.rewriting import (
    BEGINS_WITH_SIGN,
    DEFINES,
    ENDS_IN_SIGN,
    UNIT_SIGNS,
    USES_NAME,
    join_continued,
    read_named,
    state_cells,
    without_units,
)
from rlkd.structure.reading.spoken_arithmetic import MAX_SENTENCE, SHORTEST, read_sentence
from rlkd.structure.reading.words.dates import HAS_DATE, mask_dates
from schemas.structure import ReasoningStep

_NOTE = re.compile(r"(?<=\d )\([A-Za-z][^()\d\n=+*/]{1,40}\)(?= ?[-+*/=×÷])")
"""A note on a number: ``15 (initial oranges) - 8 (washed) = 7``."""
MAX_CHARS = 50_000
MAX_STEPS = 256
_SHORT = 60
"""Characters of a line without calculations in which no sentence begins without a full stop before it ("Tom is mortal So is Ann")."""


def read_path(path: str, max_chars: int = MAX_CHARS, max_steps: int = MAX_STEPS) -> list[ReasoningStep]:
    """Reads the steps of a path.

    A line is a step; a line with several calculations in several sentences is as many steps. Headings and
    questions lead to the step that follows them. The stated final answer is no step. What verifies earlier steps is of
    kind ``check``, and a step that a later one takes back is ``retracted``.

    Args:
        path: The reasoning text.
        max_chars: Characters that are read.
        max_steps: Steps that are read.

    Returns:
        The steps in order, with span, kind and calculations; the heading or question before a step is its ``meta``. Empty where
        the path has none.
    """
    text = path if len(path) <= max_chars else path[:max_chars]
    if ENDS_IN_SIGN.search(text) or BEGINS_WITH_SIGN.search(text):
        text = join_continued(text)
    reader = _PathReader(text, read_calculations(text), any(map(text.__contains__, _CUES)))
    for segment in split_lines(text):
        reader.read(segment)
        if len(reader.steps) >= max_steps:
            break
    steps = reader.steps[:max_steps]
    return resolve_corrections(text, steps) if reader.turns else steps


_BREAK = re.compile(r"(?<!i\.e)[.!?;](?=\s|\Z)\s{0,4}|\n")
_BREAKS = re.compile(r"[.!?;\n].{4,}[.!?;\n]", re.DOTALL)
"""A whole sentence between two calculations: it has a break on either side."""


def read_calculations(text: str, named: bool = True) -> list[Found]:
    """Reads the calculations of a text, in LaTeX or in prose, in signs or in words; in order. ``named`` reads a name as the number that it is.

    What a plain text has none of is looked for by its signs before the file that reads it is entered.
    """
    if "(" in text:
        text = _NOTE.sub(lambda match: " " * len(match[0]), text)
    if HAS_DATE.search(text):
        text = mask_dates(text)
    if any(map(text.__contains__, UNIT_SIGNS)):
        text = without_units(text)
    if "|" in text:
        text = state_cells(text)
    if named and (":" in text or DEFINES.search(text)) and USES_NAME.search(text):
        calcs = read_named(text, lambda said: read_calculations(said, named=False))
        if calcs is not None:
            return calcs
    if ("\\" in text or "$" in text) and has_latex(text):
        return find_latex_calculations(text)
    if "\\" in text:
        text = text.replace("\\%", " %").replace("\\$", " $")
    found: list[Found] = []
    if not text.isascii() or "<" in text or ">" in text or "!" in text or "sqrt" in text or "C(" in text:
        text, found = read_special(text)
    plain = find_calculations(text)
    if any(calc.symbolic for calc in plain):
        plain = read_equations(text, plain)
    return _with_spoken(text, sorted([*found, *plain], key=lambda calc: calc.at) if found else plain)


def _with_spoken(text: str, calcs: list[Found]) -> list[Found]:
    """Adds the calculations in words of the sentences in which no calculation in signs was found."""
    found: list[Found] = []
    previous = 0
    for position in range(len(calcs) + 1):
        until = calcs[position].start if position < len(calcs) else len(text)
        inner = 0 < position < len(calcs)
        if until - previous >= SHORTEST and (
            not inner
            or (
                text.count("\n", previous, until) + text.count(".", previous, until) >= 2
                and _BREAKS.search(text, previous, until)
            )
        ):
            cuts = [match.end() for match in _BREAK.finditer(text, previous, until)]
            if position == 0:
                cuts.insert(0, 0)
            if position == len(calcs):
                cuts.append(len(text))
            for start, end in pairwise(cuts):
                if end - start >= SHORTEST:
                    found += read_sentence(text[start : min(end, start + MAX_SENTENCE)], start)
        if position < len(calcs):
            previous = max(previous, calcs[position].end)
    return sorted([*calcs, *found], key=lambda calc: calc.at) if found else calcs


_CUES = (
    "nswer", "boxed", "esult", " yes", " no.", "Yes", "No.", "rue.", "alse.", "ait", "heck", "erif", "ctually", "Hmm", "hmm",
    "old on", "cratch", "No,", "no,", "ops", "onfirm", "econsider", "orrect", "orry", "istake", "error",
)  # fmt: skip
"""A path without any of these states no answer inside a line, verifies nothing and takes nothing back."""


@dataclass(slots=True)
class _PathReader:
    """What the reading of a path carries from line to line.

    ``careful`` is whether any sentence inside a line can be of another kind than its line.
    """

    text: str
    calcs: list[Found]
    careful: bool
    position: int = 0
    steps: list[ReasoningStep] = field(default_factory=list)
    lead: Segment | None = None
    answer_ahead: bool = False
    checking: bool = False
    turns: bool = False
    last_end: int = 0

    def read(self, segment: Segment) -> None:
        """Reads one line."""
        inside: list[Found] = []
        while self.position < len(self.calcs) and self.calcs[self.position].at <= segment.end:
            if self.calcs[self.position].at >= segment.start:
                inside.append(self.calcs[self.position])
            self.position += 1
        if self.checking and "\n\n" in self.text[self.last_end : segment.start].replace(" ", ""):
            self.checking = False
        self.last_end = segment.end
        if segment.kind == "final":
            if not any(calc.operands for calc in inside):
                return
            segment.kind = "step"  # "so the answer is 9 * 2 = 18" is a calculation
        if not inside and segment.kind in ("heading", "question"):
            self._take_lead(segment)
            return
        if self.answer_ahead and not any(calc.operands for calc in inside):
            return
        self.answer_ahead = False
        if self.checking and segment.kind == "step":
            segment.kind = "check"
        new = self._steps_of(segment, inside)
        if new and self.lead is not None:
            new[0].meta = self.text[self.lead.start : self.lead.end]
            self.lead = None
        self.steps.extend(new)

    def _take_lead(self, segment: Segment) -> None:
        if segment.kind == "heading":
            self.answer_ahead = heads_answer(self.text, segment.start, segment.end)
            if self.answer_ahead:
                return
            self.checking = check_kind(self.text, segment.start, segment.end) != "step"
        self.lead = segment if self.lead is None else Segment(self.lead.start, segment.end, "heading")

    def _steps_of(self, segment: Segment, calcs: list[Found]) -> list[ReasoningStep]:
        """The steps of one line."""
        text = self.text
        self.turns = self.turns or segment.kind in ("check", "wait")
        if len(calcs) == 1 and not self.careful:
            return [
                ReasoningStep(
                    0, start=segment.start, end=segment.end, kind=segment.kind, calculations=tuple(calcs)
                )
            ]
        marked = not calcs and not self.careful and segment.end - segment.start <= _SHORT
        ends = sentence_ends(text, segment.start, segment.end, marked)
        bounds = [segment.start, *ends, segment.end]
        if not self.careful and len(bounds) == 2:
            return [
                ReasoningStep(
                    0, start=segment.start, end=segment.end, kind=segment.kind, calculations=tuple(calcs)
                )
            ]
        steps: list[ReasoningStep] = []
        begin, position, kind = bounds[0], 0, segment.kind
        last = bounds[0]
        for at, stop in pairwise(bounds):
            here: list[Found] = []
            while position < len(calcs) and (calcs[position].at < stop or stop == segment.end):
                here.append(calcs[position])
                position += 1
            if self.careful:
                if not any(calc.operands for calc in here) and states_answer(text, at, stop):
                    if begin < at and not calcs:
                        steps.append(ReasoningStep(0, start=begin, end=_trim(text, begin, at), kind=kind))
                    begin, kind = stop, segment.kind
                    continue
                own = check_kind(text, at, stop)
                if own != "step":
                    if begin < at and steps:
                        steps[-1].end = _trim(text, begin, at)
                    begin, kind = at, own
                    self.turns = True
            last = stop
            if here or not calcs or kind == "wait":
                steps.append(
                    ReasoningStep(
                        0, start=begin, end=_trim(text, begin, stop), kind=kind, calculations=tuple(here)
                    )
                )
                begin, kind = stop, segment.kind
        if begin < last:
            if steps and kind == segment.kind:
                steps[-1].end = _trim(text, begin, last)
            else:
                steps.append(ReasoningStep(0, start=begin, end=_trim(text, begin, last), kind=kind))
        return steps


def _trim(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


_META = re.compile(
    r"(?:since|because|if|as|given that|first|firstly|next|now|then|finally|to find|to get|to calculate|to determine|in order to"
    r"|when|after|before|out of)\b[^,:.]{0,200}[,:]\s+",
    re.IGNORECASE,
)


def step_texts(path: str, step: ReasoningStep, problem: str = "") -> tuple[str, str, str]:
    """A step in words.

    Args:
        path: The path that it was read from.
        step: The step as read; its ``meta`` is the heading or question before it.
        problem: The problem's text; what only repeats it leads to nothing.

    Returns:
        The meta-reasoning (what leads to it: a heading, "Since ...", "To find ..."; may be empty), the sub-problem (a
        question before it, else the rest of its text), and its text without the meta-reasoning.
    """
    bullet = _BULLET.match(path, step.start, step.end)
    text = path[bullet.end() if bullet and bullet.end() < step.end else step.start : step.end]
    if gsm8k.MARK_START in text:
        text = gsm8k.without_marks(text)
    meta = step.meta
    question = ""
    if meta and problem and " ".join(meta.split()) in " ".join(problem.split()):
        meta = ""
    if meta.endswith("?"):
        meta, question = "", meta
    match = _META.match(text)
    if match:
        meta = f"{meta} {match.group().strip(' ,:')}".strip()
        text = text[match.end() :]
    return meta, question or text, text


@dataclass(slots=True)
class Segment:
    """A stretch of the path: ``kind`` is ``step``, ``check``, ``wait``, ``heading``, ``question`` or ``final``."""

    start: int
    end: int
    kind: str


_LINE = re.compile(r"[^\n\r\u2028\u2029]+")
_SO = r"(?:(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore|[Tt]hen|[Aa]nd so|[Ff]inally|[Cc]onsequently|[Ii]n conclusion),? ?)?"
_FINAL = re.compile(
    rf"\s{{0,8}}(?:[-*>#]{{0,3}}\s{{0,2}})?(?:\*\*)?(?:{gsm8k.STATES}"
    r"|(?:Answer|ANSWER|Final [Aa]nswer|FINAL ANSWER|Result|RESULT|Final [Rr]esult)\s?(?:\*\*)?\s?[:=]"
    rf"|{_SO}(?:[Tt]he|[Oo]ur|[Mm]y) (?:final |correct )?answer(?:, [a-z]{{1,12}},)?(?: (?:is|=|to [^.\n]{{1,80}} is)|\s?[:=])"
    rf"|{_SO}(?:[Yy]es|[Nn]o|[Tt]rue|[Ff]alse)[.!]?\Z"
    r"|</?answer>)"
)
_FINAL_HEADING = re.compile(
    r"[\s#*]{0,8}(?:(?:The )?[Ff]inal )?(?:[Aa]nswer|ANSWER|[Rr]esult)\s?[:*\s]{0,6}\Z"
)
_WAIT = re.compile(
    r"\s{0,8}(?:[-*>]\s)?(?:but )?(?:wait\b|hmm|hold on|actually,|oops|no, (?:(?:that|this|it|wait|i)\b|[$(]?\d)|scratch that|on second thought"
    r"|correction\b|corrected:|sorry\b|apologies|my mistake|(?:i|we) made an? (?:mistake|error)|there(?:'|\u2019| i)s an? (?:mistake|error)\b"
    r"|(?:let me |to )correct (?:that|this|it|my|the)\b)",
    re.IGNORECASE,
)
_CHECK = re.compile(
    r"[\s#*>-]{0,8}(?:now,? |first,? |so,? |step \d{1,2}: )?(?:let me (?:just )?(?:quickly )?(?:double[- ]?check|check|verify|re-?check|reconsider|confirm)"
    r"|let(?:'|\u2019)?s (?:double[- ]?check|check|verify|reconsider|confirm)|to (?:double[- ]?check|check|verify)\b"
    r"|(?:check|verification|verify|verifying)\s?[:*.]"
    r"|checking\b|double[- ]checking\b|we can (?:check|verify)\b|(?:as|for) a check\b)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"\s{0,8}(?:#{1,6} .*|\*\*[^*\n]{1,200}\*\*:?\s*|(?:Step|STEP) \d{1,3}\s?[:.)]?\s*|[^\n]{1,200}:\s*)\Z"
)
_BULLET = re.compile(
    r"\s{0,12}(?:[-*•+]\s{1,4}|\(?\d{1,3}[.)]\s{1,4}|(?:\*\*)?(?:Step|STEP) \d{1,3}(?:\*\*)?\s?[:.)-](?:\*\*)?\s{0,4})"
)
_SENTENCE_END = re.compile(
    r"[.!?;][\"')\]]{0,2}\s{1,4}(?=[\"'(\[$\\]{0,2}[A-Z0-9$\\])"
    r"|(?<=[a-z0-9%)>])\s{1,4}(?=(?:So|The|He|She|They|It|If|Then|There|Now|Therefore|Thus|Hence|Since|In|On|After"
    r"|Each|And|This|That|To|First|Next|Finally|We|You|But|Also|Their|His|Her|Next|When|With|For|Because|Wait|Actually|Hmm|Let|Hence|Hold)[ ,])"
)
_FRAME = re.compile(r"(?:\\(?:begin|end)\{[a-z]{1,12}\*?\}|\\[\[\]]|\$\$|[\s.,])*\Z")
_TAG = re.compile(r"</?(?:think|thinking|reasoning|answer|solution)>")
_TOKENS = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|approx|lbs?|oz|no)\.\s\Z")


def split_lines(path: str) -> list[Segment]:
    """The non-empty lines of a path with their kinds; spans exclude outer blanks, bullets and tags."""
    segments: list[Segment] = []
    for match in _LINE.finditer(path):
        start, end = match.span()
        while start < end and path[start].isspace():
            start += 1
        while end > start and path[end - 1].isspace():
            end -= 1
        if path.startswith("<", start):
            tag = _TAG.match(path, start, end)
            if tag and tag.group().strip("</>") != "answer":
                start = tag.end()
        if start >= end or not (path[start].isalnum() or any(c.isalnum() for c in path[start : start + 400])):
            continue
        if path[start] == "\\" and end - start < 60 and _FRAME.match(path, start, end):
            continue
        segments.append(Segment(start, end, kind_of(path, start, end)))
    return segments


def kind_of(path: str, start: int, end: int) -> str:
    """The kind of the text between two positions."""
    if _FINAL.match(path, start, end):
        return "final"
    last = path[end - 1]
    if last == "?":
        return "question"
    first = path[start]
    if (last in ":*.)" or first in "#*S") and end - start < 240 and _HEADING.match(path, start, end):
        return "heading"
    return check_kind(path, start, end) if first in _CHECK_FIRST else "step"


def check_kind(path: str, start: int, end: int) -> str:
    """``check`` where the text verifies, ``wait`` where it turns back, else ``step``."""
    if _WAIT.match(path, start, end):
        return "wait"
    return "check" if _CHECK.match(path, start, end) else "step"


def states_answer(path: str, start: int, end: int) -> bool:
    r"""Whether a sentence states the final answer: ``The answer is 18.``, or a box (``\boxed{18}``) anywhere in it."""
    return _FINAL.match(path, start, end) is not None or path.find("\\boxed", start, end) >= 0


def heads_answer(path: str, start: int, end: int) -> bool:
    """Whether a heading announces the final answer."""
    return _FINAL_HEADING.match(path, start, end) is not None


_CHECK_FIRST = frozenset("wWhHlLtTcCvVdDaAoOnNfFbBsS-*>#")


def sentence_ends(path: str, start: int, end: int, marked: bool = False) -> list[int]:
    """Where sentences begin after the first one, between two positions, ascending; ``marked``: only behind a full stop or the like."""
    found: list[int] = []
    for match in _SENTENCE_END.finditer(path, start, end):
        if marked and path[match.start()] not in ".!?;":
            continue
        if path[match.start()] == "." and _TOKENS.search(path, max(start, match.start() - 8), match.end()):
            continue
        found.append(match.end())
    return found
