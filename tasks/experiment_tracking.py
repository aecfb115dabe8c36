"""An experiment's run in MLflow, with the cells' runs below it, where the cells are tracked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rlkd.errors import UserError
from rlkd.experiments.cell import Cell, Trial
from rlkd.pipeline.run_folder import read_run
from schemas.config.experiment import ExperimentConfig
from schemas.experiment import ExperimentReport
from tasks import tracking
from tasks.runs import LOGS

Notice = Callable[[str], None]


class GroupRun:
    """The parent run of an experiment; without tracking it takes everything and does nothing.

    Args:
        uri: Tracking URI; empty without tracking.
        run_id: The parent run.
        folder: The experiment's folder.
        notice: Told what could not be logged.
    """

    def __init__(self, uri: str, run_id: str, folder: Path, notice: Notice) -> None:
        self.uri, self.run_id, self.folder, self.notice = uri, run_id, folder, notice
        self.figures: dict[str, float] = {}
        self.files: list[Path] = []

    def add(self, cell: Cell) -> None:
        """Puts a cell's run below the parent, whether it failed or not."""
        if not self.run_id:
            return
        try:
            run_id = read_run(self.folder / cell.name).mlflow_run_id
        except UserError:
            return  # it failed before it began
        if run_id:
            with tracking.tolerated(f"the place of cell {cell.name}", self.notice):
                params = {"method": cell.method, "cell": cell.name, "seed": str(cell.seed), **cell.axes}
                params |= {"role": "compared"} if cell.trial is None else _tried(cell.trial)
                tracking.add_to_group(self.uri, self.run_id, run_id, params)

    def report(self, report: ExperimentReport, files: Sequence[Path]) -> None:
        """Takes what the experiment found: the primary metric of each method, every difference, and the report's files."""
        for row in report.ranking:
            if row.value is not None:
                self.figures[f"{row.method} {row.setting}".strip() + f"/{report.metric}"] = row.value.mean
        for comparison in report.comparisons:
            if comparison.difference is not None:
                name = f"{comparison.a} - {comparison.b} {comparison.setting}".strip()
                self.figures[f"{name}/{report.metric}"] = comparison.difference.mean
        self.files = list(files)


def _tried(trial: Trial) -> dict[str, str]:
    """Parameters of a cell that tries a value: so that nobody takes it for one that is compared."""
    return {"role": "tuning", "tuned": trial.key}


@contextmanager
def tracked_group(
    config: ExperimentConfig, cells: Sequence[Cell], folder: Path, notice: Notice
) -> Iterator[GroupRun]:
    """Opens the parent run of an experiment; it ends as the block does.

    Raises:
        UserError: MLflow does not answer.
    """
    settings = next((cell.config.tracking for cell in cells if cell.config.tracking.enabled), None)
    if settings is None:
        yield GroupRun("", "", folder, notice)
        return
    uri = tracking.tracking_uri(folder)
    with tracking.logged_to(folder / LOGS / "mlflow.log"):
        run_id = tracking.begin_group(uri, settings.experiment, config.name, config.description, folder)
    group = GroupRun(uri, run_id, folder, notice)
    status = "FAILED"
    try:
        yield group
        status = "FINISHED"
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        with tracking.tolerated("the end of the experiment", notice):
            tracking.end_group(uri, run_id, group.figures, group.files, status)
