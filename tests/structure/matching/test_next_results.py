"""Where a path stands: open results, and what can come next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graphs.graph import Graph
from rlkd.structure.graphs.views import prepare_raw
from rlkd.structure.matching.next_results import Place, combined_results, compare_places, next_results
from rlkd.structure.reading.path import read_path

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9)


def graph_of(path: str, problem: str) -> Graph:
    return prepare_raw(path, read_path(path), problem_quantities(problem)).graph


def place(teacher: str, student: str, problem: str, families: tuple[str, str] = ("", "")) -> Place:
    ours, theirs = graph_of(teacher, problem), graph_of(student, problem)
    return compare_places(ours, theirs, problem_quantities(problem), [True] * len(theirs.units), families)


def test_identical_paths_stand_at_the_same_place() -> None:
    assert place("3 + 4 = 7", "3 + 4 = 7", "3 4 16") == Place(1.0, 1.0, 1.0)


def test_split_steps_lead_to_the_same_place() -> None:
    assert place("16 - 3 - 4 = 9", "3 + 4 = 7\n16 - 7 = 9", "16 3 4 2") == Place(1.0, 1.0, 1.0)


def test_other_steps_can_meet() -> None:
    # 3 * 3 = 9 then * 60, or 3 * 60 = 180 then * 3: both give 540
    problem = "3 sprints 3 times, 60 meters"
    found = place("3 * 3 = 9", "3 * 60 = 180", problem, ("product", "product"))
    assert (found.overlap, found.meet, found.reordered) == (0.0, 1.0, 1.0)
    assert found.branches > 0.0  # 540 is one of the results that are one operation away on both sides
    assert place("3 * 3 = 9", "3 + 60 = 63", problem, ("product", "sum")).reordered == 0.0
    # 5 * 5 + 6 * 5 = 55 = (5 + 6) * 5
    assert place("5 * 5 = 25\n6 * 5 = 30", "5 + 6 = 11", "5 6 5", ("product", "sum")).reordered == 1.0


def test_another_place() -> None:
    assert place("16 - 4 = 12", "16 + 5 = 21", "16 4 5 8").overlap == 0.0


def test_too_many_open_results_fall_back_to_those_that_are_known() -> None:
    student = "\n".join(f"{i} * {i} = {i * i}" for i in range(11, 20))
    assert place("12 * 12 = 144", student, "12") == Place(1.0, 1.0, 1.0)
    assert place("5 * 5 = 25", student, "12") == Place(0.0, 0.0, 0.0)


def test_results_one_operation_away() -> None:
    found = next_results([9.0], [2.0])
    assert {11.0, 7.0, -7.0, 18.0, 4.5, 0.222} <= found
    assert next_results([1.0, 2.0, 3.0], []) == {6.0, -4.0, -2.0, 0.0}


def test_combined_results_use_everything() -> None:
    found = combined_results([1.0, 2.0], [3.0])
    assert found["sum"] == {6.0, 0.0, 4.0, 2.0}  # 1 + 2 + 3, 1 + 2 - 3, |1 - 2 - 3|, |1 - 2 + 3|
    assert {6.0, 0.667, 1.5} <= found["product"]  # 1 * 2 * 3, 1 * 2 / 3, 1 / 2 * 3
    assert {9.0, 3.0, 1.0} <= found["both"]  # (1 + 2) * 3, |1 - 2| * 3, (1 + 2) / 3
    assert combined_results([1.0] * 4, [1.0] * 4) == {}  # too many


@given(numbers, st.lists(st.floats(-1e6, 1e6), max_size=9))
def test_results_are_finite(frontier: list[float], left: list[float]) -> None:
    for values in (next_results(frontier, left), *combined_results(frontier, left).values()):
        assert all(abs(value) < 1e13 for value in values)
