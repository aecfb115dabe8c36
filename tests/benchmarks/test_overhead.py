"""The overhead benchmark's arithmetic, and its clocks in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("overhead", BENCHMARKS / "overhead.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shares_by_hand(bench: ModuleType) -> None:
    processes = [
        {"stages": [{"function": "a:data", "seconds": 2.0, "imports": 0.5}]},
        {"stages": [{"function": "b:rl", "seconds": 50.0, "imports": 6.0}]},
        {"stages": [{"function": "c:evaluate", "seconds": 38.0, "imports": 5.0}]},
        {"stages": []},
    ]
    found = bench.figures(100.0, 9.0, processes)
    assert found["stages_s"] == 90.0
    assert found["orchestration"] == pytest.approx(0.10)  # (100 - 90) / 100
    assert found["imports_again_s"] == pytest.approx(5.5)  # all imports but the longest: 11.5 - 6
    assert found["orchestration_with_imports_again"] == pytest.approx(0.155)


def test_the_clocks_time_stage_functions_and_the_imports_inside_them(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "clocks").mkdir()
    shutil.copy(BENCHMARKS / "overhead_clock.py", tmp_path / "site" / "sitecustomize.py")
    (tmp_path / "heavy.py").write_text("import time\ntime.sleep(0.2)\n")
    (tmp_path / "slow.py").write_text(
        "import time\ndef work(ctx):\n    import heavy\n    time.sleep(0.3)\n    return ctx\n"
    )
    code = "from rlkd.pipeline.stages import load_function; assert load_function('slow:work')(7) == 7"
    path = os.pathsep.join([str(tmp_path / "site"), str(tmp_path), str(BENCHMARKS.parent)])
    env = {**os.environ, "PYTHONPATH": path, "RLKD_CLOCKS": str(tmp_path / "clocks")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    [file] = (tmp_path / "clocks").glob("*.json")
    found = json.loads(file.read_text())
    [stage] = found["stages"]
    assert stage["function"] == "slow:work"
    assert 0.2 <= stage["imports"] < stage["seconds"] - 0.29  # heavy sleeps 0.2 s, the rest 0.3 s
    assert found["imports"] > stage["imports"]  # rlkd.pipeline.stages itself was imported, too
