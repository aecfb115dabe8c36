"""How each kind of entry of the outbox gets to MLflow; doing it twice changes nothing."""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tracking.models import register_student

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

KEY_TAG = "rlkd.key"
PARENT_TAG = "mlflow.parentRunId"
_REFUSALS = {
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "INVALID_STATE",
}
_RACES = 5
"""Tries of an entry that another run's transaction has overtaken."""
_PARAMS_PER_CALL = 100
_TAG_CHARS = 4000

Entry = Mapping[str, Any]


def deliver(mlflow: MlflowClient, uri: str, entry: Entry, runs: dict[str, str]) -> None:
    """Gives an entry to MLflow.

    Args:
        mlflow: The client.
        uri: Its tracking URI.
        entry: ``op`` says what, ``run`` to which run (its id or key); see the functions of this module.
        runs: MLflow's ids by key; gets those of new runs.

    Raises:
        MlflowException: MLflow is away, or refuses it.
        OSError: The same, or a file is gone.
    """
    if entry["op"] == "run":
        if not runs.get(entry["key"]):
            runs[entry["key"]] = _make_run(mlflow, entry)
        return
    run = runs.get(entry["run"], entry["run"])
    if not run:
        return
    for attempt in range(1, _RACES + 1):
        try:
            return _OPERATIONS[entry["op"]](mlflow, uri, run, entry)
        except Exception as error:
            if not _lost_a_race(error) or attempt == _RACES:
                raise
            time.sleep(random.uniform(0.05, 0.2) * attempt)


def _lost_a_race(error: Exception) -> bool:
    """Whether another run wrote the same row at once, ``UNIQUE constraint failed: datasets...``: by now MLflow finds it.

    MLflow looks for a data set and then inserts it, and several runs that log one data set to one database do so together.
    """
    text = str(error)
    return any(
        sign in text for sign in ("UNIQUE constraint", "IntegrityError", "duplicate key", "Duplicate entry")
    )


def is_busy(error: Exception) -> bool:
    """Whether a database had too many writers for a moment: nothing is refused."""
    return "database is locked" in str(error)


def is_refusal(error: Exception) -> bool:
    """Whether trying again is of no use: MLflow refuses the entry, or what it names is gone."""
    return isinstance(error, FileNotFoundError | KeyError) or getattr(error, "error_code", "") in _REFUSALS


def _make_run(mlflow: MlflowClient, entry: Entry) -> str:
    """A new run; or the one that was made before a kill came in between."""
    found = mlflow.search_runs([entry["experiment"]], f"tags.`{KEY_TAG}` = '{entry['key']}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    tags = {**entry["tags"], KEY_TAG: entry["key"]}
    made = mlflow.create_run(entry["experiment"], start_time=entry["at"], tags=tags, run_name=entry["name"])
    return str(made.info.run_id)


def _params(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    from mlflow.entities import Param

    items = [Param(key, value) for key, value in entry["values"].items()]
    for start in range(0, len(items), _PARAMS_PER_CALL):
        mlflow.log_batch(run, params=items[start : start + _PARAMS_PER_CALL])


def _metrics(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    """Figures with their own times: MLflow keeps one of two that are equal in everything."""
    from mlflow.entities import Metric

    mlflow.log_batch(
        run, metrics=[Metric(name, float(value), at, step) for name, value, at, step in entry["values"]]
    )


def _tags(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    from mlflow.entities import RunTag

    mlflow.log_batch(
        run, tags=[RunTag(key, str(value)[:_TAG_CHARS]) for key, value in entry["values"].items()]
    )


def _files(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    for name, where in entry["files"]:
        path = Path(name)
        if path.is_dir():
            mlflow.log_artifacts(run, name, where or None)
        elif path.is_file():
            mlflow.log_artifact(run, name, where or None)


def _inputs(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    inputs = []
    for item in entry["datasets"]:
        with warnings.catch_warnings():  # MLflow registers its source for local files twice, and warns of it
            warnings.simplefilter("ignore")
            source = resolve_dataset_source(item["source"])
        dataset = MetaDataset(source, name=item["name"], digest=item["digest"])
        tags = [InputTag("mlflow.data.context", item["use"])]
        inputs.append(DatasetInput(dataset=dataset._to_mlflow_entity(), tags=tags))
    mlflow.log_inputs(run, datasets=inputs)


def _model(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    version, _ = register_student(
        uri, run, entry["name"], Path(entry["model"]), entry["digest"], entry["tags"], about=entry["about"],
        alias=entry["alias"],
    )  # fmt: skip
    mlflow.set_tag(run, "rlkd.student", f"models:/{entry['name']}/{version}")


def _table(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    """Rows of a JSON-lines file as a table that MLflow shows."""
    if any(item.path == entry["file"] for item in mlflow.list_artifacts(run)):
        return  # MLflow would append to it
    names: dict[str, str] = entry["columns"]
    with Path(entry["source"]).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(entry["limit"]), strict=False)]
    if rows:
        mlflow.log_table(
            run, {name: [row.get(key) for row in rows] for key, name in names.items()}, entry["file"]
        )


def _end(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    mlflow.set_terminated(run, entry["status"], entry["at"])


def _close(mlflow: MlflowClient, uri: str, run: str, entry: Entry) -> None:
    """Ends the runs of an attempt that was killed: the children, and the parent unless it goes on."""
    above = mlflow.get_run(run)
    children = mlflow.search_runs(
        [above.info.experiment_id], f"tags.`{PARENT_TAG}` = '{run}' and attributes.status = 'RUNNING'"
    )
    own = [above] if entry["itself"] and above.info.status == "RUNNING" else []
    for found in (*children, *own):
        if found.info.start_time < entry["at"]:
            mlflow.set_terminated(found.info.run_id, "KILLED")


_OPERATIONS: dict[str, Callable[[MlflowClient, str, str, Entry], None]] = {
    "params": _params,
    "metrics": _metrics,
    "tags": _tags,
    "files": _files,
    "inputs": _inputs,
    "model": _model,
    "table": _table,
    "end": _end,
    "close": _close,
}
