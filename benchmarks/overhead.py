"""What orchestration costs: the share of a run's wall time that is spent outside of the stages' library functions.

Usage: ``python benchmarks/overhead.py [PRESET] [--set key=value]... [--output FOLDER] [--json FILE]``

Runs ``rlkd run`` as a user would (Prefect, MLflow, the store, a process of its own for each training stage) and times,
in every process, the stage functions and the imports inside them.

* **orchestration** = (wall - time in stage functions) / wall. Wall is from the start of ``rlkd run`` to its end. A stage
  function is what one calls by hand: the imports of torch, transformers and TRL happen inside it, since it needs them.
* **imports again**: each training stage is a process of its own and imports its libraries anew; by hand, in one process,
  only the first would. This is the time of all imports inside stage functions but the longest.
* **orchestration with imports again** counts them as orchestration too: the strictest reading.

A second run of the same command, with every stage finished, is timed as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLOCK = Path(__file__).with_name("overhead_clock.py")


def timed_run(command: list[str], folder: Path) -> tuple[float, list[dict[str, Any]]]:
    """Wall seconds of a command, and what its processes measured."""
    clocks, site = folder / "clocks", folder / "site"
    for path in (clocks, site):
        path.mkdir(parents=True, exist_ok=True)
    shutil.copy(CLOCK, site / "sitecustomize.py")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path, "RLKD_CLOCKS": str(clocks)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wall = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return wall, [json.loads(file.read_text(encoding="utf-8")) for file in sorted(clocks.glob("*.json"))]


def figures(wall: float, cached: float, processes: list[dict[str, Any]]) -> dict[str, Any]:
    """The shares, from what the processes of a run measured."""
    stages = [stage for process in processes for stage in process["stages"]]
    inside = sum(stage["seconds"] for stage in stages)
    imports = [stage["imports"] for stage in stages]
    again = sum(imports) - max(imports, default=0.0)
    return {
        "wall_s": wall,
        "stages_s": inside,
        "imports_in_stages_s": sum(imports),
        "imports_again_s": again,
        "orchestration": (wall - inside) / wall,
        "orchestration_with_imports_again": (wall - inside + again) / wall,
        "cached_rerun_s": cached,
        "stages": stages,
    }


def show(found: dict[str, Any]) -> None:
    """Prints the table."""
    print(f"{'stage function':44} {'seconds':>8} {'of it imports':>14}")
    for stage in found["stages"]:
        print(f"{stage['function']:44} {stage['seconds']:8.1f} {stage['imports']:14.1f}")
    print(f"\nwall {found['wall_s']:.1f} s, in stage functions {found['stages_s']:.1f} s")
    print(f"orchestration: {found['orchestration']:.1%} of the wall time")
    print(
        f"imports again: {found['imports_again_s']:.1f} s; counted as orchestration too: {found['orchestration_with_imports_again']:.1%}"
    )
    print(f"the same command with every stage finished: {found['cached_rerun_s']:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", nargs="?", default="demo")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="key=value")
    parser.add_argument(
        "--output",
        type=Path,
        help="run folder in a folder of its own, not yet there; a temporary one by default",
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        output = args.output or Path(scratch) / "runs" / "overhead"
        if output.exists() or (output.resolve().parent / ".store").exists():
            parser.error(
                f"{output} or runs beside it are there already: finished stages would be reused, not measured"
            )
        command = [sys.executable, "-m", "flows.cli.main", "run", args.preset, "--output", str(output)]
        for setting in args.overrides:
            command += ["--set", setting]
        wall, processes = timed_run(command, Path(scratch) / "first")
        cached, _ = timed_run(command, Path(scratch) / "second")
    found = figures(wall, cached, processes)
    show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
