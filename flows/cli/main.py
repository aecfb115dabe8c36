"""The ``rlkd`` command. Every import of weight waits until a command needs it: ``rlkd --help`` is immediate."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from flows.cli import options
from flows.cli.model_commands import add_commands
from flows.cli.options import Config, ExperimentOverrides, FromStage, Output, Overrides, RunFolder, Runs

EXIT_FAILED, EXIT_USER, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143

app = typer.Typer(
    name="rlkd",
    help="Distil the reasoning of a large model into a small one, by RL with a structure reward.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EXTRAS = {
    "pipeline": {"prefect", "mlflow", "matplotlib", "jinja2", "pandas", "datasketch", "psutil"},
    "train": {"torch", "transformers", "trl", "datasets", "accelerate", "peft"},
    "gym": {"reasoning_gym"},
}
"""Extras of the package by the modules that they bring."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rlkd {version('rlkd')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Distil the reasoning of a large model into a small one, by RL with a structure reward."""


@app.command()
def run(
    config: Config,
    overrides: Overrides = None,
    output: Output = None,
    from_stage: FromStage = None,
    dry_run: Annotated[
        bool,
        options.dry_run("Say what the teacher would be asked for: requests, tokens, money. Nothing is sent."),
    ] = False,
) -> None:
    """Distil a student end to end. Finished stages are reused; the same command goes on after a failure."""
    from flows.cli.run import run_pipeline

    if dry_run:
        from flows.cli.teacher_plan import plan_text

        print(plan_text(config, overrides or []))
        return

    run_pipeline(config, overrides or [], output, from_stage)


@app.command()
def experiment(
    config: Config,
    overrides: ExperimentOverrides = None,
    output: Annotated[
        str | None, options.folder_out("The experiment's folder. Default: runs/<its name>.")
    ] = None,
    dry_run: Annotated[
        bool, options.dry_run("List the cells, what they share, and the estimated time.")
    ] = False,
) -> None:
    """Run methods side by side under several seeds and settings, and compare them. The same command goes on."""
    from flows.cli.experiment import run_experiment

    run_experiment(config, overrides or [], output, dry_run)


@app.command()
def stage(
    name: Annotated[
        str,
        typer.Argument(
            metavar="STAGE",
            help="Name of a stage, as `rlkd status` shows them; an unknown one is told which there are.",
        ),
    ],
    config: Config,
    overrides: Overrides = None,
    output: Output = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make the stage again even if it is finished.")
    ] = False,
) -> None:
    """Make one stage and, only where they are not finished yet, those that it needs."""
    from flows.cli.run import run_one_stage

    run_one_stage(name, config, overrides or [], output, again)


@app.command()
def qualify(config: Config, overrides: Overrides = None, output: Output = None) -> None:
    """Qualify the structure reward before training on it. Exit code 1 if it misses a threshold and is refused."""
    from flows.cli.qualify import run_qualification

    run_qualification(config, overrides or [], output)


@app.command(name="train-gsrm")
def train_gsrm(
    config: Config,
    overrides: Overrides = None,
    output: Output = None,
    from_stage: FromStage = None,
) -> None:
    """Train the model that decomposes reasoning paths (a GSRM), measure it, and register it under a name."""
    from flows.cli.train_gsrm import run_gsrm_training

    run_gsrm_training(config, overrides or [], output, from_stage)


@app.command()
def status(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's manifest as JSON.")] = False,
) -> None:
    """Show a run: its stages, what they cost, and where everything is."""
    from flows.cli.inspect import show_status

    show_status(run, as_json)


@app.command()
def check(
    config: Config,
    overrides: Overrides = None,
    output: Output = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Look only at what is on this machine: no hub, services or keys."),
    ] = False,
) -> None:
    """Check a configuration before running it: settings, files, student, space, estimated memory and time."""
    from flows.cli.check.command import check_configuration

    check_configuration(config, overrides or [], output, offline)


@app.command()
def generate(
    run: RunFolder,
    problem: Annotated[
        str, typer.Argument(metavar="PROBLEM", help="The problem to solve; - reads it from standard input.")
    ],
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="NAME",
            help="base, warm_start or rlkd. Default: the last one that the run has.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, help="Completions; more than one are sampled.")
    ] = 1,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0.0, help="Sampling temperature; 0 is greedy.")
    ] = None,
) -> None:
    """Let a run's student solve a problem."""
    from flows.cli.generate import generate_completions

    generate_completions(run, problem, checkpoint, samples, temperature)


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[LABEL=]RUN...", help="Run folders; runs with one label are seeds of one method."
        ),
    ],
    output: Annotated[str | None, options.folder_out("Write the page of an experiment here as well.")] = None,
    over: Annotated[
        str | None, typer.Option(metavar="seeds|problems", help="What the page's intervals speak for.")
    ] = None,
) -> None:
    """Put the final students of runs side by side, with differences over the same problems, as Markdown."""
    from flows.cli.experiment import compare_finished

    compare_finished(runs, output, over)


