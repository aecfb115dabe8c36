"""``rlkd ui`` with its real servers, and the private server of a run."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from flows.services.private_server import Server, answers, users
from flows.services.ui import free_port
from rlkd.errors import StageError, UserError

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


@pytest.mark.timeout(600)
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
        with urlopen(address, timeout=20) as page:
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
    out, _ = process.communicate(timeout=60)
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
        "    print(server.process, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    user = _python(code, environment)
    assert user.stdout is not None
    assert user.stdout.readline().strip() == "None"  # it started no server of its own
    return user


def test_a_killed_run_uses_the_server_no_longer(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    marks = tmp_path / "ui.users"
    assert users(tmp_path) == []
    marks.mkdir()
    for pid in (ended.pid, os.getpid()):
        (marks / str(pid)).touch()
    (marks / ".DS_Store").touch()
    assert users(tmp_path) == [os.getpid()]
    assert not (marks / str(ended.pid)).exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's PR_SET_PDEATHSIG")
def test_a_private_server_does_not_outlive_a_killed_run(tmp_path: Path, environment: dict[str, str]) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from flows.services.environment import use_local_services\n"
        "from flows.services.private_server import prefect_server\n"
        f"with prefect_server(use_local_services(Path({str(tmp_path)!r}))) as server:\n"
        "    print(server.process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = _python(code, environment)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    time.sleep(1)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 60
    while _alive(server):
        assert time.monotonic() < end
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_a_server_that_finds_no_room_is_told_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    log = tmp_path / "server.log"
    log.write_text("sqlite3.OperationalError: database or disk is full\n")
    with pytest.raises(OSError, match="No space left") as raised:
        Server("http://127.0.0.1:9/api", process, log).wait()
    assert raised.value.errno == errno.ENOSPC
    log.write_text("Address already in use\n")
    with pytest.raises(StageError, match="did not start"):
        Server("http://127.0.0.1:9/api", process, log).wait()
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0)
    )  # nothing was left for the log
    with pytest.raises(OSError, match="No space left"):
        Server("http://127.0.0.1:9/api", process, log).wait()
