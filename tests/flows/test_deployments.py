"""A real server and a real worker: deploy, schedule, run, break a stage, retry it from a new process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FLOWS = {"distill", "prepare", "train", "evaluate", "stage", "train_gsrm", "experiment"}
WAIT_S = 300


def test_prefect_yaml_names_every_flow_with_documented_parameters() -> None:
    from importlib import import_module

    value = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert {item["name"] for item in value["deployments"]} == FLOWS
    for item in value["deployments"]:
        module, _, name = item["entrypoint"].partition(":")
        flow = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
        properties = flow.parameters.properties
        assert set(item["parameters"]) <= set(properties)
        assert all(described.get("description") for described in properties.values()), item["name"]
        assert "schedules" not in item  # a deploy would put them in the place of the user's own
        assert item["description"]


@contextmanager
def _process(
    arguments: list[str], environment: dict[str, str], log: Path, cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Api:
    """The server's REST interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        for wait in (0.5, 2.0, 5.0, None):
            try:
                with urlopen(request, timeout=120) as answer:
                    text = answer.read()
            except HTTPError as error:
                if (
                    error.code != 503 or wait is None
                ):  # its database is locked: Prefect's own client tries again too
                    raise
                time.sleep(wait)
            else:
                return json.loads(text) if text else None
        raise AssertionError("unreachable")

    def until(self, path: str, wanted: set[str]) -> Any:
        """Waits for a flow run to reach one of some states."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = self("GET", path)
            if found["state_type"] in wanted:
                return found
            time.sleep(1)
        raise AssertionError(f"{path} is still {found['state_type']}")


def test_deploy_schedule_run_break_and_retry(tmp_path: Path, environment: dict[str, str]) -> None:
    port = _free_port()
    fault = tmp_path / "fault"
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\ndata: {type: world}\ntracking: {system_metrics: false}\n"
    )
    environment |= {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "FAKE_STAGES": "1",
        "FAKE_FAIL": f"@{fault}",
    }
    prefect = [sys.executable, "-m", "prefect"]
    api = Api(environment["PREFECT_API_URL"])
    server = [*prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with _process(server, environment, tmp_path / "server.log", tmp_path):
        _until_healthy(api, tmp_path / "server.log")
        subprocess.run(
            [*prefect, "work-pool", "create", "rlkd", "--type", "process"],
            env=environment,
            check=True,
            capture_output=True,
        )
        _deploy(environment)
        deployments = {item["name"]: item for item in api("POST", "/deployments/filter", {})}
        assert set(deployments) == FLOWS
        deployment = deployments["distill"]
        _schedule(api, deployment, environment)
        worker = [*prefect, "worker", "start", "--pool", "rlkd", "--name", "test"]
        with _process(worker, environment, tmp_path / "worker.log", tmp_path):
            _run_break_retry(api, deployment["id"], tmp_path, fault, environment)


def _until_healthy(api: Api, log: Path) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            if api("GET", "/health"):
                return
        except (URLError, ConnectionError):
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def _deploy(environment: dict[str, str]) -> None:
    """As a person does it; nothing is asked."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "deploy", "--all"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _schedule(api: Api, deployment: dict[str, Any], environment: dict[str, str]) -> None:
    """A user's schedules, one on and one off: the server plans runs by itself, and another deploy changes neither."""
    assert deployment["schedules"] == []
    wanted = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    assert api("POST", "/flow_runs/count", wanted) == 0
    command = [sys.executable, "-m", "prefect", "deployment", "schedule", "create", "distill/distill"]
    for cron in ("0 2 * * *", "0 5 * * 1"):
        subprocess.run([*command, "--cron", cron], env=environment, check=True, capture_output=True)
    found = {item["schedule"]["cron"]: item for item in _schedules(api, deployment)}
    path = f"/deployments/{deployment['id']}/schedules"
    api("PATCH", f"{path}/{found['0 5 * * 1']['id']}", {"active": False})
    end = time.monotonic() + WAIT_S
    planned = 0
    while planned == 0 and time.monotonic() < end:
        time.sleep(1)
        planned = api("POST", "/flow_runs/count", wanted)
    assert planned > 0
    _deploy(environment)
    after = {item["schedule"]["cron"]: item["active"] for item in _schedules(api, deployment)}
    assert after == {"0 2 * * *": True, "0 5 * * 1": False}
    for item in _schedules(api, deployment):
        api("DELETE", f"{path}/{item['id']}")


