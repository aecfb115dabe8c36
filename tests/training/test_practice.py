"""Which problems RL practises on, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.errors import DataError
from rlkd.training.practice import Practice, problem_order, shuffle_teachers
from schemas.problem import Problem
from schemas.structure import Structure


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.integers(0, 5))
def test_every_round_is_full_and_holds_no_problem_twice(
    count: int, per_round: int, rounds: int, seed: int
) -> None:
    order = problem_order(count, per_round, rounds, seed)
    assert len(order) == per_round * rounds
    assert set(order) <= set(range(count))
    assert order == problem_order(count, per_round, rounds, seed)
    if count >= per_round:
        for start in range(0, len(order), per_round):
            assert len(set(order[start : start + per_round])) == per_round


def test_a_pass_reaches_every_problem_before_any_comes_again() -> None:
    order = problem_order(12, 4, 6, seed=2)
    assert sorted(order[:12]) == sorted(order[12:]) == list(range(12))
    assert order[:12] != order[12:]
    assert problem_order(12, 4, 3, seed=2) == order[:12]  # a longer run begins the same
    assert problem_order(12, 4, 6, seed=3) != order


def test_shuffled_teachers_are_all_used_and_none_is_its_own() -> None:
    problems = [Problem(id=f"p{i}", question="q", answer="1", domain="math", split="train") for i in range(7)]
    teachers = {p.id: [Structure(trace_id=p.id)] for p in problems}
    practice = Practice(problems, teachers, 0, 0, {p.id: [f"path {p.id}"] for p in problems})
    for seed in range(20):
        shuffled = shuffle_teachers(practice, seed)
        given = {name: found[0].trace_id for name, found in shuffled.teachers.items()}
        assert sorted(given.values()) == sorted(given)
        assert all(own != other for own, other in given.items())
        assert all(shuffled.paths[own] == [f"path {other}"] for own, other in given.items())
    with pytest.raises(DataError, match="at least two problems"):
        shuffle_teachers(Practice(problems[:1], teachers, 0, 0), 0)
