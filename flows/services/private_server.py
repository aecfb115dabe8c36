"""A private Prefect server for the runs of one folder, in a process that never outlives them.

Prefect would start one for each run by itself, but only when the flow begins and without tying it to the life of the run:
after kill -9 it would stay for good, and two that start on one new folder would both make the tables of one database. Here
the first run starts it, early, so that it gets ready while everything else is imported; runs that start meanwhile use it too.
"""

from __future__ import annotations

import atexit
import errno
import json
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
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from rlkd.errors import StageError, UserError
from rlkd.io import is_disk_full, write_json_atomic
from tasks.jobs import tail
from tasks.tracking.connection import first_line, redact_text
from tasks.tracking.runs import PRIVATE_PREFECT

if TYPE_CHECKING:
    from filelock import BaseFileLock

HOST = "127.0.0.1"
UI_FILE = "ui.url"
"""In Prefect's folder, while ``rlkd ui`` runs: the API of its server, for runs to use."""
UI_USERS = "ui.users"
"""In Prefect's folder: a file named after the process of each run that uses the server of ``rlkd ui``."""
ADDRESS, USERS, START_LOCK, LOG = "address.json", "users", "start.lock", "server.log"
"""In the folder of this machine's private server: where it is and its process, the marks of its users, the lock of who
starts it or signs in, and what it prints."""
_START_S = 300.0
_ROOM = 2**20
_LOG_LIMIT = 2**20
_PROBE_S = 10.0
_PORTS = range(8100, 9900)
_CLOUD = "//api.prefect.cloud/"
"""Prefect Cloud, whose workspaces need not answer at ``/health``."""


@dataclass(frozen=True)
class Server:
    """A Prefect server that is starting or up.

    Attributes:
        api: URL of its API.
        pid: Its process; ``None`` for the one of ``rlkd ui``.
        log: What it prints.
    """

    api: str
    pid: int | None
    log: Path

    def wait(self) -> None:
        """Returns when the server answers.

        Raises:
            StageError: It does not start.
            OSError: The disk is full.
        """
        end = time.monotonic() + _START_S
        while not answers(f"{self.api}/health"):
            if (self.pid is not None and not is_alive(self.pid)) or time.monotonic() > end:
                if self._disk_is_full():
                    raise OSError(errno.ENOSPC, "No space left on device")
                said = tail(self.log, 1)
                raise StageError(
                    f"Prefect's server did not start; its log {self.log} "
                    + (f"ends: {redact_text(said)[:300]}" if said else "says nothing")
                )
            time.sleep(0.1)

    def _disk_is_full(self) -> bool:
        """Whether that is why the server ended: its log says so, or there was no room even for the log."""
        said = is_disk_full(RuntimeError(tail(self.log, 20)))
        return said or shutil.disk_usage(self.log.parent).free < _ROOM


@contextmanager
def prefect_server(home: Path) -> Iterator[Server | None]:
    """Points this process at a server, a private one where there is none; call :meth:`Server.wait` before the first flow.

    ``None`` where ``PREFECT_API_URL`` names a server. The server of an open ``rlkd ui`` on the same runs is used, so that
    its pages show the run live.

    Args:
        home: Prefect's folder, with its database.

    Raises:
        UserError: The server that ``PREFECT_API_URL`` names does not answer.
    """
    if os.environ.get("PREFECT_API_URL"):
        check_prefect()
        yield None
        return
    server = _open_ui(home) or _join(home / f"server-{socket.gethostname()}")
    os.environ["PREFECT_API_URL"] = server.api
    if server.pid is not None:
        os.environ[PRIVATE_PREFECT] = "1"
    try:
        yield server
    finally:
        del os.environ["PREFECT_API_URL"]
        os.environ.pop(PRIVATE_PREFECT, None)


def check_prefect() -> str:
    """Asks the server that ``PREFECT_API_URL`` names whether it is there; says where it is.

    Raises:
        UserError: It does not answer.
    """
    api = os.environ["PREFECT_API_URL"].rstrip("/")
    fault = _fault_of(f"{api}/health")
    if fault:
        raise UserError(
            f"Prefect does not answer at {redact_text(api)} ({fault}); start that server, mend PREFECT_API_URL, "
            "or unset it to use a private one"
        )
    return redact_text(api)


def _fault_of(url: str) -> str:
    """Why a server does not answer as Prefect does; empty where it does, be it only to ask who we are, or to wait."""
    try:
        with urlopen(url, timeout=_PROBE_S) as answer:
            said = answer.read(100).strip()
            return (
                ""
                if said == b"true" or _CLOUD in url
                else "what answers there is no Prefect API; its address ends in /api"
            )
    except HTTPError as error:
        return "" if error.code in (401, 403, 429) or _CLOUD in url else f"status {error.code}"
    except (URLError, OSError, ValueError, HTTPException) as error:
        return first_line(str(getattr(error, "reason", error)) or type(error).__name__)


def _sign_in(marks: Path) -> None:
    """Says that this process uses a server, until it ends: Prefect sends its last logs at the very end."""
    mark = marks / str(os.getpid())
    marks.mkdir(exist_ok=True)
    mark.touch()
    atexit.register(mark.unlink, missing_ok=True)


def users(marks: Path) -> list[int]:
    """Processes that use a server now."""
    found = []
    for mark in marks.glob("[1-9]*") if marks.is_dir() else ():
        if is_alive(int(mark.name)):
            found.append(int(mark.name))
        else:
            mark.unlink(missing_ok=True)
    return sorted(found)


def is_alive(pid: int) -> bool:
    """Tells whether a process of this user runs; one that was killed may have left its number to another user's."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:  # one that has ended and that its parent has not heard of yet is still there
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[0]
            != "Z"
        )
    except (OSError, IndexError):
        return True


def answers(url: str) -> bool:
    """Tells whether a server answers with success."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


def database_lock(home: Path) -> BaseFileLock:
    """Makes the lock that a server holds until it is up: two must not both make the tables of one database."""
    from filelock import FileLock

    return FileLock(home / "database.lock", thread_local=False)


def _open_ui(home: Path) -> Server | None:
    path = home / UI_FILE
    url = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if not url or not answers(f"{url}/health"):
        return None
    _sign_in(home / UI_USERS)
    return Server(url, None, home / "ui.log")


def _join(folder: Path) -> Server:
    """Signs in at this machine's private server; starts it where there is none."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / START_LOCK):
        _sign_in(folder / USERS)
        server = _running(folder)
        if server is None:
            port = _free_port()
            pid = _start(port, folder)
            server = Server(f"http://{HOST}:{port}/api", pid, folder / LOG)
            write_json_atomic(folder / ADDRESS, {"api": server.api, "pid": pid})
    return server


def _running(folder: Path) -> Server | None:
    """The private server that another run has started, if its process still lives."""
    try:
        found = json.loads((folder / ADDRESS).read_text(encoding="utf-8"))
        server = Server(str(found["api"]), int(found["pid"]), folder / LOG)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.pid is not None and is_alive(server.pid) else None


def _free_port() -> int:
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StageError(f"Prefect's server finds no free port between {_PORTS.start} and {_PORTS.stop}")


def _start(port: int, folder: Path) -> int:
    """Starts the server's process; its number."""
    loud = ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in loud}
    environment |= {
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",  # to its log, so that it says why it did not start
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    path = folder / LOG
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.unlink()
    with path.open("ab") as log:
        log.write(f"--- started for process {os.getpid()} on port {port}\n".encode())
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.services.server_process", str(folder), str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process.pid
