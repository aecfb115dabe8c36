from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.qualification.measures import Resampler, auroc, baseline, numbers, separation, weighted_auroc

RIGHT = [True, True, False, False]
SCORES = [0.9, 0.4, 0.5, 0.4]


def test_auroc_by_hand() -> None:
    # 0.9 beats both wrong ones (2), 0.4 loses to 0.5 (0) and ties with 0.4 (1/2): 2.5 of 2 * 2 pairs.
    assert auroc(RIGHT, SCORES) == 2.5 / 4
    assert auroc([True, False], [1.0, 0.0]) == 1.0
    assert auroc([True, False], [0.0, 1.0]) == 0.0
    assert auroc([True, False, True], [3.0, 3.0, 3.0]) == 0.5


def test_weights_count_a_solution_as_often_as_it_was_drawn() -> None:
    import numpy as np

    rows = np.array([[2.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    found = weighted_auroc(np.array(RIGHT), SCORES, rows)
    # The first twice: 2 * 2 + 0 + 1/2 = 4.5 of 3 * 2 pairs. Without a right one there is nothing to say.
    assert found[0] == 4.5 / 6
    assert np.isnan(found[1])


def test_the_interval_is_the_percentile_bootstrap_over_problems() -> None:
    import numpy as np

    luck = random.Random(3)
    groups = [f"p{i // 4}" for i in range(80)]
    right = [luck.random() < 0.4 for _ in groups]
    scores = [round(luck.random() + 0.3 * good, 1) for good in right]
    found = Resampler(groups, right, resamples=200, seed=7).auroc(scores)

    # The same by drawing problems and concatenating their solutions, one resample after the other.
    rng, draws = np.random.default_rng(7), []
    for _ in range(200):
        index = [i for k in rng.integers(0, 20, 20) for i in range(4 * k, 4 * k + 4)]
        draws.append(auroc([right[i] for i in index], [scores[i] for i in index]))
    low, high = np.percentile(draws, [2.5, 97.5])
    assert (found.value, found.low, found.high) == pytest.approx((auroc(right, scores), low, high), abs=1e-12)
    assert found.low < found.value < found.high


def test_a_gap_is_resampled_with_both_sides_together() -> None:
    groups, right = [str(i) for i in range(40)], [i % 2 == 0 for i in range(40)]
    how = Resampler(groups, right, resamples=100)
    scores = [float(i % 7) for i in range(40)]
    same = how.gap(scores, scores)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    perfect = how.gap([float(good) for good in right], [float(not good) for good in right])
    assert (perfect.value, perfect.low, perfect.high) == (1.0, 1.0, 1.0)


def test_separation_names_the_strongest_baseline() -> None:
    right = [i % 2 == 0 for i in range(20)]
    good, none = [float(x) for x in right], [0.5] * 20
    groups = [str(i) for i in range(20)]
    found = separation(
        groups,
        right,
        good,
        {"none": none, "half": [x if i < 10 else 0.5 for i, x in enumerate(good)]},
        resamples=100,
    )
    assert found.structure is not None
    assert found.structure.value == 1.0
    assert found.best_baseline == "half"
    # half: 5 right at 1, 5 tied, 5 wrong at 0: (5*10 + 5*5 + 5*2.5) / 100 = 0.875, so the gap is 0.125.
    assert found.baselines["half"].value == pytest.approx(0.875)
    assert found.gap is not None
    assert found.gap.value == pytest.approx(0.125)
    assert separation(groups, [True] * 20, good, {}).structure is None


def test_an_auroc_of_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="right and wrong"):
        Resampler(["a", "b"], [True, True])


def test_baselines() -> None:
    assert numbers("1,200 eggs <<3*4=12>>cost $.50") == [1200.0, 0.5]
    teacher = ["3 + 4 = 7"]
    assert baseline("last number equal", teacher, "so it is 7") == 1.0
    assert (
        baseline("last number equal", ["1 + 1 = 2", *teacher], "so it is 7") == 1.0
    )  # the best of the teachers
    # {3, 4, 7} and {7, 8}: one in common, 2 * 1 / 5.
    assert baseline("unordered numbers", teacher, "7 of 8") == 2 / 5
    assert baseline("unordered numbers", ["no number"], "none") == 0.0
    # hockey, ice of hockey, ice and of hockey, grass: one of two and two
    assert baseline("same words", ["hockey on ice"], "Hockey on grass, 12") == 2 * 1 / 4
    assert baseline("same words", ["12"], "13") == 0.0
    assert baseline("length", teacher, "12345") == -5.0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=30).filter(
        lambda rows: len({r for r, _ in rows}) == 2
    )
)
def test_auroc_is_the_share_of_pairs_won(rows: list[tuple[bool, int]]) -> None:
    right, scores = [r for r, _ in rows], [float(s) for _, s in rows]
    won = [float(a > b) + 0.5 * float(a == b) for good, a in rows if good for bad, b in rows if not bad]
    assert auroc(right, scores) == pytest.approx(sum(won) / len(won))
    assert auroc(right, [-score for score in scores]) == pytest.approx(1 - sum(won) / len(won))
    assert auroc(right, [2 * score**3 + 1 for score in scores]) == auroc(
        right, scores
    )  # only the order counts
