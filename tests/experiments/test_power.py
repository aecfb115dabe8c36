from __future__ import annotations

import math

import numpy as np
import pytest

from rlkd.evaluation.estimate import estimate
from rlkd.experiments.power import cohens_h, detectable, power_sentence
from schemas.config.experiment import CompareConfig


def compare(**changes: object) -> CompareConfig:
    return CompareConfig.model_validate({"metric": "accuracy", "family": [["a", "b"]], **changes})


def test_detectable_over_problems_by_hand() -> None:
    # (1.960 + 0.842) sqrt(0.2 / 400) = 2.802 x 0.02236 = 0.0627
    assert detectable(400, 3, 1, compare(over="problems")) == pytest.approx(0.0627, abs=1e-4)
    # Four times as many problems: half of it.
    assert detectable(1600, 3, 1, compare(over="problems")) == pytest.approx(0.0627 / 2, abs=1e-4)


def test_seeds_add_what_they_vary_and_many_comparisons_cost() -> None:
    # 3 seeds, 2 degrees: t(0.975) = 4.303, t(0.8) = 1.061; (5.364 x 0.03)^2 / 3 = 0.00863; with 0.0627^2 = 0.00393:
    # sqrt(0.01256) = 0.1121
    assert detectable(400, 3, 1, compare()) == pytest.approx(0.1121, abs=2e-4)
    assert detectable(400, 3, 6, compare()) > detectable(400, 3, 1, compare())
    assert detectable(400, 5, 1, compare()) < detectable(400, 3, 1, compare())


def test_what_is_said_to_be_found_with_80_percent_is_found() -> None:
    # Seeds with problems of their own: 5 x 60 = 300 in all, and one comparison over these seeds. The methods disagree on 20% of
    # the problems, so that A alone is right on 0.1 + d / 2 of them and B alone on 0.1 - d / 2.
    smallest = detectable(300, 5, 1, compare(over="problems"))
    assert smallest == pytest.approx(0.0723, abs=1e-4)  # 2.802 x sqrt(0.2 / 300)
    rng = np.random.default_rng(5)
    shares = [0.1 - smallest / 2, 0.8, 0.1 + smallest / 2]
    found = 0
    for trial in range(200):
        seeds = [
            {f"{seed}-{i}": float(v) for i, v in enumerate(rng.choice([-1, 0, 1], p=shares, size=60))}
            for seed in range(5)
        ]
        found += estimate(seeds, over_seeds=False, resamples=400, seed=trial).p_value < 0.05
    assert 140 <= found <= 180  # 160 in the mean; more than three standard deviations (5.7) either way


def test_the_sentence_says_what_is_assumed() -> None:
    said = power_sentence(400, 3, 2, compare(over="problems"))
    # level 0.025: (2.241 + 0.842) x 0.02236 = 0.0689
    assert (
        "a difference of 6.9 points in accuracy is found with probability 80% (2 comparisons, level 0.05)"
        in said
    )
    assert said.startswith(
        "With 400 problems in all and these seeds, where two methods disagree on 20% of the problems"
    )


def test_cohens_h_by_hand() -> None:
    # 2 asin(sqrt 0.5) - 2 asin(sqrt 0.25) = 2 (pi/4 - pi/6) = pi/6
    assert cohens_h(0.5, 0.25) == pytest.approx(math.pi / 6)
    assert cohens_h(0.3, 0.3) == 0.0
