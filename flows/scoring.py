"""``rlkd decompose`` and ``rlkd score``: the structure reward as a tool over files."""

from __future__ import annotations

from pathlib import Path

from rlkd.structure.tools import decompose_file, load_score_config, score_file
from schemas.config.structure import StructuresConfig


def decompose_rows(source: str, target: str, config: str | None) -> int:
    """Decomposes a file of paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures = _with_models(load_score_config(Path(config))[0]) if config is not None else None
    return decompose_file(Path(source), Path(target), structures)


def score_rows(source: str, target: str, config: str | None) -> int:
    """Scores a file of student paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures, rewards = load_score_config(Path(config)) if config is not None else (None, None)
    structures = _with_models(structures) if structures is not None else None
    return score_file(Path(source), Path(target), structures, rewards)


def _with_models(structures: StructuresConfig) -> StructuresConfig:
    """The section with the folders of the registered models that it names; MLflow is only asked where it names one."""
    if "models:/" not in structures.model_dump_json():
        return structures
    from tasks.registry import resolve_models
    from tasks.tracking import tracking_uri

    return resolve_models(structures, tracking_uri(Path("runs")))
