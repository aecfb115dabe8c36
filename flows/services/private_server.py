"""A private Prefect server for the length of one run, in a process that never outlives it.

Prefect would start one by itself, but only when the flow begins and without tying it to the life of the run: after
kill -9 it would stay for good. Here it starts first, so that it gets ready while everything else is imported.
"""

from __future__ import annotations

import atexit
import errno
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from rlkd.errors import StageError
from rlkd.io import is_disk_full
from tasks.jobs import tail

HOST = "127.0.0.1"
UI_FILE = "ui.url"
"""In Prefect's folder, while ``rlkd ui`` runs: the API of its server, for runs to use."""
USERS = "ui.users"
"""In Prefect's folder: a file named after the process of each run that uses the server of ``rlkd ui``."""
_START_S = 180.0
_STOP_S = 10.0
_ROOM = 2**20
_PORTS = range(8100, 9900)


@dataclass(frozen=True)
class Server:
    """A Prefect server that is starting or up.

    Attributes:
        api: URL of its API.
        process: Its process; ``None`` for one that somebody else started.
        log: What it prints.
    """

    api: str
    process: subprocess.Popen[bytes] | None
    log: Path

    def wait(self) -> None:
        """Returns when the server answers.

        Raises:
            StageError: It does not start.
            OSError: The disk is full.
        """
        end = time.monotonic() + _START_S
        while not answers(f"{self.api}/health"):
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > end:
                if self._disk_is_full():
                    raise OSError(errno.ENOSPC, "No space left on device")
                raise StageError(f"Prefect's server did not start; its log is {self.log}")
            time.sleep(0.1)

    def _disk_is_full(self) -> bool:
        """Whether that is why the server ended: its log says so, or there was no room even for the log."""
        said = is_disk_full(RuntimeError(tail(self.log, 20)))
        return said or shutil.disk_usage(self.log.parent).free < _ROOM


@contextmanager
def prefect_server(home: Path) -> Iterator[Server | None]:
    """Starts a private server and points this process at it; call :meth:`Server.wait` before the first flow.

    ``None`` where ``PREFECT_API_URL`` names a server already. The server of an open ``rlkd ui`` on the same runs is used,
    so that its pages show the run live.

    Args:
        home: Prefect's folder, with its database.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    url = _open_ui(home)
    process = None
    if url is None:
        port = _free_port()
        url, process = f"http://{HOST}:{port}/api", _start(port, home)
    else:
        _sign_in(home)
    if process is not None:
        atexit.register(
            _stop, process
        )  # not before: Prefect sends its last logs and events when the interpreter ends
    os.environ["PREFECT_API_URL"] = url
    try:
        yield Server(url, process, home / "server.log")
    finally:
        del os.environ["PREFECT_API_URL"]


def _sign_in(home: Path) -> None:
    """Says that this process uses the server of ``rlkd ui``, until it ends: Prefect sends its last logs at the very end."""
    mark = home / USERS / str(os.getpid())
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    atexit.register(mark.unlink, missing_ok=True)


def users(home: Path) -> list[int]:
    """Processes that use the server of ``rlkd ui`` now."""
    found = []
    for mark in (home / USERS).glob("[1-9]*") if (home / USERS).is_dir() else ():
        try:
            os.kill(int(mark.name), 0)
        except (ProcessLookupError, PermissionError):
            mark.unlink(missing_ok=True)  # it was killed, and its number may be another user's process by now
        else:
            found.append(int(mark.name))
    return sorted(found)


def answers(url: str) -> bool:
    """Whether a server answers with success."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


def _open_ui(home: Path) -> str | None:
    path = home / UI_FILE
    url = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    return url if url and answers(f"{url}/health") else None


def _free_port() -> int:
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StageError(f"Prefect's server finds no free port between {_PORTS.start} and {_PORTS.stop}")


def _start(port: int, home: Path) -> subprocess.Popen[bytes]:
    """The same process that Prefect starts for its temporary server, tied to this one."""
    server = [
        "uvicorn",
        "--factory",
        "prefect.server.api.server:create_app",
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    command = [
        sys.executable,
        "-m",
        "rlkd.pipeline.jobs",
        "--exec",
        sys.executable,
        "-m",
        *server,
        "--log-level",
        "error",
    ]
    environment = {
        **os.environ,
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "RLKD_PARENT_PID": str(os.getpid()),
    }
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
