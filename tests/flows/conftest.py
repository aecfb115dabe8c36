"""The fake stages, and Prefect and MLflow kept inside the test's own folder."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "tasks" / "support"
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))

CONFIG = "name: tiny\ndata: {type: world}\ntracking: {system_metrics: false, enabled: %s}\n"

STAGES = ["data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate", "report"]
DONE = dict.fromkeys(STAGES, "done")


def statuses(folder: Path) -> dict[str, str]:
    """The status of each stage in a run's manifest."""
    run = json.loads((folder / "run.json").read_text())
    return {entry["name"]: entry["status"] for entry in run["stages"]}


def until(condition: Callable[[], bool], process: Popen[Any], seconds: float = 300) -> None:
    """Waits for a process to have done something: generously, as other work may fill the machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment of a process on fake stages, with nothing of the caller's Prefect or MLflow."""
    (tmp_path / "home").mkdir()
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "RLKD_", "FAKE_"))
    }
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT)]),
        "FAKE_LOG": str(tmp_path / "notes.txt"),
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path / "home"),
    }


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One Prefect server and one MLflow database for many runs: starting them is most of a small run's time."""
    folder = tmp_path_factory.mktemp("services")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "RLKD_", "FAKE_"))
    }
    kept |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    (folder / "prefect").mkdir()
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    with (folder / "server.log").open("wb") as log:
        process = Popen(command, env=kept, stdout=log, stderr=log)
        try:
            _until_healthy(f"http://127.0.0.1:{port}/api/health", process)
            yield {
                "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
                "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            }
        finally:
            process.kill()  # its database goes with the test's folder
            process.wait()


def _until_healthy(url: str, process: Popen[bytes]) -> None:
    end = time.monotonic() + 900  # it takes ten seconds of a processor of its own
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=60) as answer:
                if answer.status == 200:
                    return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    raise AssertionError("the Prefect server did not start")


class Cli:
    """The command line on fake stages, in the test's folder."""

    def __init__(self, folder: Path, environment: dict[str, str], tracking: bool = True) -> None:
        self.folder = folder
        self.environment = environment
        (folder / "tiny.yaml").write_text(CONFIG % str(tracking).lower())

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
            timeout=300,
        )

    def work(self, stage: str) -> list[str]:
        """The units of work that a stage has done over all attempts, in order."""
        import fake_stages

        return [unit for name, unit in fake_stages.logged(self.folder / "notes.txt") if name == stage]


@pytest.fixture
def lonely_cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    """Runs the command line on fake stages, with its own Prefect and MLflow beside the runs."""
    return Cli(tmp_path, environment)


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str], services: dict[str, str]) -> Cli:
    """Runs the command line on fake stages, with a Prefect that the user has already.

    Without MLflow, whose import alone takes a third of such a run's time.
    """
    return Cli(tmp_path, {**environment, **services}, tracking=False)


@pytest.fixture
def tracked_cli(tmp_path: Path, environment: dict[str, str], services: dict[str, str]) -> Cli:
    """The same with an MLflow that the user has already, too."""
    return Cli(tmp_path, {**environment, **services})
