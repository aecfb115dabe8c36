"""Verdicts and their sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlkd.evaluation.estimate import Estimate
from rlkd.experiments.verdicts import Compared, judge_family, summaries, verdict
from schemas.config.experiment import CompareConfig
from schemas.experiment import ComparisonRow

COMPARE = CompareConfig(metric="accuracy", family=[("new", "old")], margin=0.02, level=0.05)


def spread(low: float, high: float) -> Estimate:
    draws = np.linspace(low, high, 1001)
    return Estimate(float(draws.mean()), draws)


@pytest.mark.parametrize(
    ("mean", "p", "within", "word"),
    [
        (0.05, 0.01, (0.02, 0.08), "better"),
        (-0.05, 0.01, (-0.08, -0.02), "worse"),
        (0.001, 0.6, (-0.01, 0.012), "equivalent"),
        (0.01, 0.3, (-0.01, 0.03), "no difference shown"),
        (0.01, 0.05, (0.001, 0.019), "equivalent"),  # p at the level is not below it
        (0.01, 0.04, (0.001, 0.019), "better"),  # a difference that is shown, however small
    ],
)
def test_the_word(mean: float, p: float, within: tuple[float, float], word: str) -> None:
    assert verdict(mean, p, within, 400, COMPARE) == word


def test_sentences_are_made_from_the_numbers() -> None:
    [better] = judge_family(
        [Compared("new", "old", "alpha 0.5", spread(0.02, 0.06), per_seed={"0": 0.03, "1": 0.05}, pairs=400)],
        COMPARE,
    )
    assert better.verdict == "better"
    # Quantiles 0.025 and 0.975 of 0.02..0.06: 0.021 and 0.059.
    assert better.sentence == (
        "In accuracy on test with alpha 0.5, new is better than old: +4.0 points [+2.1, +5.9], p \N{LESS-THAN OR EQUAL TO} 0.002 "
        "(2 seeds, 400 pairs of answers)."
    )  # none of 1,001 replicates is at most 0: 2 x 1 / 1002, and it may be smaller


def test_holm_counts_every_comparison_of_the_family() -> None:
    # Replicates 1 of 1001 at most 0: p = 2 x (1 + 1) / 1002 = 0.004; twice that in a family of two.
    one = Compared("new", "old", "", spread(0.0, 0.1), per_seed={"0": 0.05}, pairs=10)
    first, second = judge_family([one, Compared("new", "older", "", missing=("seed 1 of older",))], COMPARE)
    assert first.p == pytest.approx(4 / 1002)
    assert first.p_holm == pytest.approx(8 / 1002)
    assert "Holm over 2" in first.sentence
    assert second.verdict == "missing"
    assert second.difference is None
    assert second.sentence == "new against older: missing, since seed 1 of older is missing."


def test_equivalence_names_its_margin() -> None:
    [row] = judge_family(
        [Compared("new", "old", "", spread(-0.01, 0.01), per_seed={"0": 0.0}, pairs=150)], COMPARE
    )
    assert row.verdict == "equivalent"
    assert "new and old are equivalent" in row.sentence
    assert "within the margin of 2.0 points" in row.sentence


def test_the_same_problems_under_several_seeds_are_no_more_problems() -> None:
    # 30 problems, five seeds, no answer that differs: 150 pairs, but -ln(0.05) / 30 = 10% of the problems may differ.
    found = replace(spread(-0.01, 0.01), units=30)
    [row] = judge_family([Compared("new", "old", "", found, per_seed={"0": 0.0}, pairs=150)], COMPARE)
    assert row.verdict == "no difference shown"


def test_one_sentence_says_in_which_settings_a_method_pays() -> None:
    rows = [
        ComparisonRow(a="new", b="old", setting=setting, verdict=word, sentence="")
        for setting, word in (("sparse", "better"), ("dense", "worse"), ("mid", "better"))
    ]
    alone = ComparisonRow(a="new", b="older", setting="", verdict="better", sentence="")
    assert summaries([*rows, alone]) == ("new against old: better with sparse, mid; worse with dense.",)


def test_settings_of_two_axes_are_set_apart() -> None:
    rows = [
        ComparisonRow(a="new", b="old", setting=f"depth {depth}, answer numbers", verdict=word, sentence="")
        for depth, word in ((8, "better"), (5, "worse"), (9, "better"))
    ]
    assert summaries(rows) == (
        "new against old: better with (depth 8, answer numbers), (depth 9, answer numbers); worse with (depth 5, answer numbers).",
    )
