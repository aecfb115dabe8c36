"""``rlkd decompose`` and ``rlkd score``: the structure reward as a tool over files."""

from __future__ import annotations

import sys
from pathlib import Path

from rlkd.config.sections import load_score_config
from rlkd.rewards.files import FileResult, decompose_file, score_file
from rlkd.user_files import shown, to_stdout
from schemas.config.structure import StructuresConfig


def decompose_rows(source: str, target: str, config: str | None) -> int:
    """Decomposes a file of paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures = _with_models(load_score_config(Path(config))[0]) if config is not None else None
    return _told(decompose_file(Path(source), Path(target), structures), source, target)


def score_rows(source: str, target: str, config: str | None) -> int:
    """Scores a file of student paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures, rewards = load_score_config(Path(config)) if config is not None else (None, None)
    structures = _with_models(structures) if structures is not None else None
    return _told(score_file(Path(source), Path(target), structures, rewards), source, target)


def _told(result: FileResult, source: str, target: str) -> int:
    """Says what became of the rows; the exit code."""
    read, written = shown(Path(source), "standard input"), shown(Path(target), "standard output")
    print(f"{written}: {result.rows} rows", file=sys.stderr if to_stdout(Path(target)) else sys.stdout)
    if not result.faulty:
        return 0
    print(
        f"rlkd: {result.faulty} of {result.rows} rows of {read} are wrong (the first: {result.first}); "
        f"each has its fault in the field `error` of {written}; mend them and run the command again",
        file=sys.stderr,
    )
    return 1


def _with_models(structures: StructuresConfig) -> StructuresConfig:
    """The section with the folders of the registered models that it names; MLflow is only asked where it names one."""
    if "models:/" not in structures.model_dump_json():
        return structures
    from tasks.registry import resolve_models
    from tasks.tracking import tracking_uri

    return resolve_models(structures, tracking_uri(Path("runs")))
