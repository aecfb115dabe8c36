"""The paper's rule, and the matching of two graphs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.graphs.items import Items
from rlkd.structure.interfaces import PairVerdict
from rlkd.structure.matching.align import align_prefix, align_structure

unit = st.floats(0, 1)
verdicts = st.builds(PairVerdict, unit, unit, unit)
matrices = st.integers(0, 5).flatmap(
    lambda n: st.lists(st.lists(verdicts, min_size=n, max_size=n), max_size=6)
)


def reference(matrix: list[list[PairVerdict]], threshold: float) -> float:
    """The paper's code, written out: r_i, gated, halved, halved, summed."""
    total = 0.0
    gate = 1.0
    for i in range(len(matrix)):
        if i < len(matrix[i]):
            cell = matrix[i][i]
            same = cell.p_intent >= threshold
        else:
            same = False
        gate = gate * (1.0 if same else 0.0)
        r = gate
        if r > 0:
            if not cell.p_sub_problem >= threshold:
                r = r * 0.5
            if not cell.p_answer >= threshold:
                r = r * 0.5
        total += r
    return total


@given(matrices, st.floats(0.01, 1))
def test_prefix_equals_the_reference_on_random_verdicts(
    matrix: list[list[PairVerdict]], threshold: float
) -> None:
    unbounded, credits = align_prefix(matrix, threshold, normalize=False)
    assert unbounded == pytest.approx(reference(matrix, threshold))
    assert sum(credits) == pytest.approx(unbounded)
    score, _ = align_prefix(matrix, threshold)
    assert score == pytest.approx(unbounded / len(matrix) if matrix else 0.0)
    assert 0 <= score <= 1


def test_prefix_by_hand() -> None:
    yes, other_answer = PairVerdict(1, 1, 1), PairVerdict(1, 1, 0)
    neither, left = PairVerdict(1, 0, 0), PairVerdict(0, 1, 1)
    matrix = [[yes] * 5, [other_answer] * 5, [neither] * 5, [left] * 5, [yes] * 5]
    # 1 + 1/2 + 1/4, then the branch is left: 1.75 of 5
    assert align_prefix(matrix) == (0.35, [1.0, 0.5, 0.25])
    assert align_prefix(matrix, normalize=False)[0] == 1.75


def items(depends: list[list[int]]) -> Items:
    """Items that say nothing of what they work from."""
    return Items(depends, [[] for _ in depends], [None] * len(depends))


def test_order_is_free_where_nothing_depends() -> None:
    # teacher 0, 1 independent, 2 uses both; the student swaps 0 and 1
    matching = align_structure(
        [(1.0, 0, 1), (1.0, 1, 0), (1.0, 2, 2)], items([[], [], [0, 1]]), items([[], [], [0, 1]])
    )
    assert matching.f1() == 1.0
    assert matching.order_breaks == 0


def test_a_step_before_what_it_uses_keeps_half() -> None:
    # the student takes teacher step 1 before step 0, which it uses: 1 and 1/2 of 2
    matching = align_structure([(1.0, 0, 1), (1.0, 1, 0)], items([[], [0]]), items([[], []]))
    assert matching.covered == [1.0, 0.5]
    assert matching.order_breaks == 1
    assert matching.f1() == 0.75


def test_the_strongest_candidates_are_matched_first_one_to_one() -> None:
    matching = align_structure(
        [(0.6, 0, 0), (1.0, 0, 1), (0.6, 1, 0), (0.9, 1, 1)], items([[], []]), items([[], []])
    )
    assert matching.pairs == {0: 1, 1: 0}
    assert matching.covered == [1.0, 0.6]


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 4), st.integers(0, 4)), max_size=20),
    st.lists(st.booleans(), min_size=10, max_size=10),
)
def test_credits_stay_in_bounds(candidates: list[tuple[float, int, int]], links: list[bool]) -> None:
    depends = [[d for d in range(i) if links[(i * (i - 1)) // 2 + d]] for i in range(5)]
    matching = align_structure(candidates, items(depends), items(depends))
    assert all(0 <= c <= 1 for c in matching.covered + matching.explained)
    assert 0 <= matching.f1() <= 1


def test_nothing_to_match() -> None:
    assert align_structure([], items([]), items([[]])).f1() == 0.0
    assert align_structure([], items([[]]), items([])).f1() == 0.0
