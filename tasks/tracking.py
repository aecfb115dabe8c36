"""MLflow, and the only module that imports it.

One parent run per flow run (found again by its tag after a retry); one child run per attempt of a stage
that really runs, marked failed where it failed. A reused stage makes no child: the parent's tags name the
run that it came from. Every secret-looking setting is left out.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import UserError
from rlkd.io import sha256_text
from schemas.artifact import StageManifest
from schemas.config.run import RunConfig
from tasks.identity import digest_path

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

FLOW_RUN_TAG = "rlkd.flow_run_id"
DIGEST_TAG = "rlkd.sha256"
NOTE_TAG = "mlflow.note.content"
"""What MLflow shows as a run's description."""
MODEL_DIGEST_TAG = "rlkd.model_sha256"
"""Tag of a model version: digest over the files of its folder, checked before it is used by name."""
_PARENT_TAG = "mlflow.parentRunId"
_BATCH = 500
_FLUSH_S = 3.0
_PARAMS_PER_CALL = 100
_COPY_LIMIT_MB = 1024.0
_SPLITS = {"train": "training", "validation": "validation", "test": "evaluation", "ood": "evaluation"}
_SECRET = re.compile(r"(api_?key|token|secret|password|credential|authorization)$", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def tracking_uri(runs: Path) -> str:
    """``$MLFLOW_TRACKING_URI``, or a SQLite file with the runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs.resolve() / '.mlflow' / 'mlflow.db'}"


@functools.lru_cache(maxsize=8)
def client(uri: str) -> MlflowClient:
    """The client for a tracking URI, its database ready.

    Raises:
        UserError: MLflow does not answer there.
    """
    from filelock import FileLock
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        if not uri.startswith("sqlite:///"):
            found = MlflowClient(uri)
            found.search_experiments(max_results=1)
            return found
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(".start.lock")):  # two processes must not both create the tables
            if not path.exists():
                _make_database(path)
            found = MlflowClient(uri)
            found.search_experiments(max_results=1)
        return found
    except MlflowException as error:
        first = str(error).splitlines()[0][:200]
        raise UserError(
            f"MLflow does not answer at {redact_text(uri)} ({first}); mend MLFLOW_TRACKING_URI, or set tracking.enabled=false"
        ) from error


def _make_database(path: Path) -> None:
    """Makes MLflow's database, or nothing: it cannot mend one whose tables were made only in part."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        engine = create_sqlalchemy_engine(f"sqlite:///{temporary}")
        try:
            _initialize_tables(engine)
        finally:
            engine.dispose()
        os.replace(temporary, path)
    finally:
        for file in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            file.unlink(missing_ok=True)


def experiment(uri: str, name: str) -> str:
    """The id of an experiment, made where it is missing."""
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None
    if uri.startswith("sqlite:///") and not os.environ.get("MLFLOW_TRACKING_URI"):
        location = (Path(uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()
    try:
        return str(mlflow.create_experiment(name, artifact_location=location))
    except MlflowException:
        found = mlflow.get_experiment_by_name(name)  # another run made it in the meantime
        if found is None:
            raise
        return str(found.experiment_id)


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
        "rlkd.config": config.name,
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


def redact_text(text: str) -> str:
    """A text without the credentials of the URLs in it."""
    return _CREDENTIALS.sub("***@", text)


@contextmanager
def tolerated(what: str, notice: Callable[[str], None]) -> Iterator[None]:
    """Once a run has started, tracking never costs finished work: what MLflow refuses is told, not raised."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        first = redact_text((str(error) or type(error).__name__).splitlines()[0][:200])
        notice(f"MLflow: {what} could not be logged ({first}); the run goes on")


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
    except Exception:
        raise
    except BaseException:
        status = "KILLED"
        raise
    finally:
        child.flush()
        with tolerated(f"the end of stage {stage}", notice):
            client(uri).set_terminated(child.run_id, status)


def _start_child(
    uri: str,
    parent: str,
    stage: str,
    attempt: int,
    settings: Mapping[str, Any],
    notice: Callable[[str], None],
) -> StageRun:
    mlflow = client(uri)
    where = mlflow.get_run(parent).info.experiment_id
    tags = {_PARENT_TAG: parent, "rlkd.kind": "stage", "rlkd.stage": stage, "rlkd.attempt": str(attempt)}
    name = stage if attempt == 1 else f"{stage} ({attempt})"
    child = StageRun(uri, str(mlflow.create_run(where, run_name=name, tags=tags).info.run_id), notice)
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


def register_student(
    uri: str,
    run_id: str,
    name: str,
    model: Path,
    digest: str,
    tags: Mapping[str, str],
    where: str = "student",
    about: str = "",
) -> tuple[str, str]:
    """Registers a student (or a GSRM) as a model version, once: the same weights under the same name are found again.

    Small students are copied into MLflow's artifacts; those above 1 GiB stay in the store, and the version points there.

    Args:
        uri: Tracking URI.
        run_id: The parent run.
        name: Registered model.
        model: Folder of the student in Hugging Face format.
        digest: Its content digest.
        tags: Its evaluation and where it comes from.
        where: Folder of the run's artifacts that gets it.
        about: What the page of a new version says.

    Returns:
        The version, and ``new`` or ``found``.
    """
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    try:
        mlflow.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in mlflow.search_model_versions(f"name = '{name}'", max_results=1000):
        if version.tags.get(DIGEST_TAG) == digest:
            for key, value in tags.items() - version.tags.items():
                mlflow.set_model_version_tag(name, version.version, key, value)
            return str(version.version), "found"
    size_mb = sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 2**20
    if size_mb <= _COPY_LIMIT_MB:
        mlflow.log_artifacts(run_id, str(model), where)
        source = f"{mlflow.get_run(run_id).info.artifact_uri}/{where}"
    else:
        source = model.as_uri()
    tags = {DIGEST_TAG: digest, **tags}
    made = mlflow.create_model_version(name, source, run_id=run_id, tags=tags, description=about or None)
    return str(made.version), "new"


_MODEL_NAME = re.compile(r"models:/([^/@]+)(?:/([0-9]+|latest)|@([^/@]+))\Z")


def model_folder(uri: str, name: str) -> Path:
    """The folder of a registered model; one that lies elsewhere is fetched once.

    Args:
        uri: Tracking URI.
        name: ``models:/name/3``, ``models:/name/latest`` or ``models:/name@alias``.

    Raises:
        UserError: There is no such model or version, its files are gone, or they are not what was registered.
    """
    from mlflow.exceptions import MlflowException

    match = _MODEL_NAME.match(name)
    if match is None:
        raise UserError(
            f"{name}: not the name of a registered model; write models:/name/3, models:/name/latest or models:/name@alias"
        )
    mlflow = client(uri)
    try:
        version = _model_version(mlflow, match[1], match[2], match[3])
        source = str(mlflow.get_model_version_download_uri(match[1], version.version))
    except MlflowException as error:
        raise UserError(
            f"{name}: MLflow at {redact_text(uri)} has no such model ({str(error).splitlines()[0][:200]}); it knows {_known(mlflow)}"
        ) from None
    folder = _local_folder(uri, source, match[1], str(version.version))
    wanted = version.tags.get(MODEL_DIGEST_TAG)
    if wanted is not None and digest_path(folder) != wanted:
        raise UserError(
            f"{name}: the files in {folder} are not what was registered (changed, or fetched in part); register the model again"
        )
    return folder


def _model_version(mlflow: MlflowClient, name: str, number: str | None, alias: str | None) -> Any:
    if alias is not None:
        return mlflow.get_model_version_by_alias(name, alias)
    if number != "latest":
        return mlflow.get_model_version(name, str(number))
    mlflow.get_registered_model(name)  # says so where there is none
    versions = mlflow.search_model_versions(f"name = '{name}'", max_results=1000)
    if not versions:
        raise UserError(f"models:/{name}/latest: the model has no version yet")
    return max(versions, key=lambda found: int(found.version))


def _known(mlflow: MlflowClient) -> str:
    names = [model.name for model in mlflow.search_registered_models(max_results=20)]
    return ", ".join(names) or "none"


def _local_folder(uri: str, source: str, name: str, version: str) -> Path:
    """Where the files of a model version are on this machine."""
    from urllib.parse import unquote, urlparse

    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    where = urlparse(source)
    if where.scheme in ("", "file"):
        folder = Path(unquote(where.path))
        if not folder.is_dir():
            raise UserError(
                f"models:/{name}/{version}: its files are gone ({folder}); register the model again"
            )
        return folder
    cache = os.environ.get("RLKD_CACHE")
    root = Path(cache).expanduser() if cache else Path("runs") / ".cache"
    folder = root.resolve() / "models" / sha256_text(uri)[:12] / name / version
    if not folder.is_dir():
        temporary = folder.with_name(f".{version}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            fetched = download_artifacts(artifact_uri=source, dst_path=str(temporary), tracking_uri=uri)
            if not folder.is_dir():
                os.replace(fetched, folder)
        except (MlflowException, OSError) as error:
            raise UserError(
                f"models:/{name}/{version}: its files cannot be fetched from {redact_text(source)} ({str(error)[:200]})"
            ) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


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
