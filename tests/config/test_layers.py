"""Settings laid over others: which wins, and whose a fault is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkd.config.layers import Layer, overlay
from rlkd.config.load import load_overlaid
from rlkd.errors import ConfigError

BASE = """\
name: base
data: {type: world}
traces: {teacher: {type: world}}
student:
  model: {type: fresh, vocabulary: 300, layers: 1, width: 32, heads: 2, context: 640}
rewards:
  alpha: 0.5
rl:
  steps: 5
"""


def faults(tmp_path: Path, *layers: tuple[str, dict[str, Any]]) -> list[str]:
    file = tmp_path / "base.yaml"
    file.write_text(BASE)
    with pytest.raises(ConfigError) as error:
        load_overlaid(str(file), [Layer(name, values) for name, values in layers])
    return [
        line.removeprefix("  - ").replace(str(file), "base.yaml")
        for line in str(error.value).splitlines()[1:]
    ]


def test_the_last_layer_wins_and_a_section_of_another_type_replaces_the_one_below(tmp_path: Path) -> None:
    assert overlay({"a": {"type": "x", "b": 1}, "c": 1}, {"a": {"type": "y"}, "c": 2}) == {
        "a": {"type": "y"},
        "c": 2,
    }
    (tmp_path / "base.yaml").write_text(BASE)
    layers = [Layer("settings", {"rl": {"steps": 7}}), Layer("method m", {"rl": {"steps": 9}})]
    config = load_overlaid(str(tmp_path / "base.yaml"), layers)
    assert (config.rl.steps, config.rewards.alpha) == (9, 0.5)


def test_a_fault_is_of_the_layer_that_sets_the_value(tmp_path: Path) -> None:
    assert faults(tmp_path, ("settings", {"rewards": {"alpha": 2}}), ("method m", {"rl": {"stps": 3}})) == [
        "settings: rewards.alpha must be at most 1.0, not 2",
        "method m: rl.stps is no setting; did you mean rl.steps?",
    ]
    new_section = faults(
        tmp_path,
        ("the grid", {"warm_start": {"max_epochs": 0}}),
        ("method m", {"warm_start": {"enabled": True}}),
    )
    assert new_section == ["the grid: warm_start.max_epochs must be above 0.0, not 0"]
    # What a later layer sets is not the earlier one's fault, and what no layer sets stands in the file.
    overridden = faults(tmp_path, ("settings", {"rl": {"steps": -1}}), ("the grid", {"rl": {"steps": 0}}))
    assert overridden == ["the grid: rl.steps must be at least 1, not 0"]
    (wrong,) = faults(
        tmp_path,
        ("settings", {"rl": {"group_size": 7, "prompts_per_step": 3, "micro_batch": 5}}),
        ("method m", {"rl": {"enabled": True}}),
    )
    assert wrong == "settings: rl.micro_batch 5 must divide prompts_per_step x group_size = 21"


def test_a_fault_of_the_base_keeps_its_line(tmp_path: Path) -> None:
    file = tmp_path / "base.yaml"
    file.write_text(BASE.replace("alpha: 0.5", "alpha: 5"))
    with pytest.raises(ConfigError, match=r"base.yaml, line 7: rewards.alpha must be at most 1.0, not 5"):
        load_overlaid(str(file), [Layer("settings", {"rewards": {"format": 0.1}})])


def test_a_section_that_is_none_is_a_fault_also_where_a_later_layer_replaces_it(tmp_path: Path) -> None:
    assert faults(tmp_path, ("settings", {"rl": 3}), ("method m", {"rl": {"steps": 4}})) == [
        "settings: rl must be a section of settings, not 3"
    ]
    several = ("settings", {"rl": 3, "foo": {}, "data": "world", "student": {"model": None}})
    assert [fault.partition("; ")[0] for fault in faults(tmp_path, several)] == [
        "settings: data must be a section of settings, not 'world'",
        "settings: student.model must be a section of settings, not null",
        "settings: rl must be a section of settings, not 3",
        "settings: foo is no setting",
    ]


def test_what_may_be_a_value_or_a_section_is_either(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    layers = [
        Layer("settings", {"rewards": {"components": {"repeats": 0.1}}, "student": {"lora": None}}),
        Layer("method m", {"rewards": {"components": {"repeats": {"weight": 0.2}}}}),
    ]
    config = load_overlaid(str(tmp_path / "base.yaml"), layers)
    assert config.rewards.components["repeats"] is not None
