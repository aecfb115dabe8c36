"""Intervals over seeds and problems, Holm, equivalence: against values worked out by hand, and on simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.experiments.statistics import estimate, holm, is_equivalent


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


def test_the_mean_is_that_of_the_seeds_means() -> None:
    # Seed means 1/2 and 1: (0.5 + 1) / 2 = 0.75, though 3 of 4 + 1 of 1 would be 2/3 over values.
    seeds = [{"a": 1.0, "b": 0.0}, {"c": 1.0}]
    assert estimate(seeds, over_seeds=False, resamples=200).mean == 0.75


def test_values_without_spread_have_no_interval_and_the_least_p_value() -> None:
    found = estimate([{"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0}], over_seeds=True, resamples=399)
    assert found.interval(0.95) == (1.0, 1.0)
    assert found.p_value == pytest.approx(2 / 400)  # no replicate is at most 0: 2 x (0 + 1) / (399 + 1)
    nothing = estimate([{"a": 0.0}, {"a": 0.0}], over_seeds=True, resamples=399)
    assert nothing.p_value == 1.0


def test_seeds_that_disagree_widen_the_interval_only_where_it_speaks_for_seeds() -> None:
    low_seed = {f"p{i}": 0.0 for i in range(50)}
    high_seed = {f"p{i}": 0.2 for i in range(50)}
    fixed = estimate([low_seed, high_seed], over_seeds=False, resamples=500)
    assert fixed.interval(0.95) == pytest.approx((0.1, 0.1))  # each problem's mean over the seeds is 0.1
    wide = estimate([low_seed, high_seed], over_seeds=True, resamples=500)
    low, high = wide.interval(0.95)
    assert low < 0 < 0.2 < high  # Student's t with one degree of freedom: 0.1 +- about 12.7 x 0.1


def test_the_interval_over_seeds_keeps_its_word_on_simulated_data() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(200):
        effects = rng.normal(0, 0.03, size=3)
        seeds = [
            {
                str(i): float(v)
                for i, v in enumerate(rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=100) + effect)
            }
            for effect in effects
        ]
        low, high = estimate(seeds, over_seeds=True, resamples=300, seed=trial).interval(0.95)
        held += low <= 0 <= high
    assert held >= 176  # 190 of 200 in the mean; 176 is more than four standard deviations (3.1) below


def test_one_seed_is_no_sample_of_seeds() -> None:
    with pytest.raises(ValueError, match="at least two seeds"):
        estimate([{"a": 1.0}], over_seeds=True)
    with pytest.raises(ValueError, match="at least one seed"):
        estimate([{}], over_seeds=False)


def test_problems_of_a_cluster_are_resampled_together() -> None:
    # Ten clusters of ten problems that are right or wrong together say as little as ten problems.
    values = {f"p{i}": float((i // 10) % 2) for i in range(100)}
    clusters = {name: str(int(name[1:]) // 10) for name in values}
    alone = estimate([values], over_seeds=False, seed=1)
    together = estimate([values], over_seeds=False, seed=1, clusters=clusters)
    # sqrt(0.25 / 100) = 0.05 and sqrt(0.25 / 10) = 0.158
    assert float(alone.draws.std()) == pytest.approx(0.05, rel=0.1)
    assert float(together.draws.std()) == pytest.approx(0.158, rel=0.1)
    assert together.mean == alone.mean == 0.5
    single = {name: name for name in values}
    assert list(estimate([values], over_seeds=False, seed=1, clusters=single).draws) == list(alone.draws)
