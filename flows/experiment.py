"""An experiment: one base configuration under several methods, seeds and settings, each cell an ordinary run."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.configure import configure_experiment, plan_experiment
from flows.distill import distill
from rlkd.errors import RLKDError, StageError
from rlkd.experiments.cell import Cell
from rlkd.experiments.folder import left_out_sentence
from rlkd.experiments.page import write_experiment
from rlkd.experiments.results import read_experiment
from tasks.display import current_display
from tasks.experiment import hold_experiment, run_cells, write_cells
from tasks.experiment_tracking import tracked_group
from tasks.preflight import look_ahead_cells


def experiment_run_name() -> str:
    """Name of the current flow run in Prefect."""
    from prefect.runtime import flow_run

    return f"experiment {Path(str(flow_run.parameters.get('preset') or '')).stem}"


@flow(
    name="experiment",
    flow_run_name=experiment_run_name,
    description="Runs methods side by side under several seeds and settings, and compares them with intervals and verdicts.",
    persist_result=True,
    result_serializer="json",
)
def experiment(
    preset: str = "evidence-quick", overrides: list[str] | None = None, output: str | None = None
) -> str:
    """Runs every cell of an experiment that is not finished, and writes its report.

    Args:
        preset: Name of an experiment's preset (`rlkd presets`), or path of a YAML file with `kind: experiment`.
        overrides: Settings that replace those of the experiment, each as `key=value`.
        output: Folder of the experiment; by default `runs/<name>`. Each cell is a run in a folder inside of it.

    Returns:
        The experiment's folder.

    Raises:
        ConfigError: A cell is wrong; nothing has started then.
        StageError: A cell failed; the others are finished and the report shows them.
    """
    config = configure_experiment(preset, overrides or ())
    cells = plan_experiment(config)
    folder = Path(output) if output else Path("runs") / config.name
    notice = current_display().message
    look_ahead_cells(cells, folder)
    with hold_experiment(config, folder), tracked_group(config, cells, folder, notice) as group:
        if others := left_out_sentence({cell.name for cell in cells}, folder):
            notice(others)
        write_cells(cells, folder)
        errors = run_cells(cells, folder, config.concurrent, _run_here, notice, group.add)
        report = read_experiment(config, cells, folder, errors)
        group.report(report, write_experiment(report, folder))
        if errors:
            name, why = next(iter(errors.items()))
            raise StageError(
                f"{len(errors)} of {len(cells)} cells failed, the first of them {name} ({why}); what is finished is kept, "
                "and the same command tries these again"
            )
    return str(folder)


def _run_here(cell: Cell, config_file: Path, folder: Path) -> None:
    """Runs a cell in this process, as a flow run inside of the experiment's."""
    try:
        distill(preset=str(config_file), output=str(folder))
    except RLKDError:
        raise
    except Exception as error:  # a fault that nobody foresaw ends this cell only
        raise StageError(f"{type(error).__name__}: {error}") from error
