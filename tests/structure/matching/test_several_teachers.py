"""Several teacher paths as one graph: a student may leave one teacher's branch for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.decomposers.rules import RulesDecomposer, decompose_text
from rlkd.structure.graph import PathGraph
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.structure.matching.several_teachers import MAX_WALKS, other_walks
from rlkd.structure.scorer import ScoreItem, StructureScorer, score_paths

PROBLEM = "Numbers 3 4 2 5 6 10"
SHORT = "3 + 4 = 7\n7 * 2 = 14\n5 + 6 = 11\n11 * 10 = 110\n14 + 110 = 124"
LONG = "4 * 2 = 8\n3 * 2 = 6\n8 + 6 = 14\n5 * 10 = 50\n6 * 10 = 60\n50 + 60 = 110\n14 + 110 = 124"
# 14 as the first teacher finds it, 110 as the second does: a walk that neither took
MIXED = "3 + 4 = 7\n7 * 2 = 14\n5 * 10 = 50\n6 * 10 = 60\n50 + 60 = 110\n14 + 110 = 124"
CLOUDS = "The sky holds grey clouds today.\nSo rain will fall soon.\nRivers rise after heavy storms.\nThe bridge must be closed to traffic."
PILLARS = "The barometer dropped sharply overnight.\nSo rain will fall soon.\nEngineers measured weak pillars underneath.\nThe bridge must be closed to traffic."
BOTH = "The sky holds grey clouds today.\nSo rain will fall soon.\nEngineers measured weak pillars underneath.\nThe bridge must be closed to traffic."


def score(student: str, teachers: Sequence[str], problem: str = PROBLEM) -> float:
    found = score_paths(problem, list(teachers), student)
    assert found is not None
    return found.structure


def walks(teachers: Sequence[str], problem: str = PROBLEM) -> list[list[tuple[int, int]]]:
    paths = [PathGraph(decompose_text(teacher, problem=problem), problem) for teacher in teachers]
    return [list(walk.origin) for walk in other_walks(paths)]


def test_a_student_who_mixes_two_teachers_scores_as_a_teacher_does() -> None:
    assert score(MIXED, [SHORT]) < 0.9 and score(MIXED, [LONG]) < 0.9
    assert score(MIXED, [SHORT, LONG]) == 1.0
    # three of four steps, and one extra
    assert score(BOTH, [CLOUDS], "") == pytest.approx(0.75 * 2**-0.15)
    assert score(BOTH, [CLOUDS, PILLARS], "") == 1.0


@pytest.mark.parametrize("lines", range(1, 6))
def test_an_unfinished_mixture_scores_as_against_that_walk(lines: int) -> None:
    part = "\n".join(MIXED.split("\n")[:lines])
    assert score(part, [SHORT, LONG]) == score(part, [SHORT, LONG, MIXED])


def test_the_walks_are_those_that_no_teacher_took() -> None:
    # 14 and 110 can each be found in two ways: 4 walks, 2 of them the teachers' own
    found = walks([SHORT, LONG])
    assert sorted(sorted(walk) for walk in found) == [
        [(0, 0), (0, 1), (0, 4), (1, 3), (1, 4), (1, 5)],
        [(0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)],
    ]
    for walk in found:  # what a step uses comes before it
        assert walk[-1] == (0, 4)


def test_the_report_names_the_teacher_of_every_step() -> None:
    found = score_paths(PROBLEM, [SHORT, LONG], MIXED)
    assert found is not None
    places = [(step.teacher_path, step.teacher_step) for step in found.steps]
    assert places == [(0, 0), (0, 1), (1, 3), (1, 4), (1, 5), (0, 4)]
    assert (found.teacher_steps, found.student_steps) == (6, 6)


def test_teachers_without_a_common_sub_problem_are_not_mixed() -> None:
    assert walks(["3 + 4 = 7\n7 * 2 = 14", "5 * 10 = 50\n50 - 6 = 44"]) == []
    assert walks([SHORT, SHORT]) == []
    assert walks([SHORT, ""]) == []


def test_ways_that_go_round_in_a_circle_are_no_walk() -> None:
    one = "6 * 2 = 12\n12 / 4 = 3\n12 + 3 = 15"
    other = "5 - 2 = 3\n3 * 4 = 12\n12 + 3 = 15"
    # 12 from 6 and 3 from 5 is a walk; 12 from 3 with 3 from 12 would go round in a circle
    assert [sorted(walk) for walk in walks([one, other], "Numbers 6 2 5 4")] == [[(0, 0), (0, 2), (1, 0)]]


def test_the_number_of_walks_is_bounded() -> None:
    one = "\n".join(
        f"{i} + {i + 1} = {2 * i + 1}\n{2 * i + 1} * 1000 = {(2 * i + 1) * 1000}" for i in range(11, 41)
    )
    other = "\n".join(
        f"{i - 1} + {i + 2} = {2 * i + 1}\n{2 * i + 1} * 1000 = {(2 * i + 1) * 1000}" for i in range(11, 41)
    )
    assert len(walks([one, other], "")) == MAX_WALKS


class _Judge:
    """Same text, same step; counts what it was asked."""

    name = "same@1"

    def __init__(self) -> None:
        self.asked = 0

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        self.asked += len(pairs)
        same = [float(p.teacher_step.sub_problem == p.student_step.sub_problem) for p in pairs]
        return [PairVerdict(value, value, value) for value in same]


def test_any_judge_sees_the_teachers_own_steps_only() -> None:
    structures = tuple(decompose_text(text) for text in (CLOUDS, PILLARS))
    judge = _Judge()
    [found] = asyncio.run(
        StructureScorer(RulesDecomposer(), judge).score([ScoreItem(PathItem("", BOTH), structures)])
    )
    assert found is not None and found.structure == 1.0
    assert judge.asked == 2 * 4 * 4


def test_the_rules_decomposer_scores_alike_in_batches_and_at_once() -> None:
    structures = tuple(decompose_text(text, problem=PROBLEM) for text in (SHORT, LONG))
    item = ScoreItem(PathItem(PROBLEM, MIXED), structures)

    class Reader(RulesDecomposer):
        async def decompose(self, items: Sequence[PathItem]) -> list[object]:  # type: ignore[override]
            return list(await super().decompose(items))

    [found] = asyncio.run(StructureScorer(Reader()).score([item]))
    assert found == StructureScorer().score_now(item)


@st.composite
def sums(draw: st.DrawFn) -> list[str]:
    """Lines whose steps use given numbers and earlier results."""
    known = draw(st.lists(st.integers(2, 12), min_size=2, max_size=4))
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        a, b = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        op = draw(st.sampled_from("+*"))
        value = a + b if op == "+" else a * b
        lines.append(f"That makes {a} {op} {b} = {value} of them.")
        known.append(value)
    return lines


@pytest.mark.slow
@given(sums(), sums(), sums(), st.integers(0, 6), st.integers(1013, 1999))
def test_more_teachers_never_hurt_and_added_steps_never_help(
    one: list[str], other: list[str], student: list[str], at: int, a: int
) -> None:
    teachers = ["\n".join(one), "\n".join(other)]
    together = score("\n".join(student), teachers, "")
    assert max(score("\n".join(student), [t], "") for t in teachers) - 1e-9 <= together <= 1.0
    padded = [*student[:at], f"Far away, {a} * 977 = {a * 977} pebbles lie there.", *student[at:]]
    assert score("\n".join(padded), teachers, "") <= together + 1e-9
    repeated = [*student, student[at % len(student)]]
    assert score("\n".join(repeated), teachers, "") <= together + 1e-9


def test_a_walk_that_leaves_out_the_end_of_a_teacher_in_words() -> None:
    longer = "The sky holds grey clouds today.\nSo rain will fall soon.\nZebras graze on open plains."
    shorter = "The barometer dropped sharply overnight.\nSo rain will fall soon."
    # what the second comes to, by the first one's way: its first two steps are a walk of their own
    assert [(0, 0), (0, 1)] in [sorted(walk) for walk in walks([longer, shorter], "")]
    student = "The sky holds grey clouds today.\nSo rain will fall soon.\nThe zoo is closed."
    # all of that walk, and one step extra
    assert score(student, [longer, shorter], "") == pytest.approx(2**-0.15)
