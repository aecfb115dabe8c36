"""Reads a path into light steps: the hot path of the ``rules`` decomposer, without pydantic."""

from __future__ import annotations

import re
from itertools import pairwise

from rlkd.structure.reading.algebra import read_plain
from rlkd.structure.reading.calculation import Calc
from rlkd.structure.reading.corrections import resolve_corrections
from rlkd.structure.reading.latex import find_latex_calculations, has_latex
from rlkd.structure.reading.lines import (
    Segment,
    check_kind,
    content_start,
    heads_answer,
    sentence_ends,
    split_lines,
    states_answer,
)
from rlkd.structure.reading.spoken_arithmetic import add_verbal
from rlkd.structure.reading.step import RawStep

__all__ = ["MAX_CHARS", "MAX_STEPS", "RawStep", "read_path", "step_texts"]

MAX_CHARS = 50_000
MAX_STEPS = 256
_MARK = re.compile(r"<<[^<>\n]{0,200}>>")
_META = re.compile(
    r"(?:since|because|if|as|given that|first|firstly|next|now|then|finally|to find|to get|to calculate|to determine|in order to"
    r"|when|after|before|out of)\b[^,:.]{0,200}[,:]\s+",
    re.IGNORECASE,
)


def read_path(path: str, max_chars: int = MAX_CHARS, max_steps: int = MAX_STEPS) -> list[RawStep]:
    """Reads the steps of a path.

    A line is a step; a line with several calculations in several sentences is as many steps. Headings and
    questions lead to the step that follows them. The stated final answer is no step. What verifies earlier steps is of
    kind ``check``, and a step that a later one takes back is ``retracted``.

    Args:
        path: The reasoning text.
        max_chars: Characters that are read.
        max_steps: Steps that are read.

    Returns:
        The steps in order; empty where the path has none.
    """
    text = path if len(path) <= max_chars else path[:max_chars]
    reader = _PathReader(text, read_calculations(text))
    for segment in split_lines(text):
        reader.read(segment)
        if len(reader.steps) >= max_steps:
            break
    steps = reader.steps[:max_steps]
    return resolve_corrections(text, steps) if reader.turns else steps


def read_calculations(text: str) -> list[Calc]:
    """Reads the calculations of a text, in LaTeX or in prose, in signs or in words; in order."""
    return find_latex_calculations(text) if has_latex(text) else add_verbal(text, read_plain(text))


class _PathReader:
    """What the reading of a path carries from line to line."""

    def __init__(self, text: str, calcs: list[Calc]) -> None:
        self.text = text
        self.calcs = calcs
        self.position = 0
        self.steps: list[RawStep] = []
        self.lead: Segment | None = None
        self.careful = _has_cue(text)  # else no sentence inside a line can be of another kind
        self.answer_ahead = False
        self.checking = False
        self.turns = False
        self.last_end = 0

    def read(self, segment: Segment) -> None:
        """Reads one line."""
        inside = self._calcs_in(segment)
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
            new[0].lead_start, new[0].lead_end = self.lead.start, self.lead.end
            self.lead = None
        self.steps.extend(new)

    def _calcs_in(self, segment: Segment) -> list[Calc]:
        inside: list[Calc] = []
        while self.position < len(self.calcs) and self.calcs[self.position].eq <= segment.end:
            if self.calcs[self.position].eq >= segment.start:
                inside.append(self.calcs[self.position])
            self.position += 1
        return inside

    def _take_lead(self, segment: Segment) -> None:
        if segment.kind == "heading":
            self.answer_ahead = heads_answer(self.text, segment.start, segment.end)
            if self.answer_ahead:
                return
            self.checking = check_kind(self.text, segment.start, segment.end) != "step"
        self.lead = segment if self.lead is None else Segment(self.lead.start, segment.end, "heading")

    def _steps_of(self, segment: Segment, calcs: list[Calc]) -> list[RawStep]:
        """The steps of one line."""
        text = self.text
        self.turns = self.turns or segment.kind in ("check", "wait")
        long_prose = not calcs and segment.end - segment.start > 60
        if len(calcs) < 2 and not long_prose and not self.careful:
            return [RawStep(segment.start, segment.end, calcs, segment.kind)]
        bounds = [segment.start, *sentence_ends(text, segment.start, segment.end), segment.end]
        if not self.careful and len(bounds) == 2:
            return [RawStep(segment.start, segment.end, calcs, segment.kind)]
        steps: list[RawStep] = []
        begin, position, kind = bounds[0], 0, segment.kind
        last = bounds[0]
        for at, stop in pairwise(bounds):
            here: list[Calc] = []
            while position < len(calcs) and (calcs[position].eq < stop or stop == segment.end):
                here.append(calcs[position])
                position += 1
            if self.careful:
                if not any(calc.operands for calc in here) and states_answer(text, at, stop):
                    if begin < at and not calcs:
                        steps.append(RawStep(begin, _trim(text, begin, at), [], kind))
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
                steps.append(RawStep(begin, _trim(text, begin, stop), here, kind))
                begin, kind = stop, segment.kind
        if begin < last:
            if steps and kind == segment.kind:
                steps[-1].end = _trim(text, begin, last)
            else:
                steps.append(RawStep(begin, _trim(text, begin, last), [], kind))
        return steps


_CUES = (
    "nswer", "boxed", "esult", " yes", " no.", "Yes", "No.", "rue.", "alse.", "ait", "heck", "erif", "ctually", "Hmm", "hmm",
    "old on", "cratch", "No,", "no,", "ops", "onfirm", "econsider",
)  # fmt: skip
"""A path without any of these states no answer inside a line, verifies nothing and takes nothing back."""


def _has_cue(text: str) -> bool:
    for cue in _CUES:  # noqa: SIM110  (a generator takes twice as long)
        if cue in text:
            return True
    return False


def _trim(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def step_texts(path: str, step: RawStep, problem: str = "") -> tuple[str, str, str]:
    """A step in words.

    Args:
        path: The path that it was read from.
        step: The step.
        problem: The problem's text; what only repeats it leads to nothing.

    Returns:
        The meta-reasoning (what leads to it: a heading, "Since ...", "To find ..."; may be empty), the sub-problem (a
        question before it, else the rest of its text), and its text without the meta-reasoning.
    """
    text = path[content_start(path, step.start, step.end) : step.end]
    if "<<" in text:
        text = _MARK.sub("", text)
    meta = path[step.lead_start : step.lead_end]
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
