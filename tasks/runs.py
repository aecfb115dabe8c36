"""The run folder: what a run is, its manifest (``run.json``) and its copies of the report.

``<folder>/run.json`` points into the store, ``config.yaml`` is the resolved configuration, ``logs/`` holds
the output of job processes. Only a small :class:`RunRef` travels to the tasks.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlkd.config.load import config_digest, parse_run_config, remember, resolved_yaml
from rlkd.errors import RLKDError, UserError
from rlkd.experiments.folder import check_no_experiment
from rlkd.io import held_lock, write_json_atomic, write_text_atomic
from rlkd.pipeline.run_folder import RUN_FILE, make_folder, read_run
from rlkd.pipeline.stages import downstream, stages_of
from schemas.artifact import RunManifest, StageEntry
from schemas.base import Schema
from schemas.config.run import RunConfig
from tasks.disk import disk_faults
from tasks.display import current_display
from tasks.mirror import open_mirror
from tasks.storage import Store, store_root

CONFIG_FILE = "config.yaml"
LOGS = "logs"
LOCK = ".lock"


class RunRef(Schema):
    """What tasks need to find a run again, in this process or another.

    Attributes:
        folder: The run folder.
        flow_run_id: The Prefect flow run; empty outside of one.
        mlflow_run_id: The parent run in MLflow; empty without tracking.
        tracking_uri: Where MLflow is; empty without tracking.
    """

    folder: str
    flow_run_id: str = ""
    mlflow_run_id: str = ""
    tracking_uri: str = ""

    def open(self) -> Run:
        """The run behind this reference."""
        return Run(Path(self.folder))


class Run:
    """An open run folder.

    Raises:
        UserError: The folder holds no run, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.manifest = read_run(self.folder)
        self.config: RunConfig = parse_run_config(self.manifest.config, str(self.folder / RUN_FILE))

    @functools.cached_property
    def store(self) -> Store:
        """The store of the run; one that is mirrored is asked for when a stage is made, not to look at a run."""
        return Store(Path(self.manifest.store), open_mirror())

    def update(self, **changes: Any) -> None:
        """Changes fields of the manifest, on disk too."""
        self.manifest = self.manifest.model_copy(update=changes)
        write_json_atomic(self.folder / RUN_FILE, self.manifest)

    def record(self, entry: StageEntry) -> None:
        """Adds a stage's entry, or replaces the one that is there.

        A stage that ended no longer waits to be made again, also one that is finished and lets nothing pass (it has a digest).
        """
        entries = {item.name: item for item in self.manifest.stages} | {entry.name: entry}
        order = {spec.name: place for place, spec in enumerate(stages_of(self.config))}
        stages = tuple(sorted(entries.values(), key=lambda item: order.get(item.name, len(order))))
        pending_rebuild = self.manifest.pending_rebuild
        if entry.status != "failed" or entry.sha256:
            pending_rebuild = tuple(name for name in pending_rebuild if name != entry.name)
        self.update(stages=stages, pending_rebuild=pending_rebuild, wall_seconds=self.elapsed())

    def elapsed(self) -> float:
        """Seconds since the run started."""
        if not self.manifest.started_at:
            return 0.0
        started = datetime.fromisoformat(self.manifest.started_at)
        return round((datetime.now(UTC) - started).total_seconds(), 3)

    def log(self, stage: str) -> Path:
        """Where a stage's process writes what it prints."""
        return self.folder / LOGS / f"{stage}.log"


def default_folder(config: RunConfig) -> Path:
    """``runs/<name of the configuration>``."""
    return Path("runs") / config.name


@contextmanager
def open_run(
    config: RunConfig, folder: Path, from_stage: str | None = None, whole: bool = True
) -> Iterator[Run]:
    """Starts a run, or goes on with it, in its folder; only one process at a time works in a folder.

    Who opens it says how it ended (:meth:`Run.update`); a run that ends without a word has failed.

    Args:
        config: The resolved configuration.
        folder: The run folder; made where it is missing.
        from_stage: This stage and what follows are made again even where they are finished. What of this an
            interrupted run with the same setting has already made again is not made a third time.
        whole: Whether the run goes through the whole chain; a run of some stages keeps what the folder says of
            the others, if it is of the same configuration.

    Raises:
        UserError: The folder cannot be written, or is an experiment's.
        StageError: The disk is full.
    """
    folder = folder.resolve()
    check_no_experiment(folder)
    with _held(folder):
        with disk_faults(None, folder):
            run = _begin(config, folder, from_stage, whole)
        try:
            yield run
        except BaseException:
            with contextlib.suppress(RLKDError):  # what went wrong first is what counts
                _ended(folder)
            raise
        _ended(folder)


def _ended(folder: Path) -> None:
    """A run that nobody has said anything about by its end has failed."""
    with disk_faults(None, folder):
        run = Run(folder)
        if run.manifest.status == "running":
            run.update(status="failed", wall_seconds=run.elapsed())


def _begin(config: RunConfig, folder: Path, from_stage: str | None, whole: bool) -> Run:
    """Writes the first manifest and the resolved configuration."""
    before = _earlier(folder)
    digest = config_digest(config)
    pending_rebuild: tuple[str, ...] = ()
    if from_stage is not None:
        pending_rebuild = downstream(from_stage, config)
        if before is not None and _continues(before, digest, from_stage):
            pending_rebuild = before.pending_rebuild
    keep = not whole and before is not None and before.config_digest == digest
    manifest = RunManifest(
        name=config.name,
        config=config.model_dump(mode="json"),
        config_digest=digest,
        store=str(store_root(folder)),
        stages=before.stages if keep and before is not None else (),
        started_at=datetime.now(UTC).isoformat(),
        from_stage=from_stage,
        pending_rebuild=pending_rebuild,
    )
    remember(config)
    write_json_atomic(folder / RUN_FILE, manifest)
    write_text_atomic(folder / CONFIG_FILE, resolved_yaml(config))
    return Run(folder)


def _earlier(folder: Path) -> RunManifest | None:
    """What the folder says of the run before; a file that cannot be read is renamed, and the run begins anew."""
    path = folder / RUN_FILE
    if not path.exists():
        return None
    try:
        return read_run(folder)
    except UserError:
        aside = next(
            name
            for n in itertools.count(1)
            if not (name := path.with_name(f"run.unreadable-{n}.json")).exists()
        )
        os.replace(path, aside)
        current_display().message(
            f"{path} cannot be read (damaged, or from another version): it is now {aside.name}; finished stages are reused"
        )
        return None


def _continues(before: RunManifest, digest: str, from_stage: str) -> bool:
    """Whether an interrupted run asked for the same again, and part of it is still to be made."""
    same = before.config_digest == digest and before.from_stage == from_stage
    return same and before.status != "done" and bool(before.pending_rebuild)


def is_held(folder: Path) -> bool | None:
    """Whether a process works in a run folder right now; ``None`` where that cannot be told."""
    with left_alone(folder) as free:
        return None if free is None else not free


@contextmanager
def left_alone(folder: Path) -> Iterator[bool | None]:
    """Whether nobody works in a run folder; then no run begins in it while this lasts.

    ``None`` where that cannot be told: the lock of a colleague's run, or one on a disk that is only read, cannot be opened,
    and `rlkd status` on it ended in a PermissionError.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield None
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Holds the run folder's lock; waits, and says so, while another process works in it."""
    make_folder(folder)
    wait = f"another run works in {folder}; waiting for it to end"
    with held_lock(folder / LOCK, lambda: current_display().message(wait)):
        yield
