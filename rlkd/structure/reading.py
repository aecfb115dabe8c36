"""Reads a path into light steps: the hot path of the ``rules`` decomposer, without pydantic."""

from __future__ import annotations

import re

from rlkd.structure.calc import Calc
from rlkd.structure.calculations import find_calculations
from rlkd.structure.latex import find_latex_calculations, has_latex
from rlkd.structure.segments import Segment, content_start, sentence_ends, split_lines

MAX_CHARS = 50_000
MAX_STEPS = 256
_MARK = re.compile(r"<<[^<>\n]{0,200}>>")
_META = re.compile(
    r"(?:since|because|if|as|given that|first|firstly|next|now|then|finally|to find|to get|to calculate|to determine|in order to"
    r"|when|after|before|out of)\b[^,:.]{0,200}[,:]\s+",
    re.IGNORECASE,
)


class RawStep:
    """A step as read: its span, its calculations, and the span of the text that leads to it.

    Attributes:
        start, end: Span in the path, in code points.
        calcs: Calculations in order; empty for a step in words.
        kind: ``step`` or ``check``.
        lead_start, lead_end: Span of a heading or question that introduces it; equal where there is none.
    """

    __slots__ = ("calcs", "end", "kind", "lead_end", "lead_start", "start")

    def __init__(self, start: int, end: int, calcs: list[Calc], kind: str) -> None:
        self.start = start
        self.end = end
        self.calcs = calcs
        self.kind = kind
        self.lead_start = start
        self.lead_end = start


def read_path(path: str, max_chars: int = MAX_CHARS, max_steps: int = MAX_STEPS) -> list[RawStep]:
    """Reads the steps of a path.

    A line is a step; a line with several calculations in several sentences is as many steps. Headings and
    questions lead to the step that follows them. The stated final answer is no step.

    Args:
        path: The reasoning text.
        max_chars: Characters that are read.
        max_steps: Steps that are read.

    Returns:
        The steps in order; empty where the path has none.
    """
    text = path if len(path) <= max_chars else path[:max_chars]
    segments = split_lines(text)
    calcs = find_latex_calculations(text) if has_latex(text) else find_calculations(text)
    steps: list[RawStep] = []
    lead: Segment | None = None
    position, total = 0, len(calcs)
    for segment in segments:
        inside: list[Calc] = []
        while position < total and calcs[position].eq <= segment.end:
            if calcs[position].eq >= segment.start:
                inside.append(calcs[position])
            position += 1
        if segment.kind == "final":
            if not any(calc.operands for calc in inside):
                continue
            segment.kind = "step"  # "so the answer is 9 * 2 = 18" is a calculation
        if not inside and segment.kind in ("heading", "question"):
            lead = segment if lead is None else Segment(lead.start, segment.end, "heading")
            continue
        new = _steps_of(text, segment, inside)
        if lead is not None:
            new[0].lead_start, new[0].lead_end = lead.start, lead.end
            lead = None
        steps.extend(new)
        if len(steps) >= max_steps:
            return steps[:max_steps]
    return steps


def _steps_of(text: str, segment: Segment, calcs: list[Calc]) -> list[RawStep]:
    kind = "check" if segment.kind == "check" else "step"
    long_prose = not calcs and segment.end - segment.start > 60
    if len(calcs) < 2 and not long_prose:
        return [RawStep(segment.start, segment.end, calcs, kind)]
    bounds = [segment.start, *sentence_ends(text, segment.start, segment.end), segment.end]
    if len(bounds) == 2:
        return [RawStep(segment.start, segment.end, calcs, kind)]
    steps: list[RawStep] = []
    begin, position = bounds[0], 0
    for stop in bounds[1:]:
        here: list[Calc] = []
        while position < len(calcs) and calcs[position].eq < stop:
            here.append(calcs[position])
            position += 1
        if here or not calcs:
            steps.append(RawStep(begin, _trim(text, begin, stop), here, kind))
            begin = stop
    if calcs and position < len(calcs):
        steps[-1].calcs.extend(calcs[position:])
    if begin < segment.end and steps:
        steps[-1].end = segment.end
    return steps or [RawStep(segment.start, segment.end, calcs, kind)]


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
