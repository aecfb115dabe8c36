"""The one place that maps a stage over shards, on the task runner that ``launch.runner`` names.

Each shard is a Prefect task: threads of this process, or workers of a Dask or Ray cluster, which must see the same folders.
A shard that fails is run again alone, and goes on from the rows that it has written; so is one whose worker died.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from rlkd.errors import StageError, UserError
from rlkd.io import is_disk_full
from rlkd.pipeline.events import EventSink, FileSink
from rlkd.pipeline.jobs import Job, JobFailure, context_of
from rlkd.pipeline.shards import Shard
from rlkd.pipeline.stages import load_function
from schemas.config.training import LaunchConfig, RunnerConfig
from tasks.jobs import Follower, as_error, run_job
from tasks.launching import gpu_of

RETRIES = 2
"""Times that a shard is run again by itself before the stage fails."""
EVENTS = "shard.jsonl"
_LOOK_S = 0.2


def run_shards(
    job: Job, work: Path, log: Path, launch: LaunchConfig, events: EventSink, *, own_process: bool
) -> None:
    """Makes all shards of a stage, side by side.

    Args:
        job: The stage's job, without a shard.
        work: The stage's ``work/`` folder.
        log: File for what their processes print.
        launch: How many there are, and where they run.
        events: Told their progress together, and their messages.
        own_process: Whether each is a process of its own.

    Raises:
        UserError: A shard says that something is wrong that the user can mend, or there is no such runner.
        StageError: A shard failed each time.
    """
    shards = [Shard(index, launch.shards) for index in range(launch.shards)]
    jobs = [_job_of(job, shard) for shard in shards]
    folders = [work / shard.name for shard in shards]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EVENTS).unlink(missing_ok=True)
    told = _Together(events, len(shards))
    followers = [Follower(folder / EVENTS, told.of(i)) for i, folder in enumerate(folders)]
    make = task(
        name=f"{job.stage} shard",
        retries=RETRIES,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )(run_shard)
    with ThreadPoolExecutor(len(shards)) as waiters, _runner(launch.runner, launch.shards) as runner:
        futures = [
            runner.submit(
                make,
                parameters={
                    "job": one.model_dump(mode="json"),
                    "work": str(folder),
                    "log": str(log),
                    "own_process": own_process,
                    "grace_s": launch.grace_s,
                },
            )
            for one, folder in zip(jobs, folders, strict=True)
        ]
        waiting = [waiters.submit(future.result) for future in futures]
        while not all(one.done() for one in waiting):
            for follower in followers:
                follower.forward()
            time.sleep(_LOOK_S)
        for follower in followers:
            follower.forward()
    _raise_first(job.stage, waiting, log)


def _job_of(job: Job, shard: Shard) -> Job:
    lock = f"{job.lock}.{shard.name}" if job.lock else ""
    return job.model_copy(update={"shard": (shard.index, shard.count), "lock": lock})


def run_shard(
    job: dict[str, Any], work: str, log: str, own_process: bool, grace_s: float
) -> dict[str, str] | None:
    """Makes one shard, wherever this runs.

    Returns:
        What the user must mend (trying again would not help), as a :class:`~rlkd.pipeline.jobs.JobFailure`; ``None``
        where it is made.

    Raises:
        StageError: It failed; it is run again.
    """
    made = Job.model_validate(job)
    sink = FileSink(Path(work) / EVENTS)
    try:
        if own_process:
            index = made.shard[0] if made.shard is not None else 0
            run_job(made, Path(work), Path(log), LaunchConfig(grace_s=grace_s), sink, gpu_of(index))
        else:
            load_function(made.function)(context_of(made, sink))
    except UserError as error:
        return {"kind": "user", "type": type(error).__name__, "message": str(error)}
    except Exception as error:  # plain text: not every exception survives the way back from another machine
        if is_disk_full(error):
            raise OSError(28, "No space left on device") from None
        raise StageError(f"{type(error).__name__}: {error}") from error
    return None


def _raise_first(stage: str, waiting: Sequence[Any], log: Path) -> None:
    for i, one in enumerate(waiting):
        error = one.exception()
        if error is not None:
            if is_disk_full(error):
                raise error
            raise StageError(
                f"stage {stage}: shard {i + 1} of {len(waiting)} failed {RETRIES + 1} times ({error}); the other shards and "
                "what it had made are kept: run again to go on"
            ) from error
        if (failure := one.result()) is not None:
            raise as_error(JobFailure.model_validate(failure), stage, log)


def _runner(config: RunnerConfig, count: int) -> Any:
    """Makes the Prefect task runner.

    Raises:
        UserError: Its package is not installed, or its cluster cannot be reached.
    """
    if config.type == "threads":
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=min(count, config.workers or count))
    try:
        if config.type == "dask":
            from prefect_dask import DaskTaskRunner

            local = {
                "n_workers": config.workers,
                "threads_per_worker": 1,
                "dashboard_address": None,
                "silence_logs": 30,
            }
            cluster: dict[str, Any] = (
                {"address": config.address}
                if config.address
                else {"cluster_kwargs": {**local, "host": "127.0.0.1"}}
            )
            return DaskTaskRunner(**cluster)
        from prefect_ray import RayTaskRunner

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        alone = {"num_cpus": config.workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        return RayTaskRunner(address=config.address, init_kwargs={} if config.address else alone)
    except ImportError as error:
        raise UserError(
            f"launch.runner is {config.type}, but {error.name or config.type} is not installed; "
            f"pip install 'rlkd[{config.type}]', or set launch.runner.type to threads"
        ) from None


class _Together:
    """The progress of all shards as one."""

    def __init__(self, events: EventSink, count: int) -> None:
        self.events = events
        self.done = [(0, 0)] * count

    def of(self, index: int) -> EventSink:
        """What hears one shard."""
        return _One(self, index)


class _One:
    def __init__(self, together: _Together, index: int) -> None:
        self.together = together
        self.index = index

    def progress(self, done: int, total: int, what: str = "") -> None:
        self.together.done[self.index] = (done, total)
        pairs = self.together.done
        self.together.events.progress(sum(d for d, _ in pairs), sum(t for _, t in pairs), what)

    def metrics(self, step: int, values: Any) -> None:
        self.together.events.metrics(step, values)

    def message(self, text: str) -> None:
        self.together.events.message(f"shard {self.index + 1}: {text}")
