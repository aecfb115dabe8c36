"""The watch over RL, on streams of figures whose alarms are known, and on one run whose reward is made to be hacked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.training.watch import Watch, examine, replay
from schemas.alarm import WatchReport
from schemas.config.training import RLConfig
from schemas.config.watch import WatchConfig

from .conftest import make_config, make_context

CONFIG = WatchConfig(window=2)


def stream(name: str, values: Sequence[float]) -> list[dict[str, float]]:
    return [{"step": i + 1, name: value} for i, value in enumerate(values)]


def first(rows: Sequence[dict[str, float]], config: WatchConfig = CONFIG) -> tuple[str, int] | None:
    alarms = replay(rows, config).alarms
    return (alarms[0].kind, alarms[0].step) if alarms else None


def validations(pairs: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    return [
        {"step": 10 * i, "validation_accuracy": a, "validation_structure": s}
        for i, (a, s) in enumerate(pairs)
    ]


def test_a_hacked_reward_structure_rises_while_accuracy_falls() -> None:
    hacked = [(0.50, 0.4), (0.60, 0.5), (0.58, 0.7), (0.52, 0.8), (0.40, 0.9)]
    # Means of two: 0.55, 0.59, 0.55, 0.46; the best 0.59 (structure 0.6). 0.59 - 0.55 = 0.04 is less than 0.05; then 0.13,
    # with structure 0.85, is an alarm after the last.
    assert first(validations(hacked)) == ("accuracy_fall", 40)
    assert (
        first(validations([(a, 0.4) for a, _ in hacked])) is None
    )  # accuracy alone may fall: nobody plays structure
    assert first(validations([(0.4, 0.4), (0.5, 0.5), (0.6, 0.6), (0.6, 0.9)])) is None


def test_one_bad_evaluation_is_no_alarm() -> None:
    # Means 0.55, 0.575, 0.575: never 0.05 below the best.
    assert first(validations([(0.5, 0.4), (0.6, 0.5), (0.55, 0.6), (0.60, 0.7)])) is None


@pytest.mark.parametrize(
    ("name", "values", "alarm"),
    [
        ("steps_found", [4, 4, 5, 6, 6, 7], ("step_inflation", 5)),  # 4 -> mean of 6 and 6 is 1.5 times
        ("tokens", [50, 50, 80, 99, 110, 120], ("length_growth", 6)),  # mean 115; before 104.5 is 2.09: see below
        ("copied", [0.1, 0.1, 0.2, 0.3, 0.4], ("copied", 5)),  # 0.35 - 0.1
        ("entropy", [1.0, 1.0, 0.3, 0.11, 0.08], ("entropy_left", 5)),  # 0.095
        ("truncated", [0.0, 0.1, 0.3, 0.3], ("at_limit", 3)),  # (0.1 + 0.3) / 2
        ("repeated", [0.0, 0.2, 0.5], ("repeated", 3)),
        ("groups_without_difference", [0.9, 0.8, 1.0], ("no_signal", 3)),
        ("missing", [0.0, 0.04, 0.07], ("missing", 3)),
    ],
)  # fmt: skip
def test_each_alarm_at_the_step_where_its_mean_crosses(
    name: str, values: list[float], alarm: tuple[str, int]
) -> None:
    if name == "tokens":
        alarm = ("length_growth", 5)  # (99 + 110) / 2 = 104.5, 2.09 times 50
    assert first(stream(name, values)) == alarm
    off = CONFIG.model_copy(update={alarm[0]: None})
    assert first(stream(name, values), off) is None
    assert first(stream(name, values), CONFIG.model_copy(update={"action": "off"})) is None


def test_greedy_answers_at_the_limit_are_seen_where_the_samples_end() -> None:
    rows = [{"step": i, "truncated": 0.02} for i in range(1, 5)]
    rows[3]["validation_truncated"] = 0.85
    (alarm,) = replay(rows, CONFIG).alarms
    assert (alarm.kind, alarm.step, alarm.value) == ("at_limit", 4, 0.85)
    assert alarm.text == "85% of the greedy validation answers end at the length limit"


def test_a_kind_is_told_once_and_a_resumed_run_tells_the_same() -> None:
    rows = stream("truncated", [0.5, 0.5, 0.6, 0.7])
    watch = Watch(CONFIG)
    told = [len(watch.add(row)) for row in rows]
    assert told == [0, 1, 0, 0]
    assert replay(rows[:2], CONFIG).alarms == watch.alarms
    assert examine([], CONFIG) == []


def test_only_what_the_student_does_stops_a_run() -> None:
    stop = WatchConfig(window=2, action="stop")
    assert replay(stream("missing", [0.5, 0.5]), stop).stopped is None
    assert replay(stream("truncated", [0.5, 0.5]), stop).stopped == 2
    assert replay(stream("truncated", [0.5, 0.5]), CONFIG).stopped is None


def test_stopping_needs_evaluations() -> None:
    with pytest.raises(ValueError, match=r"watch\.action is stop, but nothing is evaluated"):
        RLConfig.model_validate({"watch": {"action": "stop"}})
    assert RLConfig.model_validate({"watch": {"action": "stop"}, "eval_every": 5}).keep == "last"


class PaysLength:
    """A reward that is made to be hacked: structure is how long the path is."""

    async def score(self, items: Sequence[Any]) -> list[Any]:
        from schemas.alignment import StructureScore

        return [
            StructureScore(
                structure=min(1.0, len(i.student.path) / 100), prefix=0, teacher_steps=1, student_steps=1
            )
            for i in items
        ]


@pytest.mark.slow
def test_a_hacked_run_is_stopped_and_the_best_checkpoint_goes_on(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from rlkd.training import rl

    torch.set_num_threads(1)
    monkeypatch.setattr("rlkd.structure.factory.make_scorer", lambda config: PaysLength())
    watch = {"action": "stop", "window": 1, "at_limit": 0.1}
    settings = {
        "steps": 6,
        "prompts_per_step": 2,
        "group_size": 4,
        "save_every": 6,
        "eval_every": 1,
        "eval_problems": 2,
    }
    config = make_config(
        rl={**settings, "temperature": 3.0, "watch": watch}, rewards={"alpha": 1.0, "format": 0.0}
    )
    result = rl.distil(make_context(tmp_path, config, inputs))
    found = WatchReport.model_validate_json((tmp_path / "watch.json").read_text())
    assert found.stopped is not None
    assert found.stopped == result.summary["stopped_by_watch"] == result.summary["steps"] < 6
    assert "at_limit" in [alarm.kind for alarm in found.alarms]
    assert result.metrics["watch_alarms"] == len(found.alarms)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == found.stopped
    assert (tmp_path / "model" / "model.safetensors").is_file()
    again = rl.distil(
        make_context(tmp_path, config, inputs)
    )  # an attempt that was killed before it could say so
    assert again.summary["steps"] == found.stopped
