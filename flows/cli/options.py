"""The arguments and options that several commands of the command line share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Config = Annotated[
    str,
    typer.Argument(
        metavar="PRESET_OR_YAML", help="Name of a preset (see `rlkd presets`), or path of a YAML file."
    ),
]


def setting(help: str) -> Any:
    """The option that replaces settings."""
    return typer.Option("--set", metavar="KEY=VALUE", help=f"{help}. May be repeated.")


Overrides = Annotated[list[str] | None, setting("Replaces a setting, e.g. --set rl.steps=50")]
ModelOverrides = Annotated[list[str] | None, setting("Replaces a setting, e.g. --set student.output=boxed")]
ExperimentOverrides = Annotated[
    list[str] | None,
    setting(
        "Replaces a setting of the experiment, e.g. --set seeds=[0,1], --set settings.rl.steps=50 (in every cell), "
        "--set grid.rewards.alpha=[0,0.5]"
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="RUN_FOLDER",
        help="The run folder. Default: runs/<name of the configuration>.",
    ),
]
RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")]
FromStage = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="STAGE", help="Make this stage and all that follow again, even if finished."
    ),
]
Runs = Annotated[str, typer.Argument(metavar="RUNS", help="Folder that holds the runs.")]


def rows_in(fields: str) -> Any:
    """The argument that names a file of rows to read."""
    return typer.Argument(metavar="IN.jsonl", help=f"Rows {{{fields}}}; - is standard input.")


def rows_out(what: str) -> Any:
    """The argument that names the file of rows to write."""
    return typer.Argument(
        metavar="OUT.jsonl", help=f"Gets {what}; replaced atomically; - is standard output."
    )


def sections_of(help: str) -> Any:
    """The option that names a configuration for a command on files."""
    return typer.Option("--config", metavar="YAML", help=help)


def folder_out(help: str) -> Any:
    """The option that names the folder that a command writes."""
    return typer.Option("--output", "-o", metavar="FOLDER", help=help)


def dry_run(help: str) -> Any:
    """The option that only says what would be done."""
    return typer.Option("--dry-run", help=help)
