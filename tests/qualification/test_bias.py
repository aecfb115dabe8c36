from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from rlkd.qualification.bias import certainly_different, unrelated_pairs, yes_bias
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import PairVerdict, StepPair
from schemas.structure import Calculation, ReasoningStep

STEP = ReasoningStep(
    index=0,
    sub_problem="How many eggs?",
    answer="9",
    quantities=("16", "7"),
    calculations=(Calculation(value=9, text="16-7=9"),),
)


def other(**changes: object) -> ReasoningStep:
    values = {
        "sub_problem": "What is the price?",
        "answer": "30",
        "quantities": ("5", "6"),
        "calculations": (Calculation(value=30, text="5*6=30"),),
    }
    return replace(STEP, **{**values, **changes})


def test_steps_are_certainly_different_where_they_share_nothing() -> None:
    assert certainly_different(STEP, other())
    assert not certainly_different(STEP, other(sub_problem="how many  EGGS?"))
    assert not certainly_different(STEP, other(answer="9"))
    assert not certainly_different(STEP, other(quantities=("7", "6")))
    assert not certainly_different(STEP, other(calculations=(Calculation(value=46, text="30+16=46"),)))
    assert not certainly_different(STEP, other(answer="9.0 dollars"))


def test_pairs_are_of_different_problems() -> None:
    first = decompose_text("16 - 7 = 9 eggs are left.\nThat is 9 * 2 = 18.", problem="a")
    second = decompose_text("The price is 5 * 6 = 30.", problem="b")
    found = unrelated_pairs([("a", "math", first), ("b", "math", second)], 10, random.Random(0))
    assert len(found) == 10
    assert all({pair.teacher_step.answer, pair.student_step.answer} & {"30"} for pair in found)
    assert unrelated_pairs([("a", "math", first)], 10, random.Random(0)) == []
    assert unrelated_pairs([("a", "math", first), ("b", "logic", second)], 10, random.Random(0)) == []
    assert unrelated_pairs([], 10, random.Random(0)) == []


def test_yes_is_counted_question_by_question() -> None:
    class Judge:
        name = "table"

        async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
            return [PairVerdict(0.5, 0.4, 0.0), PairVerdict(0.1, 0.0, 1.0), None][: len(pairs)]

    found = asyncio.run(yes_bias(Judge(), [StepPair(STEP, other())] * 3))
    # The third pair has no verdict: means over two.
    assert [(row.question, row.n, row.mean, row.share) for row in found] == [
        ("intent", 2, 0.3, 0.5),
        ("sub_problem", 2, 0.2, 0.0),
        ("answer", 2, 0.5, 0.5),
    ]
    assert asyncio.run(yes_bias(Judge(), [])) == ()
