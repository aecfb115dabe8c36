"""The store: finished stages by identity, shared between runs.

``<store>/<stage>/<identity>/`` holds one stage's files. It is complete only when its ``manifest.json``
is there, which is written last and atomically. Unfinished private work lives in ``work/`` inside it and
goes when the stage completes. One lock per identity: a second run waits, then reuses.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from rlkd.errors import UserError
from rlkd.io import held_lock, sha256_json, write_json_atomic, write_text_atomic
from schemas.artifact import Made, StageManifest
from tasks.disk import disk_faults
from tasks.identity import StageIdentity, file_digest
from tasks.mirror import Lock, Mirror, lost, mirror_url

MANIFEST = "manifest.json"
WORK = "work"
REDO = ".redo"
"""Suffix of the folder in which a finished stage is made again: the old one stays until the new one is complete."""

Notice = Callable[[str], None]
"""Takes one line that a person should see."""


def store_root(run_folder: Path) -> Path:
    """The store of a run: ``$RLKD_STORE``, or ``.store`` beside the run folder, also where ``$RLKD_STORE`` is a URL (a mirror)."""
    chosen = os.environ.get("RLKD_STORE")
    if chosen and not mirror_url():
        return Path(chosen).expanduser().resolve()
    return run_folder.resolve().parent / ".store"


class Clock:
    """Seconds and memory that a stage has cost over all its attempts, kept in its ``work/`` folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / WORK / "clock.json"
        before = self._read()
        self.earlier_s = float(before.get("seconds", 0.0))
        self.peak_mb = float(before.get("peak_rss_mb", 0.0))
        self.attempt = int(before.get("attempts", 0)) + 1
        self.started = time.monotonic()
        self._saved = self.started
        self.save()

    def _read(self) -> dict[str, float]:
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def seconds(self) -> float:
        """Seconds so far, earlier attempts included."""
        return self.earlier_s + time.monotonic() - self.started

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done while this lasts is no time of the stage's."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.started += time.monotonic() - began

    def peak(self, mb: float) -> float:
        """The larger of a figure and the peak memory so far, earlier attempts included."""
        return max(mb, self.peak_mb)

    def tick(self, every_s: float = 5.0) -> None:
        """Saves now and then, so that a killed attempt still counts."""
        if time.monotonic() - self._saved >= every_s:
            self.save()

    def save(self, peak_rss_mb: float = 0.0) -> None:
        """Writes the figures."""
        self._saved = time.monotonic()
        self.peak_mb = self.peak(peak_rss_mb)
        write_json_atomic(
            self.path,
            {"seconds": self.seconds, "peak_rss_mb": self.peak_mb, "attempts": self.attempt},
        )


Build = Callable[[Path, Clock], Made]


class Store:
    """Stage folders by identity.

    Args:
        root: Folder of the store; made where it is missing.
        mirror: Where finished stages are fetched from and pushed to; ``None`` for nowhere.

    Raises:
        UserError: The folder cannot be made or written.
    """

    def __init__(self, root: Path, mirror: Mirror | None = None) -> None:
        self.root = root
        self.mirror = mirror
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot make the store {root}: {error.strerror}; choose another --output, or set RLKD_STORE"
            ) from error

    def folder(self, identity: StageIdentity) -> Path:
        """The folder in which an identity is made, whether it exists or not."""
        return self.root / identity.stage / identity.key[:16]

    def folder_of(self, manifest: StageManifest) -> Path:
        """The folder of a finished stage."""
        return self.root / manifest.stage / manifest.identity[:16]

    def job_lock(self, identity: StageIdentity) -> Path:
        """Lock that a job process holds for its whole life (it may outlive the run that started it)."""
        folder = self.folder(identity)
        return folder.with_name(folder.name + ".job.lock")

    def find(self, identity: StageIdentity, notice: Notice = lambda _: None) -> StageManifest | None:
        """The manifest of a complete stage whose files are all as they were; ``None`` otherwise.

        Args:
            identity: The stage.
            notice: Told why a folder that claims to be complete is not used.
        """
        folder = self.folder(identity)
        manifest, fault = read_manifest(folder)
        if manifest is not None and not fault:
            fault = fault_of(folder, manifest, identity)
        if fault:
            notice(f"{identity.stage}: {fault}; making it again")
            return None
        return manifest or self._earlier(identity)

    def _earlier(self, identity: StageIdentity) -> StageManifest | None:
        """The same stage as an earlier release finished it, under the identity of that release."""
        for path in sorted((self.root / identity.stage).glob(f"*/{MANIFEST}")):
            manifest, _ = read_manifest(path.parent)
            if (
                manifest is not None
                and path.parent == self.folder_of(manifest)
                and identity.serves(manifest)
                and not fault_of(path.parent, manifest)
            ):
                return manifest
        return None

    @contextmanager
    def locked(self, identity: StageIdentity, notice: Notice) -> Iterator[None]:
        """Holds the lock of an identity; says so once when it has to wait for another run."""
        folder = self.folder(identity)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(folder.name + ".lock")
        with held_lock(lock, lambda: notice(f"{identity.stage}: another run is making it; waiting")):
            yield

    def make(
        self,
        identity: StageIdentity,
        build: Build,
        *,
        run: str = "",
        force: bool = False,
        finished: Sequence[str] = (),
        keep: Sequence[str] = (),
        notice: Notice = lambda _: None,
    ) -> tuple[StageManifest, bool]:
        """Returns a finished stage, building it only where it is not finished yet.

        Args:
            identity: The stage.
            build: Writes the stage's files into the folder it is given; continues what an earlier attempt left.
            run: Name of the run, for the manifest.
            force: Build again even where it is finished; the old folder stays until the new one is complete.
            finished: Stages of the run that are finished; named as kept where the disk is full.
            keep: Folders in the private ``work/`` that stay, in the stage's own folder, when it is finished.
            notice: Told about waiting and about faults in finished folders.

        Returns:
            The manifest, and whether it was reused.

        Raises:
            StageError: The disk is full.
        """
        with (
            disk_faults(identity.stage, self.root, finished),
            self.locked(identity, notice),
            self._shared(identity, notice) as lock,
        ):
            final = self.folder(identity)
            if _finish_swap(final):
                force = False  # an earlier forced attempt was complete but for its renaming
            found = self.find(identity, notice)
            if found is None and not force and self._fetched(identity, notice):
                found = self.find(identity, notice)
            if found is not None and not force:
                self._publish(found, lock)
                _end_work(final, keep)
                _remove(final.with_name(final.name + REDO))
                return found, True
            if found is None and (final / MANIFEST).exists():
                _remove(final)
            target = final.with_name(final.name + REDO) if (final / MANIFEST).exists() else final
            (target / WORK).mkdir(parents=True, exist_ok=True)
            clock = Clock(target)
            try:
                built = build(target, clock)
            except BaseException:
                with disk_faults(identity.stage, self.root, finished):
                    clock.save()
                raise
            manifest = _seal(target, identity, built, clock, run)
            _end_work(target, keep)
            _swap(target, final)
            self._publish(manifest, lock)
            return manifest, False

    def _shared(self, identity: StageIdentity, notice: Notice) -> AbstractContextManager[Lock | None]:
        """The lock that holds across machines, where there is a mirror."""
        if self.mirror is None:
            return nullcontext()
        return self.mirror.locked(identity.stage, identity.key[:16], notice)

    def _fetched(self, identity: StageIdentity, notice: Notice) -> bool:
        """Fetches a stage that another machine has finished; whether there was one."""
        if self.mirror is None:
            return False
        found = self.mirror.fetch(identity.stage, identity.key[:16], self.folder(identity), fault_of)
        if found:
            notice(f"{identity.stage}: fetched from {self.mirror.url}")
        return found

    def _publish(self, manifest: StageManifest, lock: Lock | None) -> None:
        """Pushes a finished stage to the mirror.

        Raises:
            StageError: Another machine has taken over.
        """
        if self.mirror is None or lock is None:
            return
        if not lock.held():
            raise lost(manifest.stage)
        self.mirror.push(self.folder_of(manifest), manifest, manifest.identity[:16])


