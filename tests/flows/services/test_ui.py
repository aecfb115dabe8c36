"""``rlkd ui`` with its real servers, and the private server of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from flows.services.private_server import answers
from flows.services.ui import free_port
from rlkd.errors import UserError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_the_next_free_port_is_taken() -> None:
    import socket

    first = free_port(21000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert free_port(first) > first


def test_no_free_port_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        def __enter__(self) -> Taken:
            return self

        def __exit__(self, *args: object) -> None:
            pass

        def setsockopt(self, *args: object) -> None:
            pass

        def bind(self, address: tuple[str, int]) -> None:
            raise OSError("in use")

    monkeypatch.setattr("socket.socket", Taken)
    with pytest.raises(UserError, match="no port from 4200 to 4299 is free"):
        free_port(4200)


def test_ui_serves_both_and_stops_them(tmp_path: Path, environment: dict[str, str]) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "flows.cli.main",
            "ui",
            str(runs),
            "--prefect-port",
            "22200",
            "--mlflow-port",
            "22500",
        ],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines[2] == "ready; Ctrl-C stops both", process.stderr and process.stderr.read()
    addresses = dict(line.split(": ", 1) for line in lines[:2])
    assert set(addresses) == {"Prefect", "MLflow"}
    for address in addresses.values():
        assert address.startswith("http://127.0.0.1:")
        with urlopen(address, timeout=120) as page:
            assert b"<html" in page.read().lower()
    # A run that starts now uses this server, so that its pages show the run live.
    announced = (runs / ".prefect" / "ui.url").read_text().strip()
    assert announced == f"{addresses['Prefect']}/api"
    assert answers(f"{announced}/health")
    run = _run_that_uses(runs, environment)
    process.send_signal(signal.SIGINT)
    assert f"a run uses this Prefect server (process {run.pid})" in process.stdout.readline()
    assert not (runs / ".prefect" / "ui.url").exists()  # no other run begins to use it
    assert answers(f"{announced}/health")
    run.communicate("")  # the run ends
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "stopped" in out
    assert list((runs / ".prefect" / "ui.users").iterdir()) == []
    for address in addresses.values():
        with pytest.raises((URLError, ConnectionError)):
            urlopen(address, timeout=5)


def _python(code: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A process that runs code of this project, with pipes to it and from it."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _run_that_uses(runs: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A process that uses the open server as a run does, until its input ends."""
    code = (
        "import sys; from pathlib import Path\n"
        "from flows.services.environment import use_local_services\n"
        "from flows.services.private_server import prefect_server\n"
        f"with prefect_server(use_local_services(Path({str(runs)!r}))) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    user = _python(code, environment)
    assert user.stdout is not None
    assert user.stdout.readline().strip() == "None"  # it started no server of its own
    return user


@pytest.mark.parametrize("variable", ["PREFECT_API_URL", "MLFLOW_TRACKING_URI"])
def test_a_dead_server_is_named_and_nothing_is_called_ready(
    tmp_path: Path, environment: dict[str, str], variable: str
) -> None:
    (tmp_path / "runs").mkdir()
    shown = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "ui", str(tmp_path / "runs")],
        env={**environment, variable: "http://me:pw@127.0.0.1:9/api"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert shown.returncode == 2
    assert "ready" not in shown.stdout
    assert f"mend {variable}" in shown.stderr
    assert "does not answer at http://***@127.0.0.1:9/api (" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
