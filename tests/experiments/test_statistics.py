"""Holm and equivalence, against values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.experiments.statistics import holm, is_equivalent


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.03, 0.04: 3 x 0.01 = 0.03; 2 x 0.03 = 0.06; 1 x 0.04 = 0.04, which may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.7, 0.6]) == [1.0, 1.0]  # 2 x 0.6 is at most 1
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(p <= c <= 1 for p, c in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_equivalence_needs_the_whole_interval_within_the_margin() -> None:
    assert is_equivalent((-0.01, 0.019), 0.02, 400)
    assert not is_equivalent((-0.01, 0.02), 0.02, 400)
    assert not is_equivalent((-0.03, 0.01), 0.02, 400)


def test_few_pairs_that_all_agree_show_no_equivalence() -> None:
    # Rule of three: -ln(0.05) = 3.0, so 3.0 / 0.02 = 149.8 pairs are needed for 2 points.
    assert not is_equivalent((0.0, 0.0), 0.02, 149)
    assert is_equivalent((0.0, 0.0), 0.02, 150)