rewards_app = typer.Typer(
    help="Look at the rewards of a finished run.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(rewards_app, name="rewards")


@rewards_app.command()
def replay(
    run: RunFolder,
    overrides: Overrides = None,
    output: Annotated[str | None, options.folder_out("Write the ledger as it would have been.")] = None,
) -> None:
    """Score a run's saved completions again under other settings, without generating."""
    from pathlib import Path

    from rlkd.replay.comparison import replay_table
    from rlkd.replay.replay import replay_run
    from tasks.disk import disk_faults

    folder = Path(output) if output else None
    with disk_faults(None, folder or Path(run), kept="the run"):
        print(replay_table(replay_run(Path(run), overrides or (), folder)))


@app.command()
def decompose(
    source: Annotated[str, options.rows_in("id, problem, path")],
    target: Annotated[str, options.rows_out("rows {id, steps, error}")],
    config: Annotated[
        str | None, options.sections_of("Its section `structures` chooses the decomposer.")
    ] = None,
) -> None:
    """Read the steps off reasoning paths. Exit code 1 if a row was malformed."""
    from flows.cli.score import decompose_rows

    raise typer.Exit(decompose_rows(source, target, config))


@app.command()
def score(
    source: Annotated[str, options.rows_in("id, problem, teacher, student, answer?")],
    target: Annotated[str, options.rows_out("a row of scores for each")],
    config: Annotated[
        str | None,
        options.sections_of("Its sections `structures` and `rewards` choose how. Default: rules only."),
    ] = None,
) -> None:
    """Score how well student paths follow their teachers'. Exit code 1 if a row was malformed."""
    from flows.cli.score import score_rows

    raise typer.Exit(score_rows(source, target, config))


@app.command()
def presets() -> None:
    """List the configurations that ship with rlkd."""
    from flows.cli.inspect import show_presets

    show_presets()


@app.command()
def schema(
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="KIND", help="distill, gsrm for `rlkd train-gsrm`, or experiment."),
    ] = "distill",
) -> None:
    """Print the JSON Schema of a configuration file, for editors."""
    from flows.cli.inspect import show_schema

    show_schema(kind)


@app.command()
def clean(
    runs: Runs = "runs",
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0, help="What was touched within these days stays."),
    ] = 7,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this it is only shown.")] = False,
) -> None:
    """Show what no run refers to any more: stages, given-up attempts, old logs. Removes it with --yes."""
    from flows.cli.clean import clean_runs

    clean_runs(runs, older_than, yes)


@app.command()
def ui(
    runs: Runs = "runs",
    prefect_port: Annotated[
        int, typer.Option(help="Port of Prefect; the next free one where it is taken.")
    ] = 4200,
    mlflow_port: Annotated[
        int, typer.Option(help="Port of MLflow; the next free one where it is taken.")
    ] = 5000,
) -> None:
    """Open Prefect and MLflow on a folder of runs, on this machine only, until Ctrl-C."""
    from flows.services.ui import serve

    serve(runs, prefect_port, mlflow_port)


add_commands(app)


def main() -> None:
    """Entry point: runs the command and turns errors into messages and exit codes."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Runs a command line.

    Returns:
        0 done; 1 a stage failed or refused; 2 a user error; 130 interrupted; 143 terminated.
    """
    from rlkd.errors import RLKDError, UserError

    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments or ["--help"], prog_name="rlkd", standalone_mode=False)
    except UserError as error:
        _say(f"error: {error}")
        return EXIT_USER
    except RLKDError as error:
        _say(str(error) if str(error).startswith("stage ") else f"failed: {error}")
        _say(f"resume with: {_resume(arguments)}")
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        extra = next(
            (name for name, modules in _EXTRAS.items() if (error.name or "").split(".")[0] in modules), None
        )
        if extra is None:
            raise
        _say(f"error: {error.name} is not installed; install it with: pip install 'rlkd[{extra}]'")
        return EXIT_USER
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except Exception as error:
        if type(error).__name__ == "Abort":  # how an older parser does
            return _interrupted(arguments)
        if not _is_usage_error(error):
            raise
        return EXIT_USER
    except BaseException as error:
        if type(error).__name__ not in ("Terminated", "TerminationSignal"):  # ours, and Prefect's
            raise
        _say(f"terminated; resume with: {_resume(arguments)}")
        return EXIT_TERMINATED
    if code == EXIT_INTERRUPTED:  # how the parser passes on a Ctrl-C
        return _interrupted(arguments)
    return code if isinstance(code, int) else 0


def _is_usage_error(error: Exception) -> bool:
    """Whether the command-line parser objects to something; if so, says what."""
    if not hasattr(error, "exit_code"):
        return False
    words = getattr(error, "format_message", lambda: str(error))()
    _say(f"error: {words.rstrip('.')}; see `rlkd --help`")
    return True


def _interrupted(arguments: list[str]) -> int:
    _say(f"interrupted; resume with: {_resume(arguments)}")
    return EXIT_INTERRUPTED


def _resume(arguments: list[str]) -> str:
    return shlex.join(["rlkd", *arguments])


def _say(text: str) -> None:
    print(f"rlkd: {text}", file=sys.stderr, flush=True)
    if os.environ.get("RLKD_TRACEBACK"):
        import traceback

        traceback.print_exc()


if __name__ == "__main__":
    main()
