"""The private Prefect server of the runs of one folder, and the ones that variables name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.services import private_server
from flows.services.private_server import Server, check_prefect, is_alive, users
from rlkd.errors import StageError, UserError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
USE = (
    "import sys; from pathlib import Path\n"
    "from flows.services.environment import use_local_services\n"
    "from flows.services.private_server import prefect_server\n"
    "with prefect_server(use_local_services(Path(sys.argv[1]))) as server:\n"
    "    print(server.pid, server.api, flush=True)\n"
    "    server.wait()\n"
    "    print('up', flush=True)\n"
    "    sys.stdin.read()\n"
)


def _user(runs: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A process that uses the private server as a run does, until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(runs)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _gone(pid: int, seconds: float = 300) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.1)
    return not is_alive(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_runs_of_one_folder_share_a_server_that_outlives_none_of_them(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    runs = [_user(tmp_path, environment) for _ in range(3)]
    told = []
    for run in runs:
        assert run.stdout is not None
        told.append(run.stdout.readline().split())
        assert run.stdout.readline() == "up\n"
    assert len({tuple(line) for line in told}) == 1  # one process, one address
    server = int(told[0][0])
    runs[0].send_signal(signal.SIGKILL)  # be it the one that started it
    runs[0].wait()
    runs[1].communicate("")
    time.sleep(1)
    assert is_alive(server)
    runs[2].send_signal(signal.SIGKILL)
    runs[2].communicate()
    assert _gone(server)
    later = _user(tmp_path, environment)  # a new one for who comes later
    assert later.stdout is not None
    assert later.stdout.readline().split()[0] != str(server)
    later.communicate("")


def test_a_killed_run_uses_the_server_no_longer(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    marks = tmp_path / "users"
    assert users(marks) == []
    marks.mkdir()
    for pid in (ended.pid, os.getpid()):
        (marks / str(pid)).touch()
    (marks / ".DS_Store").touch()
    assert users(marks) == [os.getpid()]
    assert not (marks / str(ended.pid)).exists()


def test_a_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    log = tmp_path / "server.log"
    server = Server("http://127.0.0.1:9/api", process.pid, log)
    log.write_text("sqlite3.OperationalError: database or disk is full\n")
    with pytest.raises(OSError, match="No space left") as raised:
        server.wait()
    assert raised.value.errno == errno.ENOSPC
    log.write_text("Address already in use\n")
    with pytest.raises(StageError, match=r"did not start; its log \S+ ends: Address already in use"):
        server.wait()
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0)
    )  # nothing was left for the log
    with pytest.raises(OSError, match="No space left"):
        server.wait()


def test_the_log_of_a_server_that_cannot_start_is_not_empty(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    home = tmp_path / ".prefect"
    home.mkdir()
    (home / "prefect.db").write_text(
        "this is no database, and so Prefect cannot make its tables in it\n" * 99
    )
    run = _user(tmp_path, environment)
    run.communicate(timeout=300)
    assert run.returncode == 1
    log = home / f"server-{socket.gethostname()}" / "server.log"
    assert "file is not a database" in log.read_text()


def test_a_server_that_takes_calls_and_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_server, "_PROBE_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        with pytest.raises(UserError, match=r"Prefect does not answer at http://127\.0\.0\.1:.*timed out"):
            check_prefect()
    monkeypatch.setenv("PREFECT_API_URL", "nonsense")
    with pytest.raises(UserError, match="mend PREFECT_API_URL"):
        check_prefect()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-x\r\n", "SSH-2.0-x"),
        (b"", "without response|reset by peer"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "status 404"),
        (b"HTTP/1.0 500 Oops\r\n\r\n", "status 500"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "no Prefect API; its address ends in /api"),
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n", ""),  # it is there, and wants a key
        (b"HTTP/1.0 200 OK\r\n\r\ntrue", ""),
    ],
)
def test_what_is_no_prefect_server_is_told_from_one(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str
) -> None:
    class _Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_address[1]}/api")
        if said:
            with pytest.raises(
                UserError, match=rf"Prefect does not answer at http://127\.0\.0\.1:.*\(.*({said})\); start"
            ):
                check_prefect()
        else:
            assert check_prefect().endswith("/api")


@pytest.mark.parametrize(
    ("variable", "name"), [("PREFECT_API_URL", "Prefect"), ("MLFLOW_TRACKING_URI", "MLflow")]
)
def test_a_run_with_a_dead_server_ends_at_once_in_one_sentence(
    lonely_cli: Any, tmp_path: Path, variable: str, name: str
) -> None:
    dead = {variable: "http://127.0.0.1:9/api"}
    failed = lonely_cli("run", "tiny.yaml", **dead)
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"rlkd: error: {name} does not answer at http://127.0.0.1:9/api (")
    assert len(failed.stderr.splitlines()) == 1
    assert lonely_cli.work("data") == []
    checked = lonely_cli("check", "tiny.yaml", **dead)
    assert checked.returncode == 2
    rows = {line.split("\t")[0]: line.split("\t")[1] for line in checked.stdout.splitlines()}
    assert (rows["tracking"], rows["orchestration"]) == (
        ("ok", "wrong") if variable == "PREFECT_API_URL" else ("wrong", "ok")
    )


def test_several_runs_at_once_in_a_new_folder_make_each_shared_stage_once(
    lonely_cli: Any, tmp_path: Path
) -> None:
    runs = [lonely_cli.start("run", "tiny.yaml", "--output", f"runs/r{n}") for n in range(3)]
    for run in runs:
        _, errors = run.communicate(timeout=300)
        assert run.returncode == 0, errors
    for stage in ("data", "traces", "structures", "warm_start", "qualify", "rl", "evaluate"):
        assert lonely_cli.work(stage).count("start") == 1, stage
    made = [json.loads((tmp_path / "runs" / f"r{n}" / "run.json").read_text()) for n in range(3)]
    assert [run["status"] for run in made] == ["done"] * 3
