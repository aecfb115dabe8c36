"""The fake stages, and Prefect and MLflow kept inside the test's own folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "tasks" / "support"
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))

CONFIG = "name: tiny\ndata: {type: world}\ntracking: {system_metrics: false}\n"


@pytest.fixture()
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment of a process on fake stages, with nothing of the caller's Prefect or MLflow."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "RLKD_", "FAKE_"))}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT)]),
        "FAKE_LOG": str(tmp_path / "notes.txt"),
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path / "home"),
    }


class Cli:
    """The command line on fake stages, in the test's folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        (folder / "tiny.yaml").write_text(CONFIG)

    def start(self, *arguments: str, **environment: str) -> Popen[str]:
        """Starts a command."""
        return Popen(
            [sys.executable, "-m", "fake_cli", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=PIPE,
            stderr=PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **environment: str) -> Any:
        """Runs a command to its end."""
        return run(
            [sys.executable, "-m", "fake_cli", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=180,
        )

    def work(self, stage: str) -> list[str]:
        """The units of work that a stage has done over all attempts, in order."""
        import fake_stages

        return [unit for name, unit in fake_stages.logged(self.folder / "notes.txt") if name == stage]


@pytest.fixture()
def cli(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Any]:
    """Runs the command line on fake stages."""
    return Cli(tmp_path, environment)
