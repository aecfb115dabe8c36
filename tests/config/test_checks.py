"""Faults of `rl.objective` that no section sees by itself: all found before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from rlkd.config.checks import cross_check
from schemas.config.pipeline import PipelineConfig


def faults(**sections: Any) -> list[str]:
    config = PipelineConfig.model_validate({"name": "x", "data": {"type": "world"}, **sections})
    return [f"{'.'.join(fault.path)} {fault.what}" for fault in cross_check(config, {})]


@pytest.mark.parametrize(
    ("objective", "others", "said"),
    [
        ({"teacher_in_group": True}, {"rl": {"iterations": 2}}, "one update for each round"),
        ({"greedy_in_group": True}, {"rl": {"generation": "vllm"}}, "rl.generation is vllm"),
        ({"greedy_in_group": True, "teacher_in_group": True}, {"rl": {"group_size": 3}}, "is below 4"),
        ({"resample": 1}, {"launch": {"processes": 2}}, "launch.processes = 1"),
        ({"resample": 1}, {"rl": {"scale_rewards": "batch"}}, "scale_rewards = group or none"),
        ({"normalize": "components"}, {"rewards": {"structure_gate": "wrong"}}, "structure_gate = always"),
        ({"step_credit": 0.5}, {"rewards": {"observe_structure": False, "alpha": 0}}, "observe_structure is false"),
    ],
)  # fmt: skip
def test_an_objective_that_lacks_what_it_needs(
    objective: dict[str, Any], others: dict[str, Any], said: str
) -> None:
    rl = {**others.pop("rl", {}), "objective": objective}
    (found,) = faults(rl=rl, **others)
    assert said in found
    assert found.startswith("rl.")
    assert not faults(rl={**rl, "enabled": False}, **others)


def test_without_a_teacher_there_is_no_trace_for_a_group() -> None:
    found = faults(
        traces={"teacher": {"type": "none"}}, warm_start={"enabled": False}, rewards={"alpha": 0},
        rl={"objective": {"teacher_in_group": True, "step_credit": 0.5}}, qualify={"enabled": False},
    )  # fmt: skip
    assert [name.split()[0] for name in found] == [
        "rl.objective.teacher_in_group",
        "rl.objective.step_credit",
    ]


def test_without_a_teacher_nobody_knows_which_answers_are_guessed() -> None:
    untaught = {"traces": {"teacher": {"type": "none"}}, "warm_start": {"enabled": False}, "qualify": {"enabled": False}}  # fmt: skip
    assert faults(rewards={"alpha": 0, "guessed": 1}, **untaught) == []
    (found,) = faults(rewards={"alpha": 0, "guessed": 0.5}, **untaught)
    assert found.startswith("rewards.guessed is below 1, but traces.teacher.type is 'none'")
    # whoever pays guesses less looks at the paths, whatever else is asked
    assert not faults(rewards={"alpha": 0, "guessed": 0.5, "observe_structure": False})


@pytest.mark.parametrize(
    ("data", "teacher", "said"),
    [
        ({"type": "benchmark", "name": "gsm8k"}, "world", "set it to column for the benchmark's own solutions"),
        ({"type": "file", "path": "p"}, "world", "set it to column and name data.columns.traces"),
        ({"type": "hub", "dataset": "d"}, "world", "set it to column and name data.columns.traces"),
        ({"type": "reasoning_gym", "dataset": "maze"}, "world", "has no teacher traces"),
        ({"type": "benchmark", "name": "reasoning_gym/maze"}, "world", "has no teacher traces"),
        ({"type": "benchmark", "name": "reasoning_gym/maze"}, "column", "has no teacher traces"),
        ({"type": "benchmark", "name": "reasoning_gym/gsm_symbolic"}, "column", ""),
        ({"type": "benchmark", "name": "gsm8k"}, "column", ""),
    ],
)  # fmt: skip
def test_the_advice_about_a_teacher_can_be_followed(data: dict[str, Any], teacher: str, said: str) -> None:
    """A benchmark has no ``data.columns``: it was told to name ``data.columns.traces``, which is an unknown setting there."""
    found = [
        text for text in faults(data=data, traces={"teacher": {"type": teacher}}) if "traces.teacher" in text
    ]
    assert len(found) == bool(said)
    assert all(said in text for text in found)
    assert not any("columns" in text for text in found) or data["type"] in ("file", "hub")