def _schedules(api: Api, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api("GET", f"/deployments/{deployment['id']}/schedules")
    return found


class Scenario:
    """One deployment's runs of one run folder, and what they have left there."""

    def __init__(self, api: Api, deployment: str, folder: Path) -> None:
        self.api = api
        self.deployment = deployment
        self.folder = folder

    def start(self, *overrides: str) -> str:
        """Starts a flow run; its path in the API."""
        parameters = {
            "preset": str(self.folder / "tiny.yaml"),
            "output": str(self.folder / "runs" / "tiny"),
            "overrides": list(overrides),
        }
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return f"/flow_runs/{self.api('POST', f'/deployments/{self.deployment}/create_flow_run', body)['id']}"

    def ends(self, flow_run: str, state: str, among: set[str]) -> None:
        """Waits for a flow run to end, and asserts how."""
        log = self.folder / "worker.log"
        assert self.api.until(flow_run, among)["state_type"] == state, log.read_text()

    def statuses(self) -> dict[str, str]:
        run = json.loads((self.folder / "runs" / "tiny" / "run.json").read_text())
        return {entry["name"]: entry["status"] for entry in run["stages"]}


def _run_break_retry(
    api: Api, deployment: str, folder: Path, fault: Path, environment: dict[str, str]
) -> None:
    import fake_stages

    scenario = Scenario(api, deployment, folder)
    ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    scenario.ends(scenario.start(), "COMPLETED", ended)
    assert set(scenario.statuses().values()) == {"done"}
    _artifacts(api)

    fault.write_text("rl")
    broken = scenario.start("rl.steps=3")
    scenario.ends(broken, "FAILED", ended)
    assert scenario.statuses()["warm_start"] == "reused"
    assert scenario.statuses()["rl"] == "failed"
    before = fake_stages.logged(folder / "notes.txt")

    fault.unlink()
    run_id = broken.rsplit("/", 1)[1]
    _retry(run_id, environment)
    scenario.ends(broken, "COMPLETED", {"COMPLETED", "CRASHED"})
    after = fake_stages.logged(folder / "notes.txt")[len(before) :]
    # Of 8 training steps the failed attempt had saved 4: only the others run, and of the stages only those that were owed.
    assert after == [
        ("rl", "start"), ("rl", "4"), ("rl", "5"), ("rl", "6"), ("rl", "7"), ("evaluate", "start"), ("report", "start"),
    ]  # fmt: skip
    assert scenario.statuses() == {
        **dict.fromkeys(("data", "traces", "structures", "warm_start", "qualify"), "reused"),
        **dict.fromkeys(("rl", "evaluate", "report"), "done"),
    }
    _one_parent_run(folder, run_id)


def _artifacts(api: Api) -> None:
    artifacts = api("POST", "/artifacts/filter", {})
    assert {"rlkd-report", "rlkd-traces", "rlkd-rl"} <= {item["key"] for item in artifacts}
    report = next(item for item in artifacts if item["key"] == "rlkd-report")
    assert (report["type"], report["data"][:1]) == ("markdown", "#")


def _retry(run_id: str, environment: dict[str, str]) -> None:
    """As a person retries it."""
    retried = subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "retry", run_id],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert retried.returncode == 0, retried.stdout + retried.stderr


def _one_parent_run(folder: Path, flow_run_id: str) -> None:
    """The retry went on in the same MLflow run; each attempt of the broken stage is a child of its own."""
    from tasks.tracking import client, tracking_uri

    mlflow = client(tracking_uri(folder / "runs"))
    experiments = [item.experiment_id for item in mlflow.search_experiments()]
    [parent] = mlflow.search_runs(experiments, f"tags.`rlkd.flow_run_id` = '{flow_run_id}'")
    assert parent.info.status == "FINISHED"
    children = mlflow.search_runs(
        experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.`rlkd.stage` = 'rl'"
    )
    assert sorted(child.info.status for child in children) == ["FAILED", "FINISHED"]
    assert parent.data.metrics["test_accuracy_rlkd"] == 0.75
