"""Every threshold refuses by itself, and what could not be measured does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.errors import StageError
from rlkd.io import write_json_atomic
from rlkd.qualification.variants import EXPECTED
from rlkd.qualification.verdict import (
    FIGURES,
    RULES,
    bound,
    check_thresholds,
    judge,
    misses,
    mostly_unmeasured,
    summary,
)
from schemas.config.qualify import QualifyConfig, Thresholds
from schemas.qualification import Auroc, Qualification, Separation, YesBias

Figures = Callable[..., Qualification]


def changed(found: Qualification, name: str, **values: Any) -> dict[str, Any]:
    rows = tuple(row.model_copy(update=values) if row.change == name else row for row in found.sensitivities)
    return {"sensitivities": rows}


def hidden(found: Qualification, **values: Any) -> dict[str, Any]:
    return {"hidden": found.hidden.model_copy(update=values)}


CASES: dict[str, Callable[[Qualification], dict[str, Any]]] = {
    "auroc_hidden": lambda q: hidden(q, structure=Auroc(value=0.8, low=0.69, high=0.9)),
    "baseline_gap": lambda q: hidden(q, gap=Auroc(value=-0.05, low=-0.1, high=-0.01)),
    "scrambled": lambda q: changed(q, "step_scrambled", share=0.89),
    "swapped": lambda q: changed(q, "steps_swapped", share=0.89),
    "wrong_value": lambda q: changed(q, "value_wrong", share=0.89),
    "wrong_end": lambda q: changed(q, "end_wrong", share=0.94),
    "cut_short": lambda q: changed(q, "second_half_only", share=0.94),
    "last_step": lambda q: changed(q, "last_step_only", mean_after=0.51),
    "paraphrased": lambda q: changed(q, "paraphrased", share=0.89),
    "padding": lambda q: changed(q, "path_repeated", share=0.94),
    "empty": lambda q: changed(q, "empty", mean_after=0.01),
    "yes_bias": lambda q: {
        "yes_bias": (*q.yes_bias[:2], YesBias(question="answer", n=50, mean=0.4, share=0.12))
    },
    "parse_failures": lambda q: {"parse_failures": 15},  # of 290: 0.0517
    "missing": lambda q: {"missing": 51},
    "repeatable": lambda q: {
        "repeatability": q.repeatability and q.repeatability.model_copy(update={"unchanged": 0.94})
    },
    "cost_s": lambda q: {"cost": q.cost and q.cost.model_copy(update={"seconds": 61.0})},
}
BROKEN = {"baseline_gap", "last_step", "empty", "yes_bias", "parse_failures", "missing", "repeatable"}
SETTINGS = QualifyConfig(thresholds=Thresholds(cost_s=60.0))


def test_there_is_a_rule_and_a_case_for_every_threshold() -> None:
    assert set(RULES) == set(CASES) == set(Thresholds.model_fields)


def test_good_figures_pass(figures: Figures) -> None:
    found = judge(figures(), SETTINGS)
    assert found.passed
    assert not found.refused
    assert [check.status for check in found.checks] == ["passed"] * len(RULES)
    assert summary(found) == "the structure reward passes its qualification: 16 of 16 thresholds are met"


@pytest.mark.parametrize("name", CASES)
def test_each_threshold_refuses_by_itself(name: str, figures: Figures) -> None:
    before = figures()
    found = before.model_copy(update=CASES[name](before))
    verdict = judge(found, SETTINGS.model_copy(update={"action": "refuse"}))
    assert [check.name for check in verdict.checks if check.status == "missed"] == [name]
    assert verdict.refused
    [line] = misses(verdict)
    [check] = [check for check in verdict.checks if check.name == name]
    assert f"not {bound(check)} (qualify.thresholds.{name})" in line
    # Left to itself it refuses what is broken and warns of what is weak.
    assert judge(found, SETTINGS).refused is (name in BROKEN)
    assert not judge(found, SETTINGS.model_copy(update={"action": "warn"})).refused
    # A threshold that is not asked for misses nothing.
    open_ = SETTINGS.thresholds.model_copy(update={name: None})
    assert judge(found, SETTINGS.model_copy(update={"thresholds": open_})).passed


def test_a_figure_that_meets_its_threshold_exactly_passes(figures: Figures) -> None:
    exact = {"auroc_hidden": 0.92, "scrambled": 1.0, "yes_bias": 0.02, "missing": 0.002, "cost_s": 1.5}
    assert judge(figures(), QualifyConfig(thresholds=Thresholds(**exact))).passed


def test_too_few_cases_are_told_and_held_against_nothing_unless_strict(figures: Figures) -> None:
    few = figures()
    few = few.model_copy(update=changed(few, "step_scrambled", share=0.0, n=19))
    verdict = judge(few, QualifyConfig())
    assert verdict.passed
    assert [check.name for check in verdict.checks if check.status == "unmeasured"] == ["scrambled"]
    assert "(too few cases for scrambled)" in summary(verdict)
    assert not judge(few, QualifyConfig(strict=True)).passed
    assert not judge(few, QualifyConfig(min_cases=19)).passed
    one_kind = figures(hidden=Separation(pairs=200, right=200))
    assert {check.name for check in judge(one_kind, QualifyConfig()).checks if check.status == "unmeasured"} == {
        "auroc_hidden", "baseline_gap",
    }  # fmt: skip


def test_a_verdict_on_too_few_cases_is_no_pass_in_words(figures: Figures) -> None:
    verdict = judge(figures(), QualifyConfig(min_cases=10**6))  # nothing has so many
    assert verdict.passed  # nothing is held against it
    assert mostly_unmeasured(verdict)
    assert "could not be judged" in summary(verdict)
    assert "passes" not in summary(verdict)
    assert not mostly_unmeasured(judge(figures(), QualifyConfig()))


def test_the_gate_names_every_missed_threshold(figures: Figures, tmp_path: Path) -> None:
    found = figures()
    both = changed(found, "step_scrambled", share=0.5) | {"missing": 900}
    write_json_atomic(tmp_path / FIGURES, found.model_copy(update=both))
    config = parse_config({"name": "t", "data": {"type": "world"}})
    with pytest.raises(StageError) as caught:
        check_thresholds(config, tmp_path)
    text = str(caught.value)
    assert "misses 2 of 15 thresholds" in text
    assert "score falls is 0.500, not at least 0.9 (qualify.thresholds.scrambled)" in text
    assert "scores that are missing is 0.900, not at most 0.05 (qualify.thresholds.missing)" in text
    assert "RL was not started" in text
    warn = parse_config({"name": "t", "data": {"type": "world"}, "qualify": {"action": "warn"}})
    assert check_thresholds(warn, tmp_path).endswith("going on, as qualify.action is warn")
    write_json_atomic(tmp_path / FIGURES, found)
    assert (
        check_thresholds(config, tmp_path)
        == "the structure reward passes its qualification: 15 of 15 thresholds are met"
    )


def test_every_change_has_a_label() -> None:
    from rlkd.reporting.qualification import CHANGE_LABELS

    assert set(CHANGE_LABELS) == set(EXPECTED)
