"""Calculations that go without saying."""

from __future__ import annotations

import asyncio

import pytest

from rlkd.answers.conventions import read_any
from rlkd.rewards.texts import TextSample, TextScorer
from rlkd.structure.backends.cached import CachedDecomposer
from rlkd.structure.decomposers.rules import RulesDecomposer, decompose_text
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import StructureScorer, score_paths


def implied(path: str, problem: str) -> list[tuple[tuple[float, ...], str, float]]:
    return [
        (c.operands, c.operation, c.value)
        for step in decompose_text(path, problem=problem).steps
        for c in step.calculations
    ]


@pytest.mark.parametrize(
    ("path", "problem", "found"),
    [
        ("There were 3 raccoons. 2 went home, so only 1 is left. The answer is 1.", "3 raccoons play, 2 go home.", [((3.0, 2.0), "-", 1.0)]),
        ("They scored 3 touchdowns of 7 points. This means 21 points. The answer is 21.", "three touchdowns worth 7", [((7.0, 3.0), "*", 21.0)]),
        ("She baked 574 cookies. The answer is 574.", "435 yesterday, 139 today", [((435.0, 139.0), "+", 574.0)]),
        ("32 paintings go into 4 rooms. Each room gets 8. The answer is 8.", "32 paintings, four rooms", [((32.0, 4.0), "/", 8.0)]),
        ("She has 500 left. The answer is 500.", "3 eggs and 4 ducks", []),  # no operation makes 500 of 3 and 4
        ("They still have 18 left. The answer is 18.", "36 turkeys, 18 given away", []),  # the problem says 18 itself
        ("Frost needs 3 cold nights of 9, so 6 are warm. So the answer is no.", "", []),  # comes to no number
        ("Frost needs 3 cold nights of 9. So 6 are warm.", "", [((9.0, 3.0), "-", 6.0)]),  # states none, cut off or not
        ("The 7 days end on 05/03/2021. They began 2 earlier, 5 days ago.", "", []),  # 7 - 2, but of days
    ],
)  # fmt: skip
def test_what_a_sentence_implies(
    path: str, problem: str, found: list[tuple[tuple[float, ...], str, float]]
) -> None:
    assert implied(path, problem) == found


def test_a_path_that_calculates_implies_nothing_more() -> None:
    path = "She has 3 + 4 = 7 eggs. With 2 more she has 9. The answer is 9."
    assert implied(path, "3 and 4, then 2 more") == [((3.0, 4.0), "+", 7.0)]


def test_said_or_implied_the_step_is_the_same() -> None:
    problem = "3 raccoons are playing. 2 go home. How many are left?"
    teacher = "There were 3 raccoons. 2 went home, so there is 3 - 2 = 1 raccoon left. The answer is 1."
    right = score_paths(
        problem, [teacher], "There were 3 raccoons. 2 went home, so only 1 is left. The answer is 1."
    )
    wrong = score_paths(
        problem, [teacher], "There were 3 raccoons. 2 went home, so only 9 are left. The answer is 9."
    )
    bare = score_paths(problem, [teacher], "The answer is 1.")
    assert right is not None and wrong is not None and bare is not None
    assert right.structure > 0.98 and wrong.structure == bare.structure == 0.0


APPLES = "Tom has three apples.\nHe buys two.\nSo he has five apples.\n#### 5"
OWNS = "Tom had three apples.\nHe bought two.\nNow he owns five apples."


@pytest.mark.parametrize("stated", ["", "\n#### 5", "\n#### 9", "\nThe answer is 5."])
def test_a_stated_number_does_not_decide_what_a_path_implies(stated: str) -> None:
    read = read_any(OWNS + stated)
    sample = TextSample(PathItem("", read.path, "math", read.answer), (APPLES,))
    (score,) = asyncio.run(TextScorer(StructureScorer()).score([sample]))
    # 2 + 3 = 5 is taken: 1, halved for 0.01 of cost, half of the most for other words (0.02): 2 ** -0.01 = 0.99309.
    # It was 0.0 where the completion stated no number, as one that is cut off before it.
    assert score is not None and score.structure == pytest.approx(2**-0.01)


def test_one_path_is_read_alike_whatever_stands_beside_it_and_whatever_was_read_before() -> None:
    items = [PathItem("", OWNS, answer=answer) for answer in (None, "5", "9", "no", "(b)")]
    alone = asyncio.run(RulesDecomposer().decompose(items))
    cached = asyncio.run(CachedDecomposer(RulesDecomposer()).decompose(items))
    assert alone[0] is not None and len(alone[0].steps) == 3
    assert all(found is not None and found.steps == alone[0].steps for found in (*alone, *cached))
