"""Arithmetic: how many pens each person has, as sums, differences and products of others."""

from __future__ import annotations

from rlkd.worlds.domain import Op
from rlkd.worlds.registry import register
from rlkd.worlds.world import World


def _plus(values: tuple[str, ...], _constant: str) -> str | None:
    return str(int(values[0]) + int(values[1]))


def _minus(values: tuple[str, ...], _constant: str) -> str | None:
    return str(int(values[0]) - int(values[1])) if int(values[0]) >= int(values[1]) else None


ARITHMETIC = register(
    World(
        name="arithmetic",
        given="{a} has {v} pens.",
        question="How many pens does {a} have?",
        ops={
            "plus": Op("plus", 2, "{a} has as many pens as {b} plus {c}.", "{b} {x} plus {c} {y}", _plus),
            "minus": Op(
                "minus", 2, "{a} has as many pens as {b} minus {c}.", "{b} {x} minus {c} {y}", _minus
            ),
        },
    )
)
"""The arithmetic domain."""
