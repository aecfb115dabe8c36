"""The matching of two graphs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.graphs.items import Items
from rlkd.structure.matching.match_items import match_items


def items(depends: list[list[int]]) -> Items:
    """Items that say nothing of what they work from."""
    return Items(depends, [[] for _ in depends], [None] * len(depends), depends, range(len(depends)))


def test_order_is_free_where_nothing_depends() -> None:
    # teacher 0, 1 independent, 2 uses both; the student swaps 0 and 1
    matching = match_items(
        [(1.0, 0, 1), (1.0, 1, 0), (1.0, 2, 2)], items([[], [], [0, 1]]), items([[], [], [0, 1]])
    )
    assert matching.covered == [1.0, 1.0, 1.0]
    assert matching.order_breaks == 0


def test_a_step_before_what_it_uses_keeps_half() -> None:
    # the student takes teacher step 1 before step 0, which it uses: 1 and 1/2 of 2
    matching = match_items([(1.0, 0, 1), (1.0, 1, 0)], items([[], [0]]), items([[], []]))
    assert matching.covered == [1.0, 0.5]
    assert matching.order_breaks == 1


def test_the_strongest_candidates_are_matched_first_one_to_one() -> None:
    matching = match_items(
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
    matching = match_items(candidates, items(depends), items(depends))
    assert all(0 <= c <= 1 for c in matching.covered + matching.explained)


def test_nothing_to_match() -> None:
    assert match_items([], items([]), items([[]])).explained == [0.0]
    assert match_items([], items([[]]), items([])).covered == [0.0]
