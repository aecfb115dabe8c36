"""Everyday relations: when each person comes, before, after or together with others."""

from __future__ import annotations

from rlkd.worlds.domain import Op
from rlkd.worlds.registry import register
from rlkd.worlds.world import World


def _later(values: tuple[str, ...], _constant: str) -> str | None:
    return str(max(int(v) for v in values))


def _earlier(values: tuple[str, ...], _constant: str) -> str | None:
    return str(min(int(v) for v in values))


def _after(values: tuple[str, ...], constant: str) -> str | None:
    return str(int(values[0]) + int(constant))


def _before(values: tuple[str, ...], constant: str) -> str | None:
    return str(int(values[0]) - int(constant)) if int(values[0]) >= int(constant) else None


_HOURS = ("2", "3", "4", "5")

RELATIONS = register(
    World(
        name="relations",
        given="{a} comes at {v}.",
        question="When does {a} come?",
        ops={
            "later": Op(
                "later", 2, "{a} comes with the later of {b} and {c}.", "later of {b} {x} and {c} {y}", _later
            ),
            "earlier": Op(
                "earlier",
                2,
                "{a} comes with the earlier of {b} and {c}.",
                "earlier of {b} {x} and {c} {y}",
                _earlier,
            ),
            "after": Op("after", 1, "{a} comes {k} hours after {b}.", "{b} {x} later by {k}", _after, _HOURS),
            "before": Op(
                "before", 1, "{a} comes {k} hours before {b}.", "{b} {x} earlier by {k}", _before, _HOURS
            ),
        },
    )
)
"""The relations domain: times of the day in whole hours from 0."""
