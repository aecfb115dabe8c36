"""A run and its stages in MLflow.

One parent run per flow run (found again by its tag after a retry); one child run per attempt of a stage
that really runs, marked failed where it failed. A reused stage makes no child: the parent's tags name the
run that it came from. Every secret-looking setting is left out.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from rlkd.io import is_disk_full
from schemas.artifact import StageManifest
from schemas.config.run import RunConfig
from tasks.tracking.connection import client, experiment, redact_text, tolerated, unreachable
from tasks.tracking.deliver import PARENT_TAG, deliver
from tasks.tracking.outbox import Outbox, outbox_for, send

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
    from mlflow.tracking import MlflowClient

FLOW_RUN_TAG = "rlkd.flow_run_id"
NOTE_TAG = "mlflow.note.content"
"""What MLflow shows as a run's description."""
PRIVATE_PREFECT = "RLKD_PRIVATE_PREFECT"
"""Set while ``PREFECT_API_URL`` names a private server."""
_BATCH = 500
_ID_S = 5.0
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

    Raises:
        UserError: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    try:
        run_id = _begin(mlflow, uri, config, digest, flow_run_id, config_file)
        _parent(uri, run_id)
    except MlflowException as error:
        raise unreachable(uri, str(error).splitlines()[0][:200]) from error
    return run_id


