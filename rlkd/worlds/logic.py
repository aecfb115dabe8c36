"""Logic: who is in and who is out, by facts and by rules over others."""

from __future__ import annotations

from collections.abc import Callable

from rlkd.worlds.domain import Op
from rlkd.worlds.registry import register
from rlkd.worlds.world import World

_IN, _OUT = "in", "out"


def _rule(holds: Callable[[bool, bool], bool]) -> Callable[[tuple[str, ...], str], str | None]:
    def compute(values: tuple[str, ...], _constant: str) -> str | None:
        if any(v not in (_IN, _OUT) for v in values):
            return None
        return _IN if holds(values[0] == _IN, values[1] == _IN) else _OUT

    return compute


LOGIC = register(
    World(
        name="logic",
        given="{a} is {v}.",
        question="Is {a} in or out?",
        values=(_IN, _OUT),
        numeric=False,
        ops={
            "and": Op(
                "and",
                2,
                "{a} is in just when {b} and {c} are.",
                "{b} {x} and {c} {y}",
                _rule(lambda b, c: b and c),
            ),
            "or": Op(
                "or",
                2,
                "{a} is in just when {b} or {c} is.",
                "{b} {x} or {c} {y}",
                _rule(lambda b, c: b or c),
            ),
            "but not": Op(
                "but not",
                2,
                "{a} is in just when {b} but not {c} is.",
                "{b} {x} but not {c} {y}",
                _rule(lambda b, c: b and not c),
            ),
        },
    )
)
"""The logic domain; its rules are read as definitions."""
