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
