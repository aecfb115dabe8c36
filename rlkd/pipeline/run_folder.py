"""Reads what a run wrote down in its folder."""

from __future__ import annotations

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
    except (ValidationError, UnicodeDecodeError):
        raise UserError(
            f"{path} cannot be read (damaged, or from another version); run the configuration again"
        ) from None
