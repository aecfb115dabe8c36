"""``rlkd ui``: Prefect and MLflow over a folder of runs, on this machine only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from flows.services.environment import PREFECT_FOLDER, use_local_services
from flows.services.private_server import (
    HOST,
    UI_FILE,
    UI_USERS,
    answers,
    check_prefect,
    database_lock,
    users,
)
from rlkd.errors import StageError, UserError
from rlkd.io import write_text_atomic

_START_S = 300.0
_LEFT = {"*/attempt.json": 0, "*/tracking/*.jsonl": 1}
"""What killed runs, and those whose MLflow was away, leave in their folders; and how far up the folder is."""
_STOP_S = 10.0


def serve(runs: str, prefect_port: int, mlflow_port: int) -> None:
    """Starts both servers, prints their addresses, and stops them at Ctrl-C.

    A server that ``PREFECT_API_URL`` or ``MLFLOW_TRACKING_URI`` names runs already: its address is printed instead.

    Raises:
        UserError: There is no such folder, or a server that a variable names does not answer.
        StageError: A server did not start.
    """
    folder = Path(runs)
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; name the one that holds your runs, or make a run first"
        )
    servers: dict[str, subprocess.Popen[bytes]] = {}
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        for name, address in {
            "Prefect": _start_prefect(folder, prefect_port, servers),
            "MLflow": _start_mlflow(folder, mlflow_port, servers),
        }.items():
            print(f"{name}: {address}", flush=True)
        if servers:
            with database_lock(folder / PREFECT_FOLDER) if _prefect(servers) else nullcontext():
                _wait_until_up(servers, folder)
            _announce(folder, servers)
        settle_killed_runs(folder, _prefect(servers).removesuffix("/health"))
        if servers:
            print("ready; Ctrl-C stops both" if len(servers) == 2 else "ready; Ctrl-C stops it", flush=True)
            _watch(servers)
    except KeyboardInterrupt:
        if _prefect(servers):
            _let_runs_end(folder / PREFECT_FOLDER)
        print("stopped")
    finally:
        if _prefect(servers):
            (folder / PREFECT_FOLDER / UI_FILE).unlink(missing_ok=True)
        _stop(list(servers.values()))
        signal.signal(signal.SIGTERM, previous)


def settle_killed_runs(runs: Path, prefect: str) -> None:
    """Closes what killed runs have left running, and delivers to MLflow what it has not got yet.

    Args:
        runs: The folder of the runs.
        prefect: The API of the Prefect server that was started here; empty where ``PREFECT_API_URL`` names one.
    """
    folders = sorted({path.parents[depth] for pattern, depth in _LEFT.items() for path in runs.glob(pattern)})
    if not folders:
        return
    from tasks import tracking
    from tasks.attempts import close_killed
    from tasks.runs import left_alone

    if prefect:
        os.environ["PREFECT_API_URL"] = prefect
    uri = tracking.tracking_uri(runs)
    try:
        for folder in folders:
            with left_alone(folder) as free:
                if not free:
                    continue  # a run works in it
                if count := tracking.deliver_leftovers(folder, uri, _say):
                    _say(f"{folder}: {count} entries that waited for MLflow are delivered")
                if close_killed(folder, uri, None, _say):
                    _say(f"{folder}: its run was killed; Prefect and MLflow show it as ended now")
    finally:
        if prefect:
            del os.environ["PREFECT_API_URL"]


def _say(text: str) -> None:
    print(text, flush=True)


def _let_runs_end(home: Path) -> None:
    """Waits for the runs that use the Prefect server: without it they would fail. Another Ctrl-C does not wait."""
    (home / UI_FILE).unlink(missing_ok=True)  # runs that start now use a server of their own
    if not (running := users(home / UI_USERS)):
        return
    who = "a run uses" if len(running) == 1 else f"{len(running)} runs use"
    names = ", ".join(map(str, running))
    print(
        f"{who} this Prefect server (process {names}); it stops when they end. Ctrl-C again stops it now, and them",
        flush=True,
    )
    try:
        while users(home / UI_USERS):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass


def _announce(runs: Path, servers: dict[str, subprocess.Popen[bytes]]) -> None:
    """Lets runs that start now use this Prefect server, so that its pages show them live."""
    if url := _prefect(servers):
        write_text_atomic(runs / PREFECT_FOLDER / UI_FILE, url.removesuffix("/health") + "\n")


def _prefect(servers: dict[str, subprocess.Popen[bytes]]) -> str:
    """Where the Prefect server that was started here says that it is well; empty where somebody else's is used."""
    return next((url for url in servers if url.endswith("/api/health")), "")


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _start_prefect(runs: Path, port: int, servers: dict[str, subprocess.Popen[bytes]]) -> str:
    if os.environ.get("PREFECT_API_URL"):
        return check_prefect().removesuffix("/api")
    home = use_local_services(runs)
    shutil.rmtree(home / UI_USERS, ignore_errors=True)  # nobody uses what does not run yet
    chosen = free_port(port)
    command = [
        sys.executable,
        "-P",
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        HOST,
        "--port",
        str(chosen),
    ]
    # Schedules and late runs belong to a server that stays up; a run's own private one goes without.
    kept = {
        k: v for k, v in os.environ.items() if not (k.startswith("PREFECT_SERVER_SERVICES_") and v == "false")
    }
    kept |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_UI_API_URL": f"http://{HOST}:{chosen}/api"}
    servers[f"http://{HOST}:{chosen}/api/health"] = _start(command, kept, runs / PREFECT_FOLDER / "ui.log")
    return f"http://{HOST}:{chosen}"


def _start_mlflow(runs: Path, port: int, servers: dict[str, subprocess.Popen[bytes]]) -> str:
    from tasks.tracking import check_tracking, tracking_uri

    if os.environ.get("MLFLOW_TRACKING_URI"):
        return check_tracking(runs)
    home = runs.resolve() / ".mlflow"
    home.mkdir(exist_ok=True)
    chosen = free_port(port)
    command = [
        *(sys.executable, "-P", "-m"),
        "mlflow",
        "server",
        "--host",
        HOST,
        "--port",
        str(chosen),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        tracking_uri(runs),
        "--artifacts-destination",
        (home / "artifacts").as_uri(),
    ]
    servers[f"http://{HOST}:{chosen}/health"] = _start(command, dict(os.environ), home / "ui.log")
    return f"http://{HOST}:{chosen}"


def _start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a server that ends with this process, however that ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "rlkd.pipeline.jobs", "--exec", *command],
            env={**environment, "RLKD_PARENT_PID": str(os.getpid())},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def free_port(first: int) -> int:
    """The first free port from a number on.

    Raises:
        UserError: None of the next hundred is free.
    """
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UserError(
        f"no port from {first} to {first + 99} is free; name another with --prefect-port or --mlflow-port"
    )


def _wait_until_up(servers: dict[str, subprocess.Popen[bytes]], runs: Path) -> None:
    end = time.monotonic() + _START_S
    waiting = dict(servers)
    while waiting:
        for url, process in list(waiting.items()):
            if process.poll() is not None or time.monotonic() > end:
                raise StageError(
                    f"the server behind {url} did not start; its log is in {runs}/.prefect or {runs}/.mlflow"
                )
            if answers(url):
                del waiting[url]
        time.sleep(0.3)


def _watch(servers: dict[str, subprocess.Popen[bytes]]) -> None:
    while True:
        for url, process in servers.items():
            if process.poll() is not None:
                raise StageError(f"the server behind {url} ended by itself (exit code {process.returncode})")
        time.sleep(1)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
