from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.evaluation.stats import bootstrap_interval, paired_difference, pass_at_k

unit = st.floats(0, 1, allow_nan=False)


def test_interval_of_constant_values_is_a_point() -> None:
    found = bootstrap_interval([0.25] * 7)
    assert (found.mean, found.low, found.high, found.n) == (0.25, 0.25, 0.25, 7)


def test_interval_of_two_values_is_their_range() -> None:
    # Means of two draws from {0, 1}: 0 with chance 1/4, 1/2 with 1/2, 1 with 1/4; the 2.5% and 97.5%
    # quantiles are 0 and 1, those of a 40% interval (30% and 70%) are both 1/2.
    wide = bootstrap_interval([0.0, 1.0])
    assert (wide.mean, wide.low, wide.high) == (0.5, 0.0, 1.0)
    narrow = bootstrap_interval([0.0, 1.0], confidence=0.4)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_interval_agrees_with_the_normal_approximation() -> None:
    # 120 of 400 right: p = 0.3, standard error sqrt(0.3 * 0.7 / 400) = 0.0229, 1.96 of it 0.0449.
    found = bootstrap_interval([1.0] * 120 + [0.0] * 280, resamples=4000)
    assert found.mean == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - 0.0449, abs=0.006)
    assert found.high == pytest.approx(0.3 + 0.0449, abs=0.006)


def test_interval_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = [((7 * i) % 23) / 23 for i in range(60)]
    import numpy as np

    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_interval(values, resamples=5000, seed=2)
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_interval_is_the_same_for_the_same_seed_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.1, 0.9, 0.4, 0.4, 0.7]
    whole = bootstrap_interval(values, resamples=1000, seed=3)
    assert bootstrap_interval(values, resamples=1000, seed=3) == whole
    assert bootstrap_interval(values, resamples=1000, seed=4) != whole
    monkeypatch.setattr("rlkd.evaluation.stats._CELLS", 35)  # 7 resamples a block
    assert bootstrap_interval(values, resamples=1000, seed=3) == whole


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf]])
def test_interval_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="an interval needs"):
        bootstrap_interval(values)


@given(st.lists(unit, min_size=2, max_size=30))
@settings(max_examples=50, deadline=None)
def test_interval_holds_the_mean_and_stays_in_range(values: list[float]) -> None:
    found = bootstrap_interval(values, resamples=200)
    slack = 1e-9
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_paired_difference_cancels_what_problems_share() -> None:
    # Every problem gains exactly 0.1, however hard it is: the difference has no spread at all.
    a = [0.0, 0.2, 0.4, 0.6, 0.8]
    found = paired_difference(a, [x + 0.1 for x in a])
    assert (found.mean, found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1))


def test_paired_difference_is_b_minus_a() -> None:
    # (1 - 0) + (1 - 1) + (0 - 0) + (1 - 0) = 2 over 4 problems.
    found = paired_difference([0, 1, 0, 0], [1, 1, 0, 1])
    assert found.mean == 0.5
    assert found.low >= 0
    reverse = paired_difference([1, 1, 0, 1], [0, 1, 0, 0])
    assert (reverse.mean, reverse.low, reverse.high) == (-0.5, -found.high, -found.low)


def test_paired_difference_refuses_other_problems() -> None:
    with pytest.raises(ValueError, match="same problems: 2 against 1"):
        paired_difference([1, 0], [1])


def test_pass_at_k_by_hand() -> None:
    # n = 4, c = 1, k = 2: C(3, 2) / C(4, 2) = 3 / 6, so 1/2.
    assert pass_at_k(4, 1, 2) == 0.5
    # n = 5, c = 2, k = 3: C(3, 3) / C(5, 3) = 1 / 10, so 0.9.
    assert pass_at_k(5, 2, 3) == pytest.approx(0.9)
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    assert pass_at_k(8, 0, 8) == 0
    # More draws than wrong samples: one of them must be right.
    assert pass_at_k(8, 1, 8) == 1


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_equals_counting_all_draws(case: tuple[int, int, int]) -> None:
    n, c, k = case
    draws = list(combinations([1] * c + [0] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"pass@|not possible"):
        pass_at_k(n, c, k)


def test_problems_of_one_cluster_are_drawn_together() -> None:
    doubled = bootstrap_interval([1, 1, 0, 0, 1, 1], clusters=["a", "a", "b", "b", "c", "c"], seed=1)
    single = bootstrap_interval([1, 0, 1], seed=1)
    assert (doubled.mean, doubled.low, doubled.high) == (single.mean, single.low, single.high)
    # a cluster without a name is a problem alone
    assert bootstrap_interval([1, 0, 1], clusters=["", "", ""], seed=1) == single
    with pytest.raises(ValueError, match="3 values and 1 clusters"):
        bootstrap_interval([1, 0, 1], clusters=["a"])


def test_one_cluster_alone_has_the_widest_interval() -> None:
    alone = bootstrap_interval([0.25])  # one problem alone, likewise
    assert (alone.low, alone.high) == (0.0, 1.0)
    found = bootstrap_interval([1, 0, 1, 1], clusters=["p"] * 4)
    assert (found.mean, found.low, found.high) == (0.75, 0.0, 1.0)
    less = paired_difference([0, 0, 0, 0], [1, 0, 1, 1], clusters=["p"] * 4)
    assert (less.mean, less.low, less.high) == (0.75, -1.0, 1.0)
