from __future__ import annotations

import math

import pytest

from rlkd.evaluation.clusters import clustered_figure, wilson


def test_problems_that_stand_alone_have_the_usual_standard_error() -> None:
    found = clustered_figure([1, 1, 0, 0], ["", "", "", ""])
    # s^2 = 4 * 0.25 / 3 = 1/3; SE = sqrt(1/3 / 4) = 0.2887
    assert found.se == pytest.approx(math.sqrt(1 / 12))
    assert (found.mean, found.n, found.clusters) == (0.5, 4, 4)


def test_problems_of_one_passage_count_as_one() -> None:
    found = clustered_figure([1, 1, 0, 0], ["a", "a", "b", "b"])
    # sums of deviations: +1 and -1; SE = sqrt(2 / 1 * (1 + 1)) / 4 = 0.5: that of two problems, one right
    assert found.se == pytest.approx(0.5) == clustered_figure([1, 0], ["a", "b"]).se
    assert found.clusters == 2


def test_clusters_that_cancel_out_narrow_the_error() -> None:
    # each passage has one right and one wrong: the sums are 0
    found = clustered_figure([1, 0, 1, 0], ["a", "a", "b", "b"])
    assert found.se == 0
    assert found.low < 0.5 < found.high


def test_the_interval_at_zero_is_not_empty() -> None:
    found = clustered_figure([0.0] * 20, [""] * 20)
    # Wilson at 0: z^2 / (n + z^2) = 3.8415 / 23.8415 = 0.1611
    assert (found.se, found.low) == (0, 0)
    assert found.high == pytest.approx(0.1611, abs=1e-4)
    assert clustered_figure([1.0] * 20, ["one story"] * 20).se is None


def test_wilson_of_a_known_case() -> None:
    # 81 of 263: Wilson's interval is 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)
    low, high = wilson(81 / 263, 263, 0.95)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="0 values"):
        clustered_figure([], [])