def read_manifest(folder: Path) -> tuple[StageManifest | None, str]:
    """Reads a folder's manifest: (manifest, "") when complete, (None, "") when not, (None, fault) when unreadable."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, ""
    except UnicodeDecodeError:
        return None, f"{path} is not text"
    try:
        return StageManifest.model_validate_json(text), ""
    except ValidationError:
        return None, f"{path} cannot be read (damaged, or from another version)"


def fault_of(folder: Path, manifest: StageManifest, identity: StageIdentity | None = None) -> str:
    """What is wrong with a complete folder; empty when all is as it was sealed."""
    if identity is not None and (manifest.identity != identity.key or manifest.stage != identity.stage):
        return f"{folder / MANIFEST} belongs to another stage"
    if sha256_json(manifest.files) != manifest.sha256:
        return f"{folder / MANIFEST} was changed"
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if file_digest(path) != digest:
            return f"{path} was changed"
    return ""


def _published(folder: Path) -> list[Path]:
    """The files that a manifest covers."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_dir() or relative.parts[0] == WORK or relative.as_posix() == MANIFEST:
            continue
        if path.name.startswith(".") and path.name.endswith(".tmp"):
            path.unlink()
            continue
        files.append(path)
    return files


def _seal(folder: Path, identity: StageIdentity, built: Made, clock: Clock, run: str) -> StageManifest:
    """Digests and syncs a stage's files, and writes its manifest last."""
    files: dict[str, str] = {}
    for path in _published(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files[path.relative_to(folder).as_posix()] = file_digest(path)
    manifest = StageManifest(
        stage=identity.stage,
        identity=identity.key,
        stage_version=identity.version,
        sha256=sha256_json(files),
        files=files,
        inputs=identity.inputs,
        config=identity.config,
        result=built.result,
        seconds=round(clock.seconds, 3),
        peak_rss_mb=round(clock.peak(built.peak_rss_mb), 1),
        peak_gpu_mb=round(built.peak_gpu_mb, 1),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mlflow_run_id=built.mlflow_run_id,
        run=run,
    )
    write_text_atomic(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _end_work(folder: Path, keep: Sequence[str]) -> None:
    """Removes a finished stage's private work but for what is kept, which moves into the stage's folder.

    The manifest is there already and does not cover it: who removes it later harms nothing.
    """
    for name in keep:
        if (folder / WORK / name).is_dir():
            _remove(folder / name)
            os.replace(folder / WORK / name, folder / name)
    _remove(folder / WORK)


def _swap(new: Path, final: Path) -> None:
    """Puts a remade folder in the place of the old one; nothing to do where it was made there."""
    if new == final:
        return
    old = final.with_name(final.name + ".old")
    os.replace(final, old)
    os.replace(new, final)
    _remove(old)


def _finish_swap(final: Path) -> bool:
    """Completes a swap that a crash cut off; whether there was one."""
    new = final.with_name(final.name + REDO)
    _remove(final.with_name(final.name + ".old"))
    if not (new / MANIFEST).exists():
        return False
    _remove(final)
    os.replace(new, final)
    return True


def _remove(folder: Path) -> None:
    """Removes a folder where there is one, its manifest first, so that half a folder never looks complete."""
    if folder.is_dir():
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)
