"""What is left when a run or the MLflow server is killed, and who puts it in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from flows.services.private_server import answers
from flows.services.ui import free_port
from tasks import tracking

from ..conftest import until

SETTLE = "import sys; from pathlib import Path; from flows.services.ui import settle_killed_runs; settle_killed_runs(Path(sys.argv[1]), '')"


def _killed(cli: Any, stage: str, arguments: tuple[str, ...] = ()) -> dict[str, Any]:
    """A run that is killed in a stage; its manifest."""
    before = len(cli.work(stage))
    process = cli.start("run", "tiny.yaml", *arguments, FAKE_DELAY="0.5")
    until(lambda: len(cli.work(stage)) > before + 3, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    manifest: dict[str, Any] = json.loads((cli.folder / "runs" / "tiny" / "run.json").read_text())
    return manifest


def _flow_runs(cli: Any) -> dict[str, str]:
    """State of each flow run by its id."""
    url = f"{cli.environment['PREFECT_API_URL']}/flow_runs/filter"
    with urlopen(Request(url, b"{}", {"Content-Type": "application/json"}), timeout=30) as answer:
        return {run["id"]: run["state_type"] for run in json.loads(answer.read())}


def _task_states(cli: Any, flow_run: str) -> set[str]:
    url = f"{cli.environment['PREFECT_API_URL']}/task_runs/filter"
    body = json.dumps({"flow_runs": {"id": {"any_": [flow_run]}}}).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30) as answer:
        return {run["state_type"] for run in json.loads(answer.read())}


def _statuses(uri: str, parent: str) -> tuple[str, set[str]]:
    """Status of a parent run, and those of its children."""
    mlflow = tracking.client(uri)
    run = mlflow.get_run(parent)
    children = mlflow.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    return run.info.status, {child.info.status for child in children}


@pytest.mark.slow
def test_a_killed_run_does_not_stay_running_for_good(tracked_cli: Any, tmp_path: Path) -> None:
    cli = tracked_cli
    uri, earlier = cli.environment["MLFLOW_TRACKING_URI"], set(_flow_runs(cli))
    first = _killed(cli, "traces")["mlflow_run_id"]
    [first_flow] = set(_flow_runs(cli)) - earlier
    assert _flow_runs(cli)[first_flow] == "RUNNING"
    second = _killed(cli, "rl")["mlflow_run_id"]  # the next attempt closes the one that it replaces
    assert _flow_runs(cli)[first_flow] == "CRASHED"
    assert "RUNNING" not in _task_states(cli, first_flow)
    assert _statuses(uri, first) == ("KILLED", {"FINISHED", "KILLED"})
    assert _statuses(uri, second)[0] == "RUNNING"
    settled = subprocess.run(
        [sys.executable, "-c", SETTLE, str(tmp_path / "runs")],
        env={**cli.environment, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=300,
    )  # as `rlkd ui` does
    assert settled.returncode == 0, settled.stderr
    assert "its run was killed; Prefect and MLflow show it as ended now" in settled.stdout
    assert "RUNNING" not in {state for run, state in _flow_runs(cli).items() if run not in earlier}
    assert _statuses(uri, second)[0] == "KILLED"
    assert "RUNNING" not in _statuses(uri, second)[1]


@contextmanager
def _mlflow(folder: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """An MLflow server, up, until this ends."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/health"), process)
            yield process
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    import os

    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_mlflow_killed_in_the_middle_costs_the_run_nothing_and_has_everything_when_it_is_back(
    cli: Any, tmp_path: Path
) -> None:
    port = free_port(23500)
    uri = f"http://127.0.0.1:{port}"
    (tmp_path / "tiny.yaml").write_text("name: tiny\ndata: {type: world}\n")
    with _mlflow(tmp_path, port, cli.environment) as server:
        run = cli.start("run", "tiny.yaml", MLFLOW_TRACKING_URI=uri, FAKE_DELAY="0.5")
        until(lambda: len(cli.work("rl")) > 3, run)
        _kill(server)
        out, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    assert "MLflow does not take what the run logs" in out
    assert "the next run in this folder delivers them" in out
    folder = tmp_path / "runs" / "tiny"
    parent = json.loads((folder / "run.json").read_text())["mlflow_run_id"]
    with _mlflow(tmp_path, port, cli.environment):
        assert tracking.deliver_leftovers(folder, uri, print) > 8
        mlflow = tracking.client(uri)
        top = mlflow.get_run(parent)
        assert (top.info.status, top.data.metrics["test_accuracy_rlkd"]) == ("FINISHED", 0.75)
        assert "report.html" in [item.path for item in mlflow.list_artifacts(parent)]
        assert top.data.tags["rlkd.student"] == "models:/rlkd-student/1"
        [child] = mlflow.search_runs(
            [top.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}' and tags.`rlkd.stage` = 'rl'"
        )
        points = mlflow.get_metric_history(child.info.run_id, "loss")
        assert sorted({point.step for point in points}) == list(range(8))
        assert child.info.status == "FINISHED"
    assert not (folder / "tracking").exists()