def _begin(
    mlflow: MlflowClient, uri: str, config: RunConfig, digest: str, flow_run_id: str, config_file: Path
) -> str:
    where = experiment(uri, config.tracking.experiment)
    if flow_run_id:
        found = mlflow.search_runs([where], f"tags.`{FLOW_RUN_TAG}` = '{flow_run_id}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            mlflow.update_run(run_id, status="RUNNING")
            return run_id
    folder = config_file.resolve().parent
    tags = {FLOW_RUN_TAG: flow_run_id, "rlkd.config_digest": digest, "rlkd.folder": str(folder)} | _facts(
        config
    )
    name = config.name if folder.name == config.name else f"{folder.name} ({config.name})"
    link = page_of_flow_run(flow_run_id)
    tags["rlkd.prefect"] = link
    tags[NOTE_TAG] = "\n\n".join(
        filter(None, [config.description, f"Run folder: `{folder}`", f"[In Prefect]({link})" if link else ""])
    )
    run = mlflow.create_run(where, run_name=name, tags={k: v for k, v in tags.items() if v})
    run_id = str(run.info.run_id)
    params = flatten(config.model_dump(mode="json"))
    deliver(mlflow, uri, {"op": "params", "run": run_id, "values": params}, {})
    mlflow.log_artifact(run_id, str(config_file))
    return run_id


def _facts(config: RunConfig) -> dict[str, str]:
    """What a run can be found by: who, with what, from which commit, and the settings that people compare by."""
    from importlib.metadata import version

    from mlflow.tracking.context.registry import resolve_tags

    rewards = getattr(config, "rewards", None)
    return {
        "mlflow.source.git.commit": _commit(),
        **resolve_tags(),
        "rlkd.config": config.name,
        "rlkd.kind": getattr(config, "kind", "pipeline"),
        "rlkd.version": version("rlkd"),
        "rlkd.seed": str(config.seed),
        "rlkd.alpha": "" if rewards is None else str(rewards.alpha),
    }


def _commit() -> str:
    """The commit of this project's own checkout; empty where it is installed as a package."""
    import subprocess

    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def end_run(uri: str, run_id: str, status: str) -> None:
    """Ends a run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
    send(uri, {"op": "end", "run": run_id, "status": status, "at": _now()})


def close_runs(uri: str, run_id: str, itself: bool) -> None:
    """Ends as ``KILLED`` what an attempt that was killed has left running.

    Args:
        uri: Tracking URI.
        run_id: Its parent run; its children are ended.
        itself: Whether the parent is ended as well, because no later attempt goes on with it.
    """
    send(uri, {"op": "close", "run": run_id, "itself": itself, "at": _now()})


def _now() -> int:
    return int(time.time() * 1000)


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
    """The child run of one attempt of a stage; what it logs goes through the run's outbox.

    Attributes:
        uri: Tracking URI.
        key: Its name in the outbox, which stands for MLflow's id.
        box: The outbox.
        notice: Told what cannot be written down.
    """

    uri: str
    key: str
    box: Outbox
    notice: Callable[[str], None]

    @property
    def run_id(self) -> str:
        """MLflow's id; empty where MLflow was away, or too slow to say it."""
        return self.box.run_id(self.key, _ID_S)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Takes figures at a step."""
        with tolerated("step figures", self.notice):
            self.box.put({"op": "metrics", "run": self.key, "values": _points(values, step)})


def _points(values: Mapping[str, float], step: int) -> list[tuple[str, float, int, int]]:
    now = _now()
    return [(metric_name(name), float(value), now, step) for name, value in values.items()]


@contextmanager
def stage_run(
    uri: str,
    parent: str,
    stage: str,
    attempt: int,
    settings: Mapping[str, Any],
    notice: Callable[[str], None],
) -> Iterator[StageRun | None]:
    """The child run of one attempt of a stage; ``None`` where the run is not tracked.

    It ends as FINISHED, FAILED or KILLED (interrupted) by how the context is left.
    """
    if not parent:
        yield None
        return
    with outbox_for(uri, notice) as box:
        child = StageRun(uri, uuid4().hex, box, notice)
        with tolerated(f"stage {stage}", notice):
            _start_child(child, parent, stage, attempt, settings)
        status = "FAILED"
        try:
            yield child
            status = "FINISHED"
        except Exception as error:
            if is_disk_full(error):  # the stage says so, and the outbox lies on the same disk
                notice = child.notice = _unheard
            raise
        except BaseException:
            status = "KILLED"
            raise
        finally:
            with tolerated(f"the end of stage {stage}", notice):
                end_run(uri, child.key, status)


def _unheard(text: str) -> None:
    """Takes a line that nobody needs."""


def _start_child(child: StageRun, parent: str, stage: str, attempt: int, settings: Mapping[str, Any]) -> None:
    above = _parent(child.uri, parent)
    tags = {PARENT_TAG: parent, "rlkd.kind": "stage", "rlkd.stage": stage, "rlkd.attempt": str(attempt)}
    name = (
        f"{stage} of {above.name.partition(' (')[0]}"  # curves of several runs in one chart tell them by it
    )
    name, tries = (name, "") if attempt == 1 else (f"{name} ({attempt})", f", attempt {attempt}")
    tags[NOTE_TAG] = f"Stage `{stage}` of the run {above.name}{tries}."
    entry = {
        "op": "run",
        "key": child.key,
        "experiment": above.experiment,
        "name": name,
        "tags": tags,
        "at": _now(),
    }
    child.box.put(entry)
    child.box.put({"op": "params", "run": child.key, "values": flatten(settings)})


def run_url(uri: str, run_id: str) -> str:
    """The page of a parent run at an MLflow server, without credentials."""
    return f"{redact_text(uri).replace('***@', '').rstrip('/')}/#/experiments/{_parent(uri, run_id).experiment}/runs/{run_id}"


def page_of_flow_run(flow_run_id: str) -> str:
    """The page of a flow run at the Prefect server in use; empty for a private one, whose pages go with the run."""
    api = redact_text(os.environ.get("PREFECT_API_URL", "")).replace("***@", "")
    if not flow_run_id or not api or os.environ.get(PRIVATE_PREFECT):
        return ""
    return f"{os.environ.get('PREFECT_UI_URL') or api.rstrip('/').removesuffix('/api')}/runs/flow-run/{flow_run_id}"


class _Parent(NamedTuple):
    name: str
    experiment: str


@functools.lru_cache(maxsize=64)
def _parent(uri: str, run_id: str) -> _Parent:
    """Name and experiment of a parent run, asked for once: MLflow may be away when a later stage starts."""
    info = client(uri).get_run(run_id).info
    return _Parent(str(info.run_name), str(info.experiment_id))


def log_metrics(uri: str, run_id: str, values: Mapping[str, float]) -> None:
    """Sends figures without a step."""
    points = _points(values, 0)
    for start in range(0, len(points), _BATCH):
        send(uri, {"op": "metrics", "run": run_id, "values": points[start : start + _BATCH]})


def set_tags(uri: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags."""
    send(uri, {"op": "tags", "run": run_id, "values": dict(tags)})


def metric_name(name: str) -> str:
    """A name that MLflow takes: ``pass@4`` becomes ``pass_at_4``."""
    return re.sub(r"[^\w\-./ ]", "_", name.replace("@", "_at_"))


def log_files(uri: str, run_id: str, files: Mapping[Path, str]) -> None:
    """Logs files or folders as artifacts, each under a folder name (empty for the top)."""
    there = [(str(path), where) for path, where in files.items() if path.exists()]
    if there:
        send(uri, {"op": "files", "run": run_id, "files": there})


def log_datasets(uri: str, run_id: str, folder: Path, manifest: StageManifest, name: str) -> None:
    """Logs the splits of a finished data stage as dataset inputs of a run."""
    datasets = [
        {
            "source": (folder / f"{split}.jsonl").as_uri(),
            "name": f"{name}/{split}",
            "digest": manifest.files[f"{split}.jsonl"][:32],
            "use": use,
        }
        for split, use in _SPLITS.items()
        if f"{split}.jsonl" in manifest.files and (folder / f"{split}.jsonl").stat().st_size
    ]
    if datasets:
        send(uri, {"op": "inputs", "run": run_id, "datasets": datasets})


def log_table(
    uri: str, run_id: str, source: Path, columns: Mapping[str, str], file: str, limit: int = 1000
) -> None:
    """Logs the rows of a JSON-lines file as a table.

    Args:
        uri: Tracking URI.
        run_id: The run.
        source: The file.
        columns: Fields of its rows, each with the name of its column.
        file: Name of the table among the run's artifacts.
        limit: Most rows.
    """
    if source.is_file():
        entry = {"op": "table", "run": run_id, "source": str(source), "columns": dict(columns), "file": file}
        send(uri, {**entry, "limit": limit})


def log_student(
    uri: str,
    run_id: str,
    name: str,
    model: Path,
    digest: str,
    tags: Mapping[str, str],
    about: str,
    alias: str,
) -> None:
    """Registers a student; see :func:`tasks.tracking.models.register_student`. The run's tag names its version."""
    entry = {"op": "model", "run": run_id, "name": name, "model": str(model), "digest": digest}
    send(uri, {**entry, "tags": dict(tags), "about": about, "alias": alias})


@contextmanager
def system_metrics(uri: str, run_id: str, enabled: bool) -> Iterator[None]:
    """Logs CPU, memory, disk, network and GPU use to a run while this lasts."""
    if not (run_id and enabled):
        yield
        return
    monitor = _monitor(uri, run_id)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def _monitor(uri: str, run_id: str) -> SystemMetricsMonitor:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):  # type: ignore[misc]
        """MLflow's own asks the server about the run at each sample, and ends for good when that fails once."""

        def monitor(self) -> None:
            while not self._shutdown_event.is_set():
                for _ in range(self.samples_before_logging):
                    self.collect_metrics()
                    if self._shutdown_event.wait(self.sampling_interval):
                        return
                self.publish_metrics(self.aggregate_metrics())

        def publish_metrics(self, metrics: dict[str, float]) -> None:
            named = {self._metrics_prefix + name: value for name, value in metrics.items()}
            with tolerated("system metrics", _unheard):
                send(uri, {"op": "metrics", "run": run_id, "values": _points(named, self._logging_step)})
            self._logging_step += 1
            for part in self.monitors:
                part.clear_metrics()

    return Monitor(run_id, resume_logging=False, tracking_uri=uri)
