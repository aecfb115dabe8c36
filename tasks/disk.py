"""A full disk as one clear error, however a library words it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rlkd.errors import StageError
from rlkd.io import causes, is_disk_full


def disk_full_message(
    stage: str | None, folder: Path, finished: Sequence[str] = (), kept: str = "every finished stage"
) -> str:
    """One sentence about a full disk, with what is kept.

    Args:
        stage: The stage that met it; ``None`` outside of the stages.
        folder: What lies on that disk.
        finished: Stages of the run that are finished.
        kept: What is kept where none of these is named.
    """
    try:
        free = f" ({shutil.disk_usage(folder).free / 2**20:.0f} MiB free)"
    except OSError:
        free = ""
    kept = ", ".join(finished) if finished else kept
    if stage is not None:
        kept = (
            f"{kept}, and what {stage} has done and saved" if finished else f"what {stage} has done and saved"
        )
    return (
        f"{f'stage {stage}: ' if stage else ''}the disk that holds {folder} is full{free}; kept: {kept}; "
        "free some space and run the same command again, it goes on from there"
    )


@contextmanager
def disk_faults(
    stage: str | None, folder: Path, finished: Sequence[str] = (), kept: str = "every finished stage"
) -> Iterator[None]:
    """Turns "the disk is full", however a library words it, into one clear error; see :func:`disk_full_message`.

    Raises:
        StageError: The disk is full.
    """
    try:
        yield
    except StageError:
        raise
    except Exception as error:
        if is_disk_full(error):
            # where not even the failure can be written down, what failed first says more than that
            first = next((seen for seen in causes(error) if isinstance(seen, StageError)), None)
            raise first or StageError(disk_full_message(stage, folder, finished, kept)) from error
        raise
