"""The same calculation in another order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.graph import PathGraph
from rlkd.structure.matching.credits import Matching
from rlkd.structure.matching.reordering import combined_results, left_over, same_in_another_order

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9)


def unmatched(teacher: str, student: str, problem: str) -> float:
    """How sure it is that two paths no step of which is matched are the same in another order."""
    teacher_path, student_path = (
        PathGraph(decompose_text(path, problem=problem), problem) for path in (teacher, student)
    )
    none = Matching({}, [0.0] * len(teacher_path.graph.nodes), [0.0] * len(student_path.graph.nodes))
    return same_in_another_order(none, teacher_path, student_path)


@pytest.mark.parametrize(
    ("teacher", "student", "problem", "sure"),
    [
        # 3 * 3 = 9 then * 60, or 3 * 60 = 180 then * 3: both give 540
        ("3 * 3 = 9", "3 * 60 = 180", "3 sprints 3 times, 60 meters", 1.0),
        ("3 * 3 = 9", "3 + 60 = 63", "3 sprints 3 times, 60 meters", 0.0),
        # 5 * 5 + 6 * 5 = 55 = (5 + 6) * 5
        ("5 * 5 = 25\n6 * 5 = 30", "5 + 6 = 11", "5 6 5", 1.0),
        # nothing is left on either side: nothing is another order of anything
        ("3 * 3 = 9", "3 * 3 = 9", "3 3", 0.0),
        # 2 and 2 are no quantities of the problem
        ("3 * 3 = 9", "3 * 60 = 180\n2 * 2 = 4", "3 sprints 3 times, 60 meters", 0.0),
    ],
)
def test_other_steps_can_meet(teacher: str, student: str, problem: str, sure: float) -> None:
    assert unmatched(teacher, student, problem) == sure


def test_too_many_open_results_say_nothing() -> None:
    student = "\n".join(f"{i} * {i} = {i * i}" for i in range(11, 20))
    assert unmatched("12 * 12 = 144", student, "12") == 0.0


def test_combined_results_use_everything() -> None:
    found = combined_results([1.0, 2.0], [3.0])
    assert found["sum"] == {6.0, 0.0, 4.0, 2.0}  # 1 + 2 + 3, 1 + 2 - 3, |1 - 2 - 3|, |1 - 2 + 3|
    assert {6.0, 0.667, 1.5} <= found["product"]  # 1 * 2 * 3, 1 * 2 / 3, 1 / 2 * 3
    assert {9.0, 3.0, 1.0} <= found["both"]  # (1 + 2) * 3, |1 - 2| * 3, (1 + 2) / 3
    assert combined_results([1.0] * 4, [1.0] * 4) == {}  # too many


@given(numbers, st.lists(st.floats(-1e6, 1e6), max_size=9))
def test_results_are_finite(frontier: list[float], left: list[float]) -> None:
    for values in combined_results(frontier, left).values():
        assert all(abs(value) < 1e13 for value in values)


def test_left_over_quantities() -> None:
    # 3 and 4 are used; 12 is what the other path brought in
    assert left_over([3, 4], [3, 4, 16], [4, 12]) == [16, 12]
