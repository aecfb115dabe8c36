"""A path as pieces of text, the steps in it marked by how they go with the other side's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.alignment import SURE
from schemas.evaluation import SampleStep

Mark = Literal["", "same", "differs", "alone"]


@dataclass(frozen=True)
class Piece:
    """A stretch of a path.

    Attributes:
        text: The text, not escaped.
        mark: How the step goes with the other side: ``same`` (aligned, equal answer), ``differs`` (aligned,
            another answer), ``alone`` (no partner); empty outside of steps.
        label: Number of the step that it goes with, from 1; empty where there is none.
        note: What the judge said, for a tooltip.
    """

    text: str
    mark: Mark = ""
    label: str = ""
    note: str = ""


def pieces(text: str, steps: Sequence[SampleStep], other: str) -> list[Piece]:
    """Cuts a path at the spans of its steps; put together again, the pieces are the path.

    Spans that overlap are cut short, empty ones or ones outside of the text are left out.

    Args:
        text: The path.
        steps: Its steps, with spans in code points and their partners.
        other: Whose steps the partners are, for tooltips: ``teacher`` or ``student``.
    """
    found: list[Piece] = []
    at = 0
    for step in sorted(steps, key=lambda step: (step.start, step.end)):
        start, end = max(step.start, at), min(step.end, len(text))
        if start >= end:
            continue
        if start > at:
            found.append(Piece(text[at:start]))
        # Space around a step is not part of it, so that marks do not hang over.
        body = text[start:end]
        head, tail = len(body) - len(body.lstrip()), len(body.rstrip())
        if tail == 0:
            found.append(Piece(body))
        else:
            if head:
                found.append(Piece(body[:head]))
            found.append(Piece(body[head:tail], *_mark(step, other)))
            if body[tail:]:
                found.append(Piece(body[tail:]))
        at = end
    if at < len(text):
        found.append(Piece(text[at:]))
    return found


def _mark(step: SampleStep, other: str) -> tuple[Mark, str, str]:
    if step.partner is None:
        return "alone", "", f"no step of the {other} goes with this one"
    label = str(step.partner + 1)
    note = f"goes with the {other}'s step {label}"
    verdict = step.verdict
    if verdict is None:
        return "same", label, note
    said = [
        f"{name} {value:.2f}"
        for name, value in (
            ("same intent", verdict.p_intent),
            ("same sub-problem", verdict.p_sub_problem),
            ("equal answer", verdict.p_answer),
        )
        if value is not None
    ]
    if said:
        note += f" ({', '.join(said)})"
    differs = verdict.p_answer is not None and verdict.p_answer < SURE
    return ("differs" if differs else "same"), label, note
