"""The arithmetic of what an experiment adds to its cells."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "experiment_overhead", BENCHMARKS / "experiment_overhead.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shares_by_hand(bench: ModuleType, tmp_path: Path) -> None:
    stages = {
        "a": [("data", "done", 2.0), ("rl", "done", 88.0), ("qualify", "skipped", 0.0)],
        "b": [("data", "reused", 2.0), ("rl", "done", 96.0)],  # the data were made by the first cell
    }
    for name, began in (("a", "2026-01-01T00:00:03+00:00"), ("b", "2026-01-01T00:01:44+00:00")):
        entries = [{"name": n, "status": s, "seconds": t} for n, s, t in stages[name]]
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(
            json.dumps({"started_at": began, "wall_seconds": 100.0, "stages": entries})
        )
    (tmp_path / "cells").mkdir()  # the cells' configurations are no cell
    found = bench.figures(206.0, bench.read_cells(tmp_path))
    assert [cell["stages_s"] for cell in found["cells"]] == [90.0, 96.0]
    assert found["over_cells"] == pytest.approx(0.03)  # (206 - 200) / 200
    # The second cell begins 101 s after the first and ends 201 s after it: 1 s between them, 5 of the 206 s once.
    assert (found["between_s"], found["once_s"]) == pytest.approx((1.0, 5.0))
    assert found["over_stages"] == pytest.approx(20 / 186)  # (206 - 186) / 186


def test_two_cells_at_the_same_time_make_the_wall_time_count_twice(bench: ModuleType, tmp_path: Path) -> None:
    cells = [
        {"cell": name, "began": began, "wall_s": wall, "stages_s": wall - 10}
        for name, began, wall in (("a", 2.0, 100.0), ("b", 2.0, 90.0), ("c", 92.0, 108.0))
    ]
    (tmp_path / "experiment.yaml").write_text("name: x\nconcurrent: 2\n")
    found = bench.figures(202.0, cells, bench.read_places(tmp_path))
    # From 2 to 200 s: 2 x 198 less 298 in cells; the second place is empty from 102 s on. (2 x 202 - 298) / 298
    assert (found["between_s"], found["once_s"]) == pytest.approx((98.0, 4.0))
    assert found["over_cells"] == pytest.approx(106 / 298)
