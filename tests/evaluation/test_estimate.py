"""Intervals over seeds and problems: against values worked out by hand, and on simulated data."""

from __future__ import annotations

import numpy as np
import pytest

from rlkd.evaluation.estimate import _problems_share, estimate


def test_the_mean_is_that_of_the_seeds_means() -> None:
    # Seed means 1/2 and 1: (0.5 + 1) / 2 = 0.75, though 3 of 4 + 1 of 1 would be 2/3 over values.
    seeds = [{"a": 1.0, "b": 0.0}, {"c": 1.0}]
    assert estimate(seeds, over_seeds=False, resamples=200).mean == 0.75


def test_values_without_spread_have_no_interval_and_the_least_p_value() -> None:
    found = estimate([{"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}], over_seeds=True, resamples=399)
    assert found.interval(0.95) == (0.5, 0.5)
    assert found.p_value == pytest.approx(2 / 400)  # no replicate is at most 0: 2 x (0 + 1) / (399 + 1)
    assert found.p_is_bound
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
    held, widths = 0, []
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
        widths.append(high - low)
    assert held >= 176  # 190 of 200 in the mean; 176 is more than four standard deviations (3.1) below
    # Not by being endless. With the variances known: sqrt(0.2 / 300 + 0.03^2 / 3) = 0.031; the seeds' part alone, 0.017, by
    # Student's t with two degrees (4.30) is +- 0.075, the problems' 0.026 x 1.96 = +- 0.051: a width of about 0.18.
    assert np.mean(widths) < 0.23


def test_it_keeps_its_word_where_seeds_share_a_part_of_their_problems() -> None:
    rng = np.random.default_rng(8)
    held, widths = 0, []
    for trial in range(200):
        problems = rng.normal(0, 0.4, size=150)  # how much a problem favours one method, with every seed
        seeds = [
            {str(i): float(problems[i] + rng.normal(0, 0.2)) for i in rng.permutation(150)[:100]}
            for _ in range(3)
        ]
        low, high = estimate(seeds, over_seeds=True, resamples=300, seed=trial).interval(0.95)
        held += low <= 0 <= high
        widths.append(high - low)
    # A problem is in k of the three samples, k^2 is 4.67 in the mean: sqrt((0.16 x 150 x 4.67 + 0.04 x 300) / 300^2) = 0.037, a
    # width of 0.146. As if the seeds had nothing in common: sqrt(0.2 / 300) = 0.026, a width of 0.10.
    assert held >= 176
    assert 0.14 < np.mean(widths) < 0.23


def test_a_value_that_one_seed_lacks_hardly_changes_the_interval() -> None:
    rng = np.random.default_rng(3)
    values = {str(i): float(v) for i, v in enumerate(rng.choice([-1, 0, 1], p=[0.1, 0.7, 0.2], size=300))}
    whole = estimate([values] * 3, over_seeds=False)
    less = estimate([{k: v for k, v in values.items() if k != "17"}, values, values], over_seeds=False)
    # The seeds' answers are the same, so that three seeds say no more than one: sd / sqrt(300), not / sqrt(900).
    alone = float(np.std(list(values.values()))) / 300**0.5
    assert float(whole.draws.std()) == pytest.approx(alone, rel=0.05)
    assert float(less.draws.std()) == pytest.approx(alone, rel=0.05)
    assert less.p_value == pytest.approx(whole.p_value, abs=0.02)


def test_seeds_without_a_problem_in_common_vary_each_by_itself() -> None:
    rng = np.random.default_rng(4)
    seeds = [{f"{s}-{i}": float(v) for i, v in enumerate(rng.choice([0, 1], size=200))} for s in range(3)]
    # sqrt(0.25 / 600) = 0.0204
    assert float(estimate(seeds, over_seeds=False).draws.std()) == pytest.approx(0.0204, rel=0.06)


def test_what_problems_alone_spread_is_taken_off() -> None:
    # Two problems, two seeds that answer them the other way round: means 1/2 and 1/2. What is left of each value without its
    # problem's mean (1/2) and its seed's is 1/2: four squares of 1/4 = 1, one degree of freedom, over 2 problems: 1/2, more
    # than the 0 that the means differ, so that nothing is left for the seeds.
    values = [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}]
    assert set(estimate(values, over_seeds=True, resamples=50).draws) == {0.5}
    sums, sizes = np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones((2, 2))
    assert _problems_share(sums, sizes, np.array([0.5, 0.5])) == pytest.approx(0.5)


def test_a_seed_with_one_problem_has_its_own_mean_in_every_draw() -> None:
    found = estimate([{"a": 1.0}, {f"b{i}": 0.0 for i in range(50)}], over_seeds=False, resamples=200)
    assert set(found.draws) == {0.5}  # (1 + 0) / 2, though "a" is missing from a third of the draws


def test_one_seed_is_no_sample_of_seeds() -> None:
    with pytest.raises(ValueError, match="at least two seeds"):
        estimate([{"a": 1.0}], over_seeds=True)
    with pytest.raises(ValueError, match="at least one seed"):
        estimate([{}], over_seeds=False)


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(4, 0, 0.125), (5, 0, 0.0625), (6, 0, 0.03125), (3, 1, 0.625)]
)
def test_few_answers_that_differ_prove_no_more_than_the_sign_test(wins: int, losses: int, p: float) -> None:
    # Four of four one way: 2 x (1/2)^4 = 0.125. The resamples alone gave 0.034.
    signs = [1.0] * wins + [-1.0] * losses + [0.0] * (300 - wins - losses)
    found = estimate([{f"p{i}": value for i, value in enumerate(signs)}], over_seeds=False)
    assert found.p_value == pytest.approx(p)
    assert not found.p_is_bound
    assert found.units == 300


def test_many_answers_that_differ_are_left_to_the_resamples() -> None:
    signs = [1.0] * 90 + [-1.0] * 30 + [0.0] * 180
    found = estimate([{f"p{i}": value for i, value in enumerate(signs)}], over_seeds=False)
    # 60 more of 120: z = 60 / sqrt(120) = 5.5; the sign test is below one in 10^7.
    assert found.p_value == pytest.approx(2 / 4001)
    assert found.p_is_bound


def test_one_cluster_says_nothing_of_others() -> None:
    # 40 questions on one passage, 12 gained and 8 lost: +0.1, which came with an interval of [0.1, 0.1] and p = 0.0005.
    values = {f"p{i}": 1.0 if i < 12 else -1.0 if i < 20 else 0.0 for i in range(40)}
    found = estimate([values], over_seeds=False, clusters=dict.fromkeys(values, "passage"))
    assert found.mean == pytest.approx(0.1)
    assert found.interval(0.95) == (-1.0, 1.0)
    assert found.p_value == 1.0
    assert found.units == 1


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
