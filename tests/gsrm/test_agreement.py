"""Agreement of decompositions with a reference, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.gsrm.agreement import Compared, figures
from schemas.structure import ReasoningStep

PATH = "aa. bb. cc. dd."


def step(
    index: int, place: int, sub: str = "q", answer: str = "1", depends: tuple[int, ...] = (), **more: Any
) -> ReasoningStep:
    """A step over the ``place``-th pair of letters."""
    values = {"start": 4 * place, "end": 4 * place + 2, **more}
    return ReasoningStep(index=index, sub_problem=sub, answer=answer, depends_on=depends, **values)


REFERENCE = [step(0, 0), step(1, 1, depends=(0,)), step(2, 2, depends=(0, 1))]


def measured(*found: list[ReasoningStep] | None) -> Any:
    items = [Compared(f"p{i}", PATH, REFERENCE, steps) for i, steps in enumerate(found)]
    return figures(items, resamples=200)


def test_the_same_steps_agree_but_for_case_blanks_and_final_punctuation() -> None:
    other = [
        step(0, 0, sub=" Q ", end=3),  # with its full stop
        step(1, 1, answer="1.", depends=(0,), start=3),  # with the blank before it
        step(2, 2, depends=(0, 1)),
    ]
    own = measured(other)
    assert own.step.mean == own.boundary.mean == own.exact == own.depends_on == 1.0
    assert own.failed == 0.0 and own.steps == 3


def test_each_part_counts_for_itself() -> None:
    found = [step(0, 0, sub="other"), step(1, 1, answer="2"), step(2, 3), step(3, 2, depends=(0,))]
    own = measured(found)
    # 3 in the reference, 4 found. Spans: 0, 1, 2 are there, 3 is not: 2*3/7. Sub-problems: 1 and 2: 2*2/7.
    # Answers: 0 and 2: 2*2/7. All three: only the last: 2*1/7. It depends on steps 0 and 1, and names only 0.
    assert own.boundary.mean == pytest.approx(6 / 7)
    assert own.sub_problem.mean == own.answer.mean == pytest.approx(4 / 7)
    assert own.step.mean == pytest.approx(2 / 7)
    assert own.depends_on == 0.0 and own.exact == 0.0


def test_a_path_that_was_not_decomposed_finds_nothing() -> None:
    own = measured(None, list(REFERENCE))
    # 3 of 3 + 3 + 3 (two references, one decomposition): 2*3/9.
    assert own.step.mean == pytest.approx(6 / 9)
    assert own.failed == 0.5 and own.exact == 0.5
    assert own.step.low < own.step.mean < own.step.high == 1.0 and own.step.n == 2


def test_a_step_found_twice_counts_once() -> None:
    own = measured([*REFERENCE, step(3, 2)])
    assert own.step.mean == pytest.approx(6 / 7)
    assert own.exact == 0.0


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    own = figures([Compared("p", PATH, [], [])], resamples=100)
    assert own.step.mean == own.exact == 1.0 and own.depends_on is None
    assert figures([Compared("p", PATH, [], [step(0, 0)])], resamples=100).step.mean == 0.0
    with pytest.raises(ValueError, match="at least one"):
        figures([])


_STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("qr"), st.sampled_from("12")), max_size=5)


@pytest.mark.slow
@given(a=_STEPS, b=_STEPS)
def test_it_is_symmetric_bounded_and_all_parts_are_no_easier_than_one(a: Any, b: Any) -> None:
    left, right = ([step(i, *values) for i, values in enumerate(rows)] for rows in (a, b))
    one = figures([Compared("p", PATH, left, right)], resamples=100)
    two = figures([Compared("p", PATH, right, left)], resamples=100)
    assert one.step.mean == two.step.mean
    assert 0 <= one.step.mean <= min(one.sub_problem.mean, one.answer.mean) <= one.boundary.mean <= 1
