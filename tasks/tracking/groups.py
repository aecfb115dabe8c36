"""An experiment in MLflow: one parent run, and the runs of its cells below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.tracking.connection import client, experiment
from tasks.tracking.deliver import PARENT_TAG
from tasks.tracking.runs import metric_name

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_FOLDER_TAG = "rlkd.folder"
_KIND_TAG = "rlkd.kind"


def begin_group(uri: str, where: str, name: str, description: str, folder: Path) -> str:
    """Starts the parent run of an experiment, or goes on with that of an earlier attempt in the same folder.

    Args:
        uri: Tracking URI.
        where: Name of the experiment in MLflow.
        name: The run's name.
        description: Shown as its description.
        folder: The experiment's folder.

    Returns:
        The run's id.

    Raises:
        UserError: MLflow does not answer.
    """
    mlflow = client(uri)
    place = experiment(uri, where)
    path = str(folder.resolve())
    # The folder is compared here: MLflow's filters know no way to write one that holds both kinds of quotes.
    query = f"tags.`{_KIND_TAG}` = 'experiment'"
    earlier = next(
        (run for run in _all(mlflow, place, query) if run.data.tags.get(_FOLDER_TAG) == path), None
    )
    if earlier is not None:
        run_id = str(earlier.info.run_id)
        mlflow.update_run(run_id, status="RUNNING")
        return run_id
    tags = {_FOLDER_TAG: path, _KIND_TAG: "experiment", "mlflow.note.content": description}
    return str(mlflow.create_run(place, run_name=name, tags=tags).info.run_id)


def _all(mlflow: MlflowClient, place: str, query: str) -> Iterator[Run]:
    """Every run that a filter finds, page by page."""
    token = None
    while True:
        page = mlflow.search_runs([place], query, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def add_to_group(uri: str, group: str, run_id: str, params: Mapping[str, str]) -> None:
    """Puts a cell's run below the experiment's, and names its method, seed and axes as parameters.

    An axis that is a setting stands among the run's parameters already, and MLflow takes no second value for one.
    """
    mlflow = client(uri)
    mlflow.set_tag(run_id, PARENT_TAG, group)
    known = mlflow.get_run(run_id).data.params
    for name, value in params.items():
        if metric_name(name) not in known:
            mlflow.log_param(run_id, metric_name(name), value)


def end_group(uri: str, group: str, figures: Mapping[str, float], files: list[Path], status: str) -> None:
    """Ends an experiment's run with its figures and its report."""
    mlflow = client(uri)
    for name, value in figures.items():
        mlflow.log_metric(group, metric_name(name), value)
    for file in files:
        if file.exists():
            mlflow.log_artifact(group, str(file))
    mlflow.set_terminated(group, status)
