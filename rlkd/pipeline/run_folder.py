"""The folder of a run: making it, and reading what the run wrote down in it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from rlkd.errors import UserError
from schemas.artifact import RunManifest

RUN_FILE = "run.json"


def read_run(folder: Path) -> RunManifest:
    """Reads ``run.json``.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    path = folder / RUN_FILE
    try:
        return RunManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{folder} is not a run folder: it has no {RUN_FILE}; name one that `rlkd run` made"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); name a folder that `rlkd run` made"
        ) from None
    except (ValidationError, UnicodeDecodeError):
        raise UserError(
            f"{path} cannot be read (damaged, or from another version); run the configuration again"
        ) from None


def make_folder(folder: Path, instead: str = "choose another --output") -> None:
    """Makes a folder that is written to where there is none.

    Args:
        folder: The folder.
        instead: What to do where it cannot be used, for the error.

    Raises:
        UserError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; {instead}") from error
