"""The folder of an experiment: what is in it, and whether another experiment or a run has it."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rlkd.config.strict_yaml import parse_yaml
from rlkd.errors import ConfigError, UserError
from rlkd.pipeline.run_folder import RUN_FILE, make_folder, read_run
from schemas.config.experiment import ExperimentConfig

CELLS = "cells"
"""Folder of the cells' configurations, inside of the experiment's."""
EXPERIMENT_FILE = "experiment.yaml"
"""The experiment's resolved configuration, in its folder."""


def is_experiment(folder: Path) -> bool:
    """Tells whether an experiment has begun in a folder."""
    return (folder / EXPERIMENT_FILE).is_file() and (folder / CELLS).is_dir()


def check_no_experiment(folder: Path) -> None:
    """Refuses to make a run in the folder of an experiment.

    Raises:
        UserError: It is one.
    """
    if is_experiment(folder):
        raise UserError(
            f"{folder} holds an experiment, and a run needs a folder of its own; choose another --output"
        )


def check_folder(config: ExperimentConfig, folder: Path) -> None:
    """Refuses a folder that is in use for something else than this experiment.

    Raises:
        UserError: A run, a cell or another experiment has it.
    """
    whole = folder.resolve()
    if is_experiment(whole.parent):
        raise UserError(
            f"{folder} lies in the folder of an experiment, among its cells ({whole.parent}); choose another --output"
        )
    if (folder / RUN_FILE).exists():
        raise UserError(
            f"{folder} holds a run ({RUN_FILE}), and an experiment needs a folder of its own; choose another --output"
        )
    if (folder / CELLS).exists() and not (folder / CELLS).is_dir():
        raise UserError(
            f"{folder / CELLS} is a file where the cells' configurations go; choose another --output"
        )
    file = folder / EXPERIMENT_FILE
    if not file.exists():
        return
    if not is_experiment(folder):
        raise UserError(
            f"{file} is there, but no experiment's folder {CELLS}, and would be replaced; choose another --output"
        )
    there = _written(file)
    if there.get("name") != config.name:
        raise UserError(
            f"{folder} holds the experiment {there.get('name')}, not {config.name}; choose another --output, or give this one that name"
        )
    if not _same_base(str(there.get("base")), config.base):
        raise UserError(
            f"{folder} holds the experiment {config.name} with base {there.get('base')}, not {config.base}; choose another --output"
        )


def try_folder(folder: Path) -> None:
    """Tries whether a folder can be made and written, and leaves nothing behind.

    Raises:
        UserError: It cannot.
    """
    made = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    make_folder(folder)
    for place in made:
        place.rmdir()


def left_out(names: Collection[str], folder: Path) -> list[str]:
    """Lists the finished cells in an experiment's folder that are none of these."""
    found = sorted(file.stem for file in (folder / CELLS).glob("*.yaml"))
    return [name for name in found if name not in names and _is_done(folder / name)]


def left_out_sentence(names: Collection[str], folder: Path) -> str:
    """Says which finished cells are no longer in the experiment; empty where there are none."""
    others = left_out(names, folder)
    if not others:
        return ""
    return f"finished, but no longer in this experiment, and not in its report: {', '.join(others)}; their folders stay in {folder}"


def _is_done(folder: Path) -> bool:
    try:
        return read_run(folder).status == "done"
    except UserError:
        return False


def _written(file: Path) -> dict[str, Any]:
    """What an experiment wrote down of itself.

    Raises:
        UserError: It cannot be read.
    """
    try:
        values = parse_yaml(file.read_text(encoding="utf-8"), str(file)).value
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise UserError(
            f"{file} cannot be read, so that nobody knows whose the folder is ({error}); choose another --output"
        ) from None
    return values if isinstance(values, dict) else {}


def _same_base(a: str, b: str) -> bool:
    """Whether two bases are one preset or one file, also where one names it from another folder."""
    one, other = Path(a), Path(b)
    if one.is_file() and other.is_file():
        return one.samefile(other)
    return a == b or bool(one.suffix and one.name == other.name)
