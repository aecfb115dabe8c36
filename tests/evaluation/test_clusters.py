from __future__ import annotations

import math

import pytest

from rlkd.evaluation.clusters import clustered_difference, clustered_figure, clusters_of, wilson
from schemas.problem import Problem


def test_a_cluster_is_a_value_under_a_key_and_null_is_none() -> None:
    found = {
        "a": {"cluster": 7},
        "b": {},
        "c": {"cluster": None},
        "d": {"cluster": ""},
        "e": {"cluster": 0, "book": "x"},
    }
    problems = [Problem(id=name, question="q", answer="1", metadata=values) for name, values in found.items()]
    assert clusters_of(problems) == {"a": "7", "e": "0"}
    assert clusters_of(problems, "book") == {"e": "x"}
    assert clusters_of(problems, None) == {}


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


def test_a_difference_has_the_interval_of_agresti_and_min() -> None:
    found = clustered_difference([1, 1, 1, -1, 0, 0, 0, 0, 0, 0], [""] * 10)
    # 3 pairs gained, 1 lost, of 10: with half a pair more in each cell 3.5 and 1.5 of 12, so the middle is 2 / 12 and the
    # standard error sqrt((5 - 4 / 12) / 144) = 0.1800; 0.1667 -+ 1.9600 * 0.1800
    assert (round(found.low, 4), round(found.high, 4)) == (-0.1862, 0.5195)
    # mean 0.2, squares 4 - 10 * 0.04 = 3.6; SE = sqrt(10 / 9 * 3.6) / 10 = 0.2
    assert (found.mean, found.se) == (pytest.approx(0.2), pytest.approx(0.2))


def test_differences_of_one_passage_count_as_one() -> None:
    alone = clustered_difference([1, -1, 0, 0], [""] * 4)
    doubled = clustered_difference([1, 1, -1, -1, 0, 0, 0, 0], ["a", "a", "b", "b", "c", "c", "d", "d"])
    assert (doubled.low, doubled.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert doubled.se == pytest.approx(alone.se)
    assert (doubled.n, doubled.clusters) == (8, 4)
    one = clustered_difference([1, 1], ["a", "a"])
    assert (one.se, one.low, one.high) == (None, -1, 1)


def test_the_interval_of_no_difference_is_not_empty() -> None:
    found = clustered_difference([0.0] * 98, [""] * 98)
    # sqrt(1) / (98 + 2) * 1.96
    assert (found.se, found.high) == (0, pytest.approx(0.0196, abs=1e-4))
    assert found.low == -found.high
