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
    from rlkd.estimates import Student


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


def checkpoint(config: RunConfig, found: Findings) -> tuple[Student, Any]:
    """Reads the sizes and the tokenizer of a student that is a checkpoint; its weights are not read.

    Raises:
        UserError: It is not there, or cannot be used.
    """
    from rlkd.estimates import describe
    from rlkd.student.checkpoints import resolve_model_path
    from rlkd.student.gguf import conversion_note
    from rlkd.student.special_tokens import prepare_tokenizer

    path = resolve_model_path(getattr(config.student.model, "path", ""))
    tokenizer = _tokenizer(config, path)
    said = [conversion_note(Path(path)), prepare_tokenizer(tokenizer, path, chat=config.student.chat)]
    student = describe(config, path)
    if len(tokenizer) > student.vocabulary:
        raise UserError(
            f"student.model.path: the tokenizer of {path} has {len(tokenizer)} tokens but the model only {student.vocabulary} "
            "embeddings; they do not belong together"
        )
    said.insert(0, f"EOS is {tokenizer.eos_token}, PAD is {tokenizer.pad_token}")
    found.add("special tokens", "; ".join(text for text in said if text))
    return student, tokenizer


def _tokenizer(config: RunConfig, path: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, padding_side="left", **config.student.model.loading)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"student.model.path: the tokenizer of {path} cannot be loaded ({first[:200]}); check the name and the connection, or name a local folder"
        ) from None


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
