"""``rlkd decompose`` and ``rlkd score``: the structure reward as a tool over files."""

from __future__ import annotations

from pathlib import Path

from rlkd.structure.tools import decompose_file, load_score_config, score_file


def decompose_rows(source: str, target: str, config: str | None) -> int:
    """Decomposes a file of paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures = load_score_config(Path(config))[0] if config is not None else None
    return decompose_file(Path(source), Path(target), structures)


def score_rows(source: str, target: str, config: str | None) -> int:
    """Scores a file of student paths; returns 0, or 1 where a row was malformed.

    Raises:
        UserError: The input or the configuration cannot be used.
    """
    structures, rewards = load_score_config(Path(config)) if config is not None else (None, None)
    return score_file(Path(source), Path(target), structures, rewards)
