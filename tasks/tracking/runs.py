"""A run and its stages in MLflow.

One parent run per flow run (found again by its tag after a retry); one child run per attempt of a stage
that really runs, marked failed where it failed. A reused stage makes no child: the parent's tags name the
run that it came from. Every secret-looking setting is left out.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.io import is_disk_full
from schemas.artifact import StageManifest
from schemas.config.run import RunConfig
from tasks.tracking.connection import client, experiment, redact_text, tolerated

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

FLOW_RUN_TAG = "rlkd.flow_run_id"
NOTE_TAG = "mlflow.note.content"
"""What MLflow shows as a run's description."""
_PARENT_TAG = "mlflow.parentRunId"
_BATCH = 500
_FLUSH_S = 3.0
_PARAMS_PER_CALL = 100
_SPLITS = {"train": "training", "validation": "validation", "test": "evaluation", "ood": "evaluation"}
_SECRET = re.compile(r"(api_?key|token|secret|password|credential|authorization)$", re.IGNORECASE)


def begin_run(uri: str, config: RunConfig, digest: str, flow_run_id: str, config_file: Path) -> str:
    """Starts the parent run of a flow run, or goes on with the one that an earlier attempt started.

    Args:
        uri: Tracking URI.
        config: The resolved configuration; logged flattened as parameters.
        digest: Its digest.
        flow_run_id: The Prefect flow run; empty outside of one.
        config_file: The resolved configuration as YAML, in the run folder; logged as an artifact.

    Returns:
        The run's id. The run is named after its folder, and after the configuration where that is another name.
    """
    mlflow = client(uri)
    where = experiment(uri, config.tracking.experiment)
    if flow_run_id:
        found = mlflow.search_runs([where], f"tags.`{FLOW_RUN_TAG}` = '{flow_run_id}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            mlflow.update_run(run_id, status="RUNNING")
            return run_id
    tags = {
        FLOW_RUN_TAG: flow_run_id,
        "rlkd.config_digest": digest,
        "rlkd.config.load": config.name,
        "rlkd.kind": getattr(config, "kind", "pipeline"),
    }
    folder = config_file.resolve().parent
    name = config.name if folder.name == config.name else f"{folder.name} ({config.name})"
    tags[NOTE_TAG] = "\n\n".join(filter(None, [config.description, f"Run folder: `{folder}`"]))
    run = mlflow.create_run(where, run_name=name, tags={k: v for k, v in tags.items() if v})
    run_id = str(run.info.run_id)
    _log_params(mlflow, run_id, flatten(config.model_dump(mode="json")))
    mlflow.log_artifact(run_id, str(config_file))
    return run_id


def end_run(uri: str, run_id: str, status: str) -> None:
    """Ends a run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
    client(uri).set_terminated(run_id, status)


def _log_params(mlflow: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    items = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(items), _PARAMS_PER_CALL):
        mlflow.log_batch(run_id, params=items[start : start + _PARAMS_PER_CALL])


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names; secrets left out, values cut to MLflow's length."""
    if isinstance(value, Mapping):
        flat: dict[str, str] = {}
        for key, item in value.items():
            if not _SECRET.search(str(key)) or isinstance(item, int | float | Mapping):
                flat.update(flatten(item, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {re.sub(r"[^\w\-./ ]", "_", prefix): redact_text(str(value))[:6000]}


@dataclass
class StageRun:
    """The child run of one attempt of a stage; step metrics are sent in batches.

    Attributes:
        uri: Tracking URI.
        run_id: The child run.
        notice: Told what MLflow refuses.
    """

    uri: str
    run_id: str
    notice: Callable[[str], None]
    _pending: list[Metric] = field(default_factory=list)
    _flushed: float = field(default_factory=time.monotonic)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Takes figures at a step; they are sent now and then."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._pending += [
            Metric(metric_name(name), float(value), now, step) for name, value in values.items()
        ]
        if len(self._pending) >= _BATCH or time.monotonic() - self._flushed >= _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Sends what is waiting; what MLflow refuses now is sent with the next."""
        self._flushed = time.monotonic()
        with tolerated("step figures", self.notice):
            while self._pending:
                client(self.uri).log_batch(self.run_id, metrics=self._pending[:_BATCH])
                del self._pending[:_BATCH]


@contextmanager
def stage_run(
    uri: str,
    parent: str,
    stage: str,
    attempt: int,
    settings: Mapping[str, Any],
    notice: Callable[[str], None],
) -> Iterator[StageRun | None]:
    """The child run of one attempt of a stage; ``None`` where the run is not tracked, or MLflow refuses.

    It ends as FINISHED, FAILED or KILLED (interrupted) by how the context is left.
    """
    child = None
    if parent:
        with tolerated(f"stage {stage}", notice):
            child = _start_child(uri, parent, stage, attempt, settings, notice)
    if child is None:
        yield None
        return
    status = "FAILED"
    try:
        yield child
        status = "FINISHED"
    except Exception as error:
        if is_disk_full(error):
            notice = child.notice = (
                _unheard  # the stage says so, and MLflow most likely lies on the same disk
            )
        raise
    except BaseException:
        status = "KILLED"
        raise
    finally:
        child.flush()
        with tolerated(f"the end of stage {stage}", notice):
            client(uri).set_terminated(child.run_id, status)


def _unheard(text: str) -> None:
    """Takes a line that nobody needs."""


def _start_child(
    uri: str,
    parent: str,
    stage: str,
    attempt: int,
    settings: Mapping[str, Any],
    notice: Callable[[str], None],
) -> StageRun:
    mlflow = client(uri)
    above = mlflow.get_run(parent).info
    tags = {_PARENT_TAG: parent, "rlkd.kind": "stage", "rlkd.stage": stage, "rlkd.attempt": str(attempt)}
    name = f"{stage} of {above.run_name.partition(' (')[0]}"  # curves of several runs in one chart tell them by it
    name, tries = (name, "") if attempt == 1 else (f"{name} ({attempt})", f", attempt {attempt}")
    tags[NOTE_TAG] = f"Stage `{stage}` of the run {above.run_name}{tries}."
    made = mlflow.create_run(above.experiment_id, run_name=name, tags=tags)
    child = StageRun(uri, str(made.info.run_id), notice)
    _log_params(mlflow, child.run_id, flatten(settings))
    return child


def log_metrics(uri: str, run_id: str, values: Mapping[str, float]) -> None:
    """Sends figures without a step in one call."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    items = [Metric(metric_name(name), float(value), now, 0) for name, value in values.items()]
    for start in range(0, len(items), _BATCH):
        client(uri).log_batch(run_id, metrics=items[start : start + _BATCH])


def set_tags(uri: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags in one call."""
    from mlflow.entities import RunTag

    client(uri).log_batch(run_id, tags=[RunTag(key, value[:4000]) for key, value in tags.items()])


def metric_name(name: str) -> str:
    """A name that MLflow takes: ``pass@4`` becomes ``pass_at_4``."""
    return re.sub(r"[^\w\-./ ]", "_", name.replace("@", "_at_"))


def log_files(uri: str, run_id: str, files: Mapping[Path, str]) -> None:
    """Logs files or folders as artifacts, each under a folder name (empty for the top)."""
    mlflow = client(uri)
    for path, where in files.items():
        if path.is_dir():
            mlflow.log_artifacts(run_id, str(path), where or None)
        elif path.is_file():
            mlflow.log_artifact(run_id, str(path), where or None)


def log_datasets(uri: str, run_id: str, folder: Path, manifest: StageManifest, name: str) -> None:
    """Logs the splits of a finished data stage as dataset inputs of a run."""
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    inputs = []
    for split, use in _SPLITS.items():
        file = f"{split}.jsonl"
        if file not in manifest.files or (folder / file).stat().st_size == 0:
            continue
        with warnings.catch_warnings():  # MLflow registers its source for local files twice, and warns of it
            warnings.simplefilter("ignore")
            source = resolve_dataset_source((folder / file).as_uri())
        dataset = MetaDataset(source, name=f"{name}/{split}", digest=manifest.files[file][:32])
        inputs.append(
            DatasetInput(dataset=dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", use)])
        )
    if inputs:
        client(uri).log_inputs(run_id, datasets=inputs)


@contextmanager
def system_metrics(uri: str, run_id: str, enabled: bool) -> Iterator[None]:
    """Logs CPU, memory, disk, network and GPU use to a run while this lasts."""
    if not (run_id and enabled):
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=False, tracking_uri=uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
