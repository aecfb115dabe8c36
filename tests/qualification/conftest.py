"""Labelled pairs small enough to score by hand, and what a qualification that is good in everything found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rlkd.qualification.pairs import Labelled
from rlkd.qualification.variants import EXPECTED
from schemas.qualification import (
    Auroc,
    Cost,
    LabelledPair,
    Qualification,
    Repeatability,
    Sensitivity,
    Separation,
    YesBias,
)


def make_pairs(count: int = 24) -> Labelled:
    """Of each problem the right path, in other words, and one that goes wrong in its first step."""
    pairs: list[LabelledPair] = []
    for i in range(count // 2):
        a, b, c = 11 + 7 * i, 3 + i, 2 + (i % 5)
        first, total = a + b, (a + b) * c
        problem = f"Box {i} holds {a} pens and {b} pencils. There are {c} such boxes. How many things?"
        teacher = f"One box holds {a} + {b} = {first} things.\nAll boxes hold {first} * {c} = {total} things.\nHalf is {total} / 2 = {total / 2:g}."
        right = f"Each box has {a} + {b} = {first}.\nSo there are {first} * {c} = {total}.\nThat makes {total} / 2 = {total / 2:g}."
        wrong = f"Each box has {a} - {b} = {a - b}.\nSo there are {a - b} * {c} = {(a - b) * c}.\nThat makes {(a - b) * c} / 2 = {(a - b) * c / 2:g}."
        for student, good in ((right, True), (wrong, False)):
            pairs.append(
                LabelledPair(group=str(i), problem=problem, teachers=(teacher,), student=student, right=good)
            )
    return Labelled(tuple(pairs), "made up")


def good(**changes: Any) -> Qualification:
    """A qualification that meets every default threshold."""
    part = Separation(
        pairs=200,
        right=90,
        structure=Auroc(value=0.95, low=0.92, high=0.97),
        baselines={"length": Auroc(value=0.6, low=0.5, high=0.7)},
        best_baseline="length",
        gap=Auroc(value=0.35, low=0.3, high=0.4),
    )
    falls = {
        name: Sensitivity(change=name, expected=expected, n=80, share=1.0, mean_before=0.9, mean_after=0.4)
        for name, expected in EXPECTED.items()
    }
    falls["empty"] = falls["empty"].model_copy(update={"mean_after": 0.0})
    values: dict[str, Any] = {
        "source": "made up",
        "decomposer": "rules@1",
        "judge": "rules@1",
        "alignment": "structure",
        "pairs": 200,
        "right": 90,
        "full": part,
        "hidden": part,
        "sensitivities": tuple(falls.values()),
        "yes_bias": tuple(
            YesBias(question=name, n=50, mean=0.05, share=0.02)
            for name in ("intent", "sub_problem", "answer")
        ),
        "repeatability": Repeatability(n=64, unchanged=1.0, identical=1.0, largest=0.0),
        "paths": 290,
        "parse_failures": 1,
        "scored": 1000,
        "missing": 2,
        "cost": Cost(
            completions=64, seconds=1.5, requests=300, prompt_tokens=9000.0, completion_tokens=400.0
        ),
    }
    return Qualification(**{**values, **changes})


@pytest.fixture
def labelled() -> Callable[..., Labelled]:
    return make_pairs


@pytest.fixture
def figures() -> Callable[..., Qualification]:
    return good
