"""What of a folder of runs nobody refers to any more, and its removal."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from rlkd.errors import UserError
from rlkd.pipeline.run_folder import RUN_FILE, read_run
from tasks import tracking
from tasks.runs import LOCK, LOGS, is_held
from tasks.storage import MANIFEST

_DAY_S = 86400.0


@dataclass(frozen=True)
class Leftover:
    """Something that can go.

    Attributes:
        path: The folder or file.
        why: What it is.
        mb: Its size in MiB.
    """

    path: Path
    why: str
    mb: float


def leftovers(runs: Path, days: float) -> list[Leftover]:
    """What can go from a folder of runs, the largest first.

    Stages that a run names, finished or not, stay, and so do those whose files are a registered model; and everything that
    was touched lately, as a run that was killed before it could write anything down goes on from there.

    Args:
        runs: The folder of the runs.
        days: What was touched within these stays.

    Raises:
        UserError: It cannot be known what is in use: a run works there, or its manifest cannot be read; or MLflow is away.
    """
    if not runs.is_dir():
        raise UserError(f"there is no folder {runs}; name the one that holds your runs")
    if os.environ.get("RLKD_STORE"):
        raise UserError(
            "RLKD_STORE is set: runs of other folders may use that store, so nothing is removed from it"
        )
    before = time.time() - days * _DAY_S
    found: list[Leftover] = []
    used, named = _registered(runs), ""
    for folder in sorted(path.parent for path in runs.glob(f"*/{RUN_FILE}")):
        held = is_held(folder)
        if held is None:
            raise UserError(
                f"{folder / LOCK} may not be opened, so that nobody can tell whether a run works there; let its owner clean"
            )
        if held:
            raise UserError(f"a run works in {folder}; clean when it has ended")
        manifest = read_run(folder)
        used |= {Path(entry.uri).resolve() for entry in manifest.stages if entry.uri}
        named += json.dumps(manifest.config, ensure_ascii=False)  # a setting may name a model in the store
        old = [*folder.glob("run.unreadable-*.json")]
        old += folder.glob(f"{LOGS}/*.log") if manifest.status == "done" else []
        found += [
            Leftover(path, "an old log or manifest", _size_mb(path))
            for path in old
            if _touched(path) < before
        ]
    for path in _stage_folders(runs / ".store"):
        if not _is_used(path, used) and str(path.resolve()) not in named and _touched(path) < before:
            why = (
                "a finished stage that no run names"
                if (path / MANIFEST).exists()
                else "an attempt that was given up"
            )
            found.append(Leftover(path, why, _size_mb(path)))
    for path in (runs / ".prefect" / "storage").glob("*"):
        if path.is_file() and _touched(path) < before:
            found.append(Leftover(path, "a result that Prefect kept", _size_mb(path)))
    return sorted(found, key=lambda item: -item.mb)


def remove(found: list[Leftover]) -> None:
    """Removes leftovers; a stage's manifest first, so that half a folder never looks complete."""
    for item in found:
        if item.path.is_dir():
            (item.path / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(item.path)
        else:
            item.path.unlink(missing_ok=True)


def clean_after_run(runs: Path, days: float, say: Callable[[str], None]) -> None:
    """Removes what can go when a run has ended; whatever forbids it is said and fails no run.

    Args:
        runs: The folder of the runs.
        days: What was touched within these stays (``keep.unused_days``).
        say: Told what was removed, or why nothing was.
    """
    try:
        found = leftovers(runs, days)
        remove(found)
    except Exception as error:  # the run itself is done
        say(f"keep.unused_days: nothing more was removed from {runs}: {error}")
        return
    if found:
        size = sum(item.mb for item in found)
        say(
            f"keep.unused_days: removed {len(found)} things ({size:.1f} MiB) untouched for {days:g} days in {runs}"
        )


def _stage_folders(store: Path) -> Iterator[Path]:
    for path in sorted(store.glob("*/*")):
        if path.is_dir():
            yield path


def _is_used(path: Path, used: set[Path]) -> bool:
    """Whether a run names a stage's folder, or the one in which it was being made again beside it."""
    key = path.name.partition(".")[0]
    return any(
        other.parent == path.parent.resolve() and other.name.partition(".")[0] == key for other in used
    )


def _registered(runs: Path) -> set[Path]:
    """Stage folders whose files are a registered model that MLflow did not copy."""
    uri = tracking.tracking_uri(runs)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return set()
    sources = [str(version.source) for version in tracking.client(uri).search_model_versions()]
    return {
        Path(unquote(urlparse(source).path)).resolve().parent
        for source in sources
        if source.startswith("file:")
    }


def _files(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        yield from path.rglob("*")


def _touched(path: Path) -> float:
    return max(item.lstat().st_mtime for item in _files(path))


def _size_mb(path: Path) -> float:
    return sum(item.lstat().st_size for item in _files(path) if not item.is_dir()) / 2**20
