"""Starts a stage's own process, follows it live, and makes sure that it never outlives its run.

One process is ``python -P -m rlkd.pipeline.jobs JOB.json``; several are ``accelerate launch ... -m rlkd.pipeline.jobs
JOB.json``. ``-P``, and ``PYTHONSAFEPATH`` for what a launcher starts in turn, keep the folder in which the run was
started off the import path: a ``schemas.py`` or ``random.py`` that a user has there must not stand in for ours.
The process gets its own session. When the run is cancelled, interrupted or fails, its group gets SIGTERM
(training leaves a checkpoint), then SIGKILL after ``launch.grace_s``; when the run is killed, the kernel
sends the SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rlkd import errors
from rlkd.errors import RLKDError, StageError, UserError
from rlkd.io import held_lock, is_disk_full, write_text_atomic
from rlkd.pipeline.events import EventSink
from rlkd.pipeline.jobs import ERROR, EVENTS, EXIT_DISK_FULL, RESULT, Job, JobFailure, describe
from schemas.artifact import Made
from schemas.config.training import LaunchConfig
from tasks.launching import command

POLL_S = 0.1

_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""glibc hands every buffer of more than 32 MB back to the kernel and gets it anew, page by page: on a CPU a seventh of an
RL step of the demo. Buffers of up to 1 GiB are kept and used again. Other C libraries ignore this."""


def run_job(
    job: Job,
    work: Path,
    log: Path,
    launch: LaunchConfig,
    events: EventSink,
    environment: Mapping[str, str] | None = None,
) -> Made:
    """Runs a job to its end in a process of its own.

    Args:
        job: What to run.
        work: Folder for the job file, its events and its result.
        log: File that gets the process's output (appended).
        launch: How processes start.
        events: Told the job's progress, metrics and messages while it runs.
        environment: Variables for its process, beside those of this one.

    Raises:
        UserError: The stage said that something is wrong that the user can mend.
        StageError: It failed, or ended without a result.
    """
    path = work / "job.json"
    _await_orphan(job, events)
    for name in (RESULT, ERROR, EVENTS):
        (work / name).unlink(missing_ok=True)
    write_text_atomic(path, describe(job))
    follower = Follower(work / EVENTS, events)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"--- {job.stage}: {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())
        output.flush()
        with _process(command(path, launch), output, launch.grace_s, environment or {}) as process:
            while process.poll() is None:
                follower.forward()
                time.sleep(POLL_S)
            follower.forward()
    return _outcome(job, process.returncode, work, log)


def _await_orphan(job: Job, events: EventSink) -> None:
    """Waits for the process of a killed run that is still saving its checkpoint in the same folder."""
    if not job.lock:
        return
    with held_lock(
        Path(job.lock), lambda: events.message("waiting for the process of an earlier attempt to end")
    ):
        pass


@contextmanager
def _process(
    arguments: list[str], output: IO[bytes], grace_s: float, further: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own that is gone when this ends, however it ends."""
    # Threads that wait for work by spinning take the cores from whoever has some: on a busy machine a
    # training step took twice the CPU time and up to 30 times the wall time.
    quiet = {"OMP_WAIT_POLICY": "PASSIVE"}
    environment = {
        **quiet,
        **_KEEP_MEMORY,
        **os.environ,
        **further,
        "RLKD_PARENT_PID": str(os.getpid()),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        arguments,
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            _stop(process, grace_s)


def _stop(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """SIGTERM to the whole group, a time of grace for its checkpoint, then SIGKILL."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=grace_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # all of them have ended


def _outcome(job: Job, code: int, work: Path, log: Path) -> Made:
    """Reads what the process left: its result or its error."""
    failure_path, result_path = work / ERROR, work / RESULT
    if code == 0 and result_path.exists():
        return Made.model_validate_json(result_path.read_text(encoding="utf-8"))
    if failure_path.exists():
        raise as_error(
            JobFailure.model_validate_json(failure_path.read_text(encoding="utf-8")), job.stage, log
        )
    if code == 0:
        raise StageError(f"stage {job.stage}: its process ended without a result; its log is {log}")
    if code == EXIT_DISK_FULL or is_disk_full(RuntimeError(tail(log, 3))):
        raise OSError(28, f"No space left on device (log: {log})")
    reason = (
        f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    )
    hint = "; perhaps the machine ran out of memory" if code == -signal.SIGKILL else ""
    raise StageError(
        f"stage {job.stage}: its process {reason}{hint}; its log is {log}, which ends: {tail(log, 1)}"
    )


def as_error(failure: JobFailure, stage: str, log: Path) -> Exception:
    """Turns the error of a job process into the same kind of error in this process."""
    kind = getattr(errors, failure.type, None)
    known = isinstance(kind, type) and issubclass(kind, RLKDError)
    if failure.kind == "user":
        return kind(failure.message) if known and kind is not None else UserError(failure.message)
    if failure.kind == "stage":
        text = (
            failure.message if failure.message.startswith("stage ") else f"stage {stage}: {failure.message}"
        )
        return kind(text) if known and kind is not None else StageError(text)
    if is_disk_full(RuntimeError(f"{failure.message}\n{failure.traceback}")):
        return OSError(28, "No space left on device")
    return StageError(f"stage {stage}: {failure.type}: {failure.message}; the full error is in {log}")


def tail(log: Path, lines: int) -> str:
    """Reads the last lines of a log that say something."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        text = file.read().decode("utf-8", "replace")
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])


class Follower:
    """Reads a growing events file and passes on every whole line."""

    def __init__(self, path: Path, events: EventSink) -> None:
        self.path = path
        self.events = events
        self.offset = 0

    def forward(self) -> None:
        """Passes on what came since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            self._dispatch(json.loads(line))

    def _dispatch(self, event: dict[str, object]) -> None:
        match event:
            case {"type": "progress", "done": int(done), "total": int(total), "what": str(what)}:
                self.events.progress(done, total, what)
            case {"type": "metrics", "step": int(step), "values": dict(values)}:
                self.events.metrics(step, values)
            case {"type": "message", "text": str(text)}:
                self.events.message(text)
            case _:
                raise StageError(f"{self.path}: unknown event {event}")
