"""A step as it is read off a path, before judges and schemas."""

from __future__ import annotations

from rlkd.structure.reading.calculation import Calc


class RawStep:
    """A step as read: its span, its calculations, and the span of the text that leads to it.

    Attributes:
        start, end: Span in the path, in code points.
        calcs: Calculations in order; empty for a step in words.
        kind: ``step``; ``check`` where it verifies earlier ones; ``retracted`` where a later one takes it back.
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
