"""Which steps without a match were taken inside of others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.decomposers.world import WorldDecomposer
from rlkd.structure.graphs.items import Items
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.matching.merged_steps import credit_merged_steps
from rlkd.structure.scorer import ScoreItem, StructureScorer
from schemas.structure import ReasoningStep, Structure


def items(
    depends: list[list[int]], given: list[list[float | str]], found: Sequence[float | str | None]
) -> Items:
    return Items(depends, given, found, depends, range(len(depends)))


EGGS = items([[], [0], [1]], [[3.0, 4.0], [16.0], [2.0]], [7.0, 9.0, 18.0])
"""3 + 4 = 7, 16 - 7 = 9, 9 * 2 = 18."""


def settled(pairs: dict[int, int], teacher: Items, student: Items) -> tuple[list[float], list[float]]:
    """Credits of both sides, matched items earning 1."""
    covered = [float(t in pairs) for t in range(len(teacher.found))]
    explained = [float(s in pairs.values()) for s in range(len(student.found))]
    credit_merged_steps(pairs, covered, explained, teacher, student)
    return covered, explained


def one(*given: float | str, found: float | str) -> Items:
    return items([[]], [list(given)], [found])


def test_a_merged_step_counts_where_its_own_quantities_are_used() -> None:
    assert settled({1: 0}, EGGS, one(16.0, 3.0, 4.0, found=9.0))[0] == [1, 1, 0]
    # (16 - 3 - 4) * 2 = 18 takes all three
    assert settled({2: 0}, EGGS, one(16.0, 3.0, 4.0, 2.0, found=18.0))[0] == [1, 1, 1]
    # (16 - 7) * 2 = 18 takes the last two and does not say where 7 comes from
    assert settled({2: 0}, EGGS, one(16.0, 7.0, 2.0, found=18.0))[0] == [0, 1, 1]


def test_a_step_that_starts_from_a_result_took_nothing_before_it() -> None:
    assert settled({2: 0}, EGGS, one(9.0, 2.0, found=18.0))[0] == [0, 0, 1]
    assert settled({2: 0}, EGGS, one(10.0, 8.0, found=18.0))[0] == [0, 0, 1]
    # 4 is there, 3 is not: the step was not taken
    assert settled({1: 0}, EGGS, one(16.0, 4.0, 2.0, 1.0, found=9.0))[0] == [0, 1, 0]


def test_a_quantity_is_used_up_once() -> None:
    # 5 + 5 = 10, 10 + 5 = 15: one 5 is the last step's own, so that only one is left of 5 + 10
    twice = items([[], [0]], [[5.0, 5.0], [5.0]], [10.0, 15.0])
    assert settled({1: 0}, twice, one(5.0, 5.0, 5.0, found=15.0))[0] == [1, 1]
    assert settled({1: 0}, twice, one(5.0, 5.0, found=15.0))[0] == [0, 1]


def test_split_steps_are_explained_and_invented_ones_are_not() -> None:
    whole = one(16.0, 3.0, 4.0, found=9.0)
    split = items([[], [0]], [[3.0, 4.0], [16.0]], [7.0, 9.0])
    invented = items([[], [0]], [[2.0, 5.0], [16.0]], [7.0, 9.0])
    assert settled({0: 1}, whole, split)[1] == [1, 1]
    assert settled({0: 1}, whole, invented)[1] == [0, 1]


def test_other_steps_between_the_same_quantities() -> None:
    # 3 * 3 = 9, 9 * 60 = 540; the student 3 * 60 = 180, 180 * 3 = 540
    teacher = items([[], [0]], [[3.0, 3.0], [60.0]], [9.0, 540.0])
    student = items([[], [0]], [[3.0, 60.0], [3.0]], [180.0, 540.0])
    assert settled({1: 1}, teacher, student) == ([1, 1], [1, 1])


def test_steps_that_name_nothing_are_never_merged() -> None:
    words = items([[], [0]], [[], []], ["a", "b"])
    assert settled({1: 0}, words, one(found="b"))[0] == [0, 1]
    # fractions are the same up to rounding
    third = items([[], [0]], [[33.333333, 2.0], [16.0]], [66.666667, 82.666667])
    assert settled({1: 0}, third, one(33.33, 2.0, 16.0, found=82.66))[0] == [1, 1]


def structure(steps: Sequence[int]) -> Structure:
    """Steps that each use all before them and name no quantities."""
    made = [
        ReasoningStep(index=i, sub_problem=f"q{k}", answer=f"a{k}", depends_on=tuple(range(i)))
        for i, k in enumerate(steps)
    ]
    return Structure(steps=tuple(made))


class _Reader:
    name = "reader@1"

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        return [structure([int(x) for x in item.path.split()]) for item in items]


class _Knowing:
    """A judge that is always right."""

    name = "knowing@1"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        same = [float(p.teacher_step.sub_problem == p.student_step.sub_problem) for p in pairs]
        return [PairVerdict(p, p, p) for p in same]


def judged(teacher: Sequence[int], student: Sequence[int]) -> float:
    items = [ScoreItem("", (structure(teacher),), " ".join(map(str, student)))]
    [found] = asyncio.run(StructureScorer(_Reader(), _Knowing()).score(items))
    assert found is not None
    return found.structure


def test_brevity_does_not_pay_with_a_judge() -> None:
    chain = range(6)
    assert judged(chain, chain) == 1.0
    # the last of 6 alone keeps its share, 1/6; an invented step before it costs another 0.15
    assert judged(chain, [5]) == pytest.approx(1 / 6)
    assert judged(chain, [9, 5]) == pytest.approx(2**-0.15 / 6)
    assert judged(chain, [4, 5]) == pytest.approx(2 / 6)


@given(st.integers(1, 8), st.data())
def test_fewer_steps_score_less_with_a_judge(n: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, n - 1))
    end = data.draw(st.integers(start + 1, n))
    score = judged(range(n), range(start, end))
    kept = end - start
    assert score == pytest.approx(min(kept / n, 2 ** (-0.3 * (n - kept))))
    if kept > 1:
        assert judged(range(n), range(start + 1, end)) < score
        assert judged(range(n), range(start, end - 1)) < score


WORLD = """To find Hal, I need Cid and Val.
So Val: Ida 11 plus Dan 5 is 16.
So Cid: Mia 4 minus Quin 1 is 3.
So Hal: Cid 3 plus Val 16 is 19."""


def in_world(student: str) -> float:
    read = WorldDecomposer()
    [teacher] = asyncio.run(read.decompose([PathItem("", WORLD, "arithmetic")]))
    assert teacher is not None
    [found] = asyncio.run(
        StructureScorer(read, RulesJudge()).score([ScoreItem("", (teacher,), student, "arithmetic")])
    )
    assert found is not None
    return found.structure


def test_brevity_does_not_pay_in_the_world() -> None:
    lines = WORLD.split("\n")
    assert in_world(WORLD) == 1.0
    assert in_world("\n".join(lines[1:3])) == pytest.approx(2 / 3)  # two of three
    assert in_world(lines[3]) == pytest.approx(1 / 3)  # with no word of why: intent is the question
    # from other quantities it is half a step, on either side: 1/6, and half an extra step
    assert in_world("So Hal: Dan 5 plus Mia 14 is 19.") == pytest.approx(2 ** (-0.15 / 2) / 6)
