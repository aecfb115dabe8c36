"""``rlkd qualify``: the qualify stage alone, and its tables on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from flows.cli.run import run_one_stage
from flows.cli.terminal import print_table
from flows.configure import configure
from rlkd.config.derived import is_enabled
from rlkd.config.load import config_digest
from rlkd.errors import StageError, UserError
from rlkd.pipeline.run_folder import RUN_FILE, read_run
from schemas.artifact import StageEntry
from schemas.config.pipeline import PipelineConfig
from tasks.runs import default_folder

ENABLED, REFUSE = "qualify.enabled=true", "qualify.action=refuse"


def run_qualification(preset: str, overrides: list[str], output: str | None) -> None:
    """Qualifies the structure reward of a configuration, also where its runs would not; only what that needs is made.

    It is a check: a missed threshold fails it unless ``qualify.action`` is ``warn``.

    Raises:
        UserError: As ``rlkd stage``.
        StageError: The reward misses a threshold; or a stage failed.
    """
    config = configure(preset, overrides)
    if not is_enabled(config, "qualify"):
        overrides = [*overrides, ENABLED]
    if config.qualify.action == "auto":
        overrides = [*overrides, REFUSE]
    config = configure(preset, overrides)
    folder = Path(output) if output else default_folder(config)
    try:
        run_one_stage("qualify", preset, overrides, str(folder), again=False)
    except StageError as error:
        if _is_refusal(error, config, folder):
            show_qualification(folder)
        raise
    show_qualification(folder)


def _is_refusal(error: StageError, config: PipelineConfig, folder: Path) -> bool:
    """Whether an error is what the check says of this very configuration's measurement.

    Whatever failed, the tables of the folder's former run were shown, also where the command had not come to its run: a
    store that was away looked like a reward that misses its thresholds.
    """
    try:
        run = read_run(folder)
    except UserError:
        return False
    entry = next((entry for entry in run.stages if entry.name == "qualify"), None)
    if entry is None or not entry.error or run.config_digest != config_digest(config):
        return False
    return str(error).startswith(f"stage qualify: {entry.error}")


def show_qualification(folder: Path) -> None:
    """Prints the tables of a run's qualification, where it was measured."""
    entry = _measured(folder)
    if entry is None:
        return
    from rlkd.config.load import parse_config
    from rlkd.reporting.qualification import qualification_content, qualification_sentence, tables

    content = qualification_content(parse_config(read_run(folder).config), Path(entry.uri))
    shown = tables(content)
    print()
    for fact in shown.facts:
        print(fact)
    _show(
        "AUROC for the solution being right", ("measure", "last step hidden", "whole paths"), shown.separation
    )
    _show("Right paths, changed", ("change", "the score", "does so", "paths", "mean score"), shown.changes)
    if shown.bias:
        asked = (
            "the judge, asked about steps that are certainly different",
            "mean P(yes)",
            "says yes",
            "pairs",
        )
        _show("Always-yes bias", asked, shown.bias)
    columns = ("asked", "found", "threshold", "verdict", "cases", "setting")
    _show("Thresholds", columns, shown.checks)
    print(f"\n{qualification_sentence(content).text}")
    print(f"figures: {Path(entry.uri) / 'qualification.json'}")


def _measured(folder: Path) -> StageEntry | None:
    """The entry of a finished measurement, whatever its check said."""
    if not (folder / RUN_FILE).exists():
        return None
    entries = read_run(folder).stages
    return next((entry for entry in entries if entry.name == "qualify" and entry.sha256), None)


def _show(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table under its title; in a pipe its header is a row like the others."""
    print(f"\n{title}")
    shown = [list(row) for row in rows]
    print_table("", list(header), shown if sys.stdout.isatty() else [list(header), *shown])
