from __future__ import annotations

import json
from pathlib import Path

from rlkd.reporting.stage_notes import alarm_sentences, data_notes, training_notes


def test_training_in_words(stages: dict[str, Path]) -> None:
    warm, rl = training_notes(stages)
    assert warm == (
        "Warm start: SFT on 64 teacher traces, 60 steps; the checkpoint of step 60 goes on, the best on 100 validation "
        "traces. Left out: 1 trace (the prompt is too long), 2 traces (the completion is too long)."
    )
    assert rl == "RL: 100 steps on 64 problems, 12,800 completions."


def test_undecided_training_answers_are_told_by_reason(stages: dict[str, Path]) -> None:
    path = stages["rl"] / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["result"]["summary"] |= {
        "undecided": {"time": 1200, "no common value": 3},
        "undecided_counts_as": "wrong",
    }
    path.write_text(json.dumps(manifest))
    assert training_notes(stages)[1].endswith(
        " 12,800 completions. Undecided answers, counted as wrong: 1,200 x time, 3 x no common value."
    )


def test_alarms_of_the_watch_stand_in_the_headline(stages: dict[str, Path]) -> None:
    assert alarm_sentences(stages) == ()
    path = stages["rl"] / "manifest.json"
    manifest = json.loads(path.read_text())
    alarms = ["step 30: 85% of the greedy validation answers end at the length limit", "step 40: more"]
    manifest["result"]["summary"] |= {"alarms": alarms, "stopped_by_watch": 30, "kept_step": 20}
    path.write_text(json.dumps(manifest))
    (sentence,) = alarm_sentences(stages)
    assert sentence.tone == "bad"
    assert sentence.text == (
        f"The watch over RL gave 2 alarms: {alarms[0]}; {alarms[1]}. Training was stopped after step 30; the checkpoint of "
        "step 20 goes on."
    )


def test_skipped_stages_say_nothing(stages: dict[str, Path]) -> None:
    assert training_notes({"data": stages["data"]}) == ()
    (stages["rl"] / "manifest.json").unlink()
    assert len(training_notes(stages)) == 1


def test_data_in_words(stages: dict[str, Path]) -> None:
    assert data_notes(stages, {"source": "world", "notes": ["made by a generator"]}) == (
        "Problems from: world.",
        "Made by a generator.",
        "Teacher: world.",
        "Steps of the teacher's paths read by world@1, 3.2 a path on average; none found in 1 of 20 paths.",
    )
    assert data_notes({}, {}) == ()
