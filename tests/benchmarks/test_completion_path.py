"""How far one plain completion travels stays short enough to read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def test_a_plain_completion_enters_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    profiler = sys.getprofile()
    from completion_path import follow

    trail, row = follow()
    sys.setprofile(profiler)
    assert row.reward == pytest.approx(0.9469, abs=1e-4)  # 0.9 * (0.5 * 0.99309 + 0.5) + 0.1 * 0.5
    assert len(trail.files) <= 15, trail.files
    assert len(trail.functions) <= 90
    assert trail.changes <= 60
