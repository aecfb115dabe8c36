"""The rules judge: values, quantities, wording."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.interfaces import StepPair
from rlkd.structure.judges.rules import RulesJudge, judge_steps, operand_overlap, wording
from rlkd.structure.reading.words.claims import content_words
from schemas.config.structure import RulesJudgeConfig
from schemas.structure import ReasoningStep

JUDGE = RulesJudge()


def verdict(teacher: str, student: str) -> tuple[float, float, float]:
    """Verdict on the first steps of two paths."""
    pair = StepPair(decompose_text(teacher).steps[0], decompose_text(student).steps[0])
    found = judge_steps(pair.teacher_step, pair.student_step)
    return found.p_intent, found.p_sub_problem, found.p_answer


def test_the_same_calculation_in_other_words() -> None:
    assert verdict("She makes 9 * 2 = 18 dollars", "So 2 x 9 = $18 are earned") == (1.0, 1.0, 1.0)


def test_the_same_result_by_other_quantities() -> None:
    # no operand in common: 0.6; one of two: 0.6 + 0.4 * 1/2
    assert verdict("9 * 2 = 18", "20 - 2 = 18") == (1.0, 0.8, 1.0)
    assert verdict("9 * 2 = 18", "10 + 8 = 18") == (1.0, 0.6, 1.0)


def test_the_same_sub_problem_with_a_wrong_result() -> None:
    assert verdict("9 * 2 = 18", "9 * 2 = 19") == (1.0, 1.0, 0.0)


def test_another_operation_is_another_step() -> None:
    intent, sub_problem, answer = verdict("The eggs: 9 * 2 = 18", "The ducks: 9 + 2 = 11")
    assert intent < 0.5 and sub_problem < 0.5 and answer == 0.0


def test_fraction_and_percentage_are_the_same_result() -> None:
    assert verdict("12 / 20 = 60%", "12 / 20 = 0.6")[2] == 1.0


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("What is Bob?", "What is Bob?", True),
        ("What is Bob?", "What is Ann?", False),
        ("How old is Ann?", "How old is Bob?", False),
        ("Caesar had three children.", "Julius Caesar had three children.", True),
    ],
)
def test_wording_tells_names_apart(a: str, b: str, same: bool) -> None:
    assert (wording(a, b) > 0.5) is same
    assert wording(a, b) == wording(b, a)


def test_named_quantities_and_text_answers() -> None:
    def step(question: str, answer: str, quantities: tuple[str, ...] = ("Ann", "3")) -> ReasoningStep:
        return ReasoningStep(
            index=0, sub_problem=question, answer=answer, quantities=quantities, operation="add"
        )

    def judge(a: ReasoningStep, b: ReasoningStep) -> tuple[float, float, float]:
        found = judge_steps(a, b)
        return found.p_intent, found.p_sub_problem, found.p_answer

    assert judge(step("What is Bob?", "5"), step("What is Bob?", "5")) == (1.0, 1.0, 1.0)
    assert judge(step("What is Bob?", "5"), step("What is Bob?", "6")) == (1.0, 1.0, 0.0)
    assert judge(step("What is Bob?", "5"), step("What is Cid?", "5"))[0] < 0.5
    # the same question from one of two quantities of three in all, or by another operation: 1/3, 1/2
    assert judge(step("What is Bob?", "5"), step("What is Bob?", "5", ("Ann", "4"))) == (
        1.0,
        pytest.approx(1 / 3),
        1.0,
    )
    other = replace(step("What is Bob?", "5"), operation="multiply")
    assert judge(step("What is Bob?", "5"), other) == (1.0, 0.5, 1.0)
    assert judge(step("What is Bob?", "5"), step("What is Bob?", "5", ("Zoe", "8"))) == (1.0, 0.0, 1.0)
    assert judge(step("What is Bob?", "true"), step("What is Bob?", "True."))[2] == 1.0
    assert judge(step("What is Bob?", "$1,200"), step("What is Bob?", "1200"))[2] == 1.0


def test_symbolic_answers_where_asked() -> None:
    a = ReasoningStep(index=0, sub_problem="Solve it", answer=r"\frac{1}{2}")
    b = ReasoningStep(index=0, sub_problem="Solve it", answer="0.5")
    assert judge_steps(a, b).p_answer == 0.0
    symbolic = RulesJudge(RulesJudgeConfig(type="rules", symbolic=True))
    assert asyncio.run(symbolic.judge([StepPair(a, b)]))[0].p_answer == 1.0


def test_operands_are_a_multiset() -> None:
    assert operand_overlap((3.0, 3.0), (3.0, 4.0)) == 0.5
    assert operand_overlap((), ()) == 1.0
    assert operand_overlap((3.0,), ()) == 0.0


def test_content_words_leave_out_small_words() -> None:
    assert content_words("She has the 12 eggs, twelve Eggs!") == {"eggs"}


def test_judges_in_order() -> None:
    steps = decompose_text("3 + 4 = 7\n5 * 5 = 25").steps
    pairs = [StepPair(steps[0], steps[0]), StepPair(steps[0], steps[1])]
    found = asyncio.run(JUDGE.judge(pairs))
    assert [v is not None and v.p_answer for v in found] == [1.0, 0.0]
