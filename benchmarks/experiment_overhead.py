"""What an experiment adds to its cells: its wall time less what the cells took, as a share of what they took.

Usage: ``python benchmarks/experiment_overhead.py EXPERIMENT [--set key=value]... [--output FOLDER] [--json FILE]``

Runs ``rlkd experiment`` as a user would, from nothing, and then reads what its cells wrote down. With ``concurrent`` cells at the
same time the wall time counts that often, so that a place without a cell, as at the end, is counted as added too:

* **over the cells** = (wall - the cells' own wall times) / the cells' own wall times: planning, the parent run in MLflow, the
  report of the experiment, and the start of Python. A cell's own wall time is that of ``rlkd run`` without the start of Python.
* **over the stages** = the same against the time of the stages that were made: what each cell spends between its stages
  (Prefect, MLflow, the store) counts as well. A stage that a cell takes over from another one counts once.
* **between the cells**: the part of the first that every cell adds; the rest, the start of the servers before the first cell and
  the report after the last one, comes once however many cells there are.

``--finished SECONDS`` reads an experiment that has run in ``--output`` instead, in so many seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """Reads name, wall time and time in stages of every cell; a stage that was taken over was made by another cell."""
    cells = []
    for file in sorted(folder.glob("*/run.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        made = [stage["seconds"] for stage in run["stages"] if stage["status"] == "done"]
        began = datetime.fromisoformat(run["started_at"]).timestamp()
        cells.append(
            {
                "cell": file.parent.name,
                "began": began,
                "wall_s": run["wall_seconds"],
                "stages_s": sum(made),
            }
        )
    return cells


def read_places(folder: Path) -> int:
    """Reads how many cells ran at the same time."""
    import yaml

    return int(yaml.safe_load((folder / "experiment.yaml").read_text(encoding="utf-8"))["concurrent"])


def figures(wall: float, cells: list[dict[str, Any]], places: int = 1) -> dict[str, Any]:
    """Computes the shares from the wall time of an experiment, its cells, and how many of them ran at the same time."""
    in_cells, in_stages = (sum(cell[name] for cell in cells) for name in ("wall_s", "stages_s"))
    span = max(cell["began"] + cell["wall_s"] for cell in cells) - min(cell["began"] for cell in cells)
    return {
        "wall_s": wall,
        "cells_s": in_cells,
        "stages_s": in_stages,
        "over_cells": (places * wall - in_cells) / in_cells,
        "over_stages": (places * wall - in_stages) / in_stages,
        "between_s": places * span - in_cells,
        "once_s": wall - span,
        "cells": cells,
    }


def show(found: dict[str, Any]) -> None:
    """Prints the table."""
    print(f"{'cell':44} {'wall s':>9} {'stages s':>9}")
    for cell in found["cells"]:
        print(f"{cell['cell']:44} {cell['wall_s']:9.1f} {cell['stages_s']:9.1f}")
    print(
        f"\nexperiment {found['wall_s']:.1f} s, cells {found['cells_s']:.1f} s, stages {found['stages_s']:.1f} s"
    )
    print(
        f"between the cells {found['between_s']:.1f} s, before the first and after the last {found['once_s']:.1f} s"
    )
    print(
        f"added to the sum of its cells: {found['over_cells']:.1%}; to the sum of their stages: {found['over_stages']:.1%}"
    )


def main() -> None:
    """Runs an experiment and prints what it added."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--finished", type=float, metavar="SECONDS")
    given = parser.parse_args()
    folder = given.output or Path(tempfile.mkdtemp(prefix="experiment-overhead-")) / "experiment"
    wall = given.finished
    if wall is None:
        if (folder / "experiment.json").exists():
            sys.exit(f"{folder} holds a finished experiment, which would be reused; name another --output")
        command = [
            sys.executable,
            "-m",
            "flows.cli.main",
            "experiment",
            given.experiment,
            "--output",
            str(folder),
        ]
        command += [part for override in given.overrides for part in ("--set", override)]
        began = time.perf_counter()
        done = subprocess.run(command, check=False)
        wall = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    cells = read_cells(folder)
    if not cells:
        sys.exit(f"{folder} holds no finished cell; name the folder of an experiment")
    found = figures(wall, cells, read_places(folder))
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
