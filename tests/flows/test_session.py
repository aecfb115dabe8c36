from __future__ import annotations

import pytest

from flows.session import run_title


@pytest.mark.parametrize(
    ("preset", "output", "expected"),
    [
        ("demo", "", "distill demo"),
        ("demo", "runs/demo", "distill demo"),
        ("demo", "/somewhere/alpha-0", "distill demo in alpha-0"),
        ("configs/mine.yaml", "runs/mine", "distill mine"),
        ("", "", "distill"),
    ],
)
def test_flow_runs_of_one_preset_can_be_told_apart(preset: str, output: str, expected: str) -> None:
    assert run_title("distill", preset, output) == expected


def test_the_name_of_a_flow_run_tells_seed_and_settings_and_no_secret() -> None:
    overrides = ["seed=3", "rl.steps=50", "judge.url=http://me:pw@host/v1", "judge.api_key_env=MINE"]
    title = run_title("distill", "demo", "runs/demo", overrides, "3")
    assert title == "distill demo seed 3 rl.steps=50 judge.url=http://***@host/v1"
    assert len(run_title("distill", "demo", "", ["data.path=" + "x" * 500])) == 180
