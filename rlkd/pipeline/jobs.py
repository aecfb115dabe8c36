"""Entry point of a stage's own process: ``python -P -m rlkd.pipeline.jobs JOB.json``.

The job file says everything: which stage, its function, the configuration, the input folders and the
stage's folder. The result goes to ``result.json`` beside the job file, an error to ``error.json``,
progress and step metrics to ``events.jsonl``. So a job can be run again by hand, without Prefect.

``python -P -m rlkd.pipeline.jobs --exec COMMAND...`` ties a launcher (``accelerate launch``) to the life of its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pydantic import Field, ValidationError

from rlkd.config.load import parse_run_config
from rlkd.errors import RLKDError, UserError
from rlkd.io import held_lock, is_disk_full, write_json_atomic
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import EventSink, FileSink, NullSink
from rlkd.pipeline.shards import Shard
from rlkd.pipeline.stages import load_function
from schemas.artifact import Made
from schemas.base import JsonValue, Schema

RESULT, ERROR, EVENTS = "result.json", "error.json", "events.jsonl"
EXIT_USER, EXIT_FAILED, EXIT_DISK_FULL, EXIT_TERMINATED = 2, 1, 28, 143
_PR_SET_PDEATHSIG = 1


class Job(Schema):
    """A job file.

    Attributes:
        stage: Name of the stage.
        function: ``module:name`` of its function.
        config: The whole resolved configuration; validated once, by the process that runs the job.
        inputs: Folder of each finished input stage.
        folder: The stage's own folder.
        lock: File that is locked for as long as the job lives, so that two never write one folder.
        shard: Number of the shard that it makes, and of how many; ``None`` for the whole stage.
    """

    stage: str
    function: str
    config: dict[str, JsonValue]
    inputs: dict[str, str] = Field(default_factory=dict)
    folder: str
    lock: str = ""
    shard: tuple[int, int] | None = None


class JobFailure(Schema):
    """Why a job failed.

    Attributes:
        kind: ``user`` for what the user can mend, ``stage`` for a refusal or failure that was foreseen, ``crash``.
        type: Name of the exception's class.
        message: Its text.
        traceback: The traceback; for the log, not for the terminal.
    """

    kind: str
    type: str
    message: str
    traceback: str = ""


class Terminated(BaseException):
    """SIGTERM came, and nothing nearer handles it."""


def die_with_parent() -> None:
    """Asks the kernel (Linux) for SIGTERM when the parent dies; elsewhere does nothing."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    expected = os.environ.get("RLKD_PARENT_PID")
    if expected and os.environ.get("LOCAL_RANK") is None and str(os.getppid()) != expected:
        os.kill(os.getpid(), signal.SIGTERM)  # the parent died before the call above


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # the figure of getrusage includes what the parent had when it started this process
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_gpu_mb() -> float:
    """Most memory that PyTorch has reserved on a GPU in this process so far, in MiB; 0 without one."""
    torch = sys.modules.get("torch")  # a process that has not imported it has used no GPU
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    return float(torch.cuda.max_memory_reserved()) / 2**20


def read_job(path: Path) -> Job:
    """Reads a job file.

    Raises:
        UserError: There is none, or it does not fit.
    """
    try:
        return Job.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no job file {path}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where}: {first['msg']}") from None


def run_job(path: Path) -> Made:
    """Runs a job in this process and writes its result; of several processes, only the first one writes."""
    job = read_job(path)
    first = int(os.environ.get("RANK", "0")) == 0
    events: EventSink = FileSink(path.with_name(EVENTS)) if first else NullSink()
    with _held(job.lock if first else "", events):
        made = load_function(job.function)(context_of(job, events, str(path)))
        result = Made(result=made, peak_rss_mb=peak_rss_mb(), peak_gpu_mb=peak_gpu_mb())
        if first:
            write_json_atomic(path.with_name(RESULT), result)
    return result


def context_of(job: Job, events: EventSink, name: str = "configuration") -> StageContext[Any]:
    """Makes what the job's stage function gets."""
    return StageContext(
        config=parse_run_config(job.config, name),
        inputs={name: Path(folder) for name, folder in job.inputs.items()},
        folder=Path(job.folder),
        events=events,
        shard=Shard(*job.shard) if job.shard is not None else None,
    )


@contextmanager
def _held(lock: str, events: EventSink) -> Iterator[None]:
    """Holds the job's lock; waits for an orphan of a killed run that is still saving its checkpoint."""
    if not lock:
        yield
        return
    with held_lock(
        Path(lock), lambda: events.message("waiting for the process of an earlier attempt to end")
    ):
        yield


def raise_terminated(signum: int, frame: FrameType | None) -> None:
    """A handler for SIGTERM that unwinds the stack, so that everything is left in order."""
    raise Terminated(signum)


def _failure(error: BaseException) -> JobFailure:
    kind = "user" if isinstance(error, UserError) else "stage" if isinstance(error, RLKDError) else "crash"
    text = "".join(traceback.format_exception(error))
    return JobFailure(
        kind=kind, type=type(error).__name__, message=str(error) or type(error).__name__, traceback=text
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job file; returns the exit code: 0 done, 2 user error, 1 failure, 28 disk full, 143 terminated."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--exec"] and len(arguments) > 1:
        die_with_parent()
        os.environ["RLKD_PARENT_PID"] = str(os.getpid())  # the launcher keeps this process's id
        _replace_process(arguments[1:])
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -P -m rlkd.pipeline.jobs JOB.json", file=sys.stderr)
        return EXIT_USER
    path = Path(arguments[0]).resolve()
    if os.environ.get("RLKD_PARENT_PID"):
        die_with_parent()
    signal.signal(signal.SIGTERM, raise_terminated)
    try:
        run_job(path)
    except (Terminated, KeyboardInterrupt):
        print("terminated", file=sys.stderr)
        return EXIT_TERMINATED
    except Exception as error:  # the boundary of the process: every fault is reported to the parent
        return _report(error, path)
    return 0


def _report(error: Exception, path: Path) -> int:
    """Tells the parent what happened, as far as the disk allows; returns the exit code."""
    failure = _failure(error)
    print(failure.traceback, file=sys.stderr)
    full = is_disk_full(error)
    try:
        # Of several processes the first fault counts.
        if path.parent.is_dir() and not path.with_name(ERROR).exists():
            write_json_atomic(path.with_name(ERROR), failure)
    except OSError as second:
        full = full or is_disk_full(second)
        print(f"the error could not be written: {second}", file=sys.stderr)
    if full:
        return EXIT_DISK_FULL
    return EXIT_USER if failure.kind == "user" else EXIT_FAILED


def _replace_process(command: list[str]) -> NoReturn:
    os.execvp(command[0], command)


def describe(job: Job) -> str:
    """A job file's text."""
    return json.dumps(job.model_dump(mode="json"), indent=2)


if __name__ == "__main__":
    sys.exit(main())
