"""What the checks of both kinds of run have in common: tokenizer, output folder, sizes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.check.findings import Findings
from rlkd.errors import UserError
from rlkd.hub import OFFLINE, go_offline_if_cut_off
from schemas.config.run import RunConfig

if TYPE_CHECKING:
    from rlkd.student.examine import Sizes


def first_findings(config: RunConfig, offline: bool = False) -> Findings:
    """Makes the findings that every check begins with: the configuration itself, and whether the hub can be reached."""
    found = Findings()
    found.add("configuration", f"{config.name}: {config.description or 'no description'}")
    if offline:
        os.environ[OFFLINE] = "1"
        found.add("offline", "what is not on this machine is not looked at", "note")
    elif cut_off := go_offline_if_cut_off(config):
        found.add("hub", cut_off, "note")
    return found


def checkpoint(config: RunConfig, found: Findings) -> tuple[Sizes, Any]:
    """Examines a student that is a checkpoint; says its special tokens.

    Raises:
        UserError: It is not there, or cannot be used.
    """
    from rlkd.student.examine import examine_checkpoint

    student, tokenizer, said = examine_checkpoint(config)
    found.add("special tokens", said)
    return student, tokenizer


def check_output(config: RunConfig, output: str | None, needed_mb: float, found: Findings) -> None:
    """Checks that run folder and store can be written and have room.

    Raises:
        UserError: They cannot, or have not.
    """
    from rlkd.pipeline.run_folder import RUN_FILE
    from tasks.mirror import open_mirror
    from tasks.runs import default_folder
    from tasks.storage import store_root

    folder = (Path(output) if output else default_folder(config)).resolve()
    if folder.is_file():
        raise UserError(f"{folder} is a file; choose another --output")
    for place in (folder, store_root(folder)):
        existing = next(parent for parent in (place, *place.parents) if parent.exists())
        if not os.access(existing, os.W_OK):
            raise UserError(
                f"{place} cannot be written (no permission for {existing}); choose another --output or RLKD_STORE"
            )
    mirror = open_mirror()
    existing = next(parent for parent in (store_root(folder), *store_root(folder).parents) if parent.exists())
    free_mb = shutil.disk_usage(existing).free / 2**20
    text = f"{folder}: {size(free_mb)} free, about {size(needed_mb)} needed"
    if free_mb < needed_mb:
        raise UserError(f"{text}; free some space or choose another --output")
    text += f"; finished stages are mirrored at {mirror.url}" if mirror is not None else ""
    found.add(
        "output", text + ("; goes on with the run that is there" if (folder / RUN_FILE).exists() else "")
    )


def size(mb: float) -> str:
    """Mebibytes as a person writes them."""
    return f"{mb / 1024:.1f} GiB" if mb >= 1024 else f"{mb:.0f} MiB"
