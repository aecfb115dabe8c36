"""One stage of a run, start to end: identity, store, process, tracking, display. Knows nothing of Prefect flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkd.config.derived import is_enabled
from rlkd.errors import RLKDError, StageError
from rlkd.io import is_disk_full
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.jobs import Job, peak_rss_mb
from rlkd.pipeline.stages import StageSpec, resolve, stage_spec
from rlkd.training.checkpoints import CHECKPOINTS
from schemas.artifact import INTERRUPTED, Made, StageEntry, StageManifest, StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig
from schemas.config.training import LaunchConfig
from tasks import tracking
from tasks.artifacts import ProgressArtifact
from tasks.disk import disk_faults
from tasks.display import Display, current_display
from tasks.identity import StageIdentity, identify
from tasks.inputs import input_digests
from tasks.jobs import run_job
from tasks.publishing import AFTER
from tasks.runs import Run, RunRef
from tasks.storage import WORK, Clock
from tasks.tracking import StageRun

Inputs = Mapping[str, StageEntry]
"""Earlier stages of the run by name; one that is switched off has no digest, or is absent."""


def run_stage(name: str, ref: RunRef, inputs: Inputs) -> StageEntry:
    """Makes a stage, or finds it finished.

    Args:
        name: The stage.
        ref: The run.
        inputs: The earlier stages.

    Returns:
        Where it is; an entry with status ``skipped`` where the configuration switches it off.

    Raises:
        UserError: Something that the user can mend.
        StageError: It failed, or its check lets nothing pass.
    """
    run = ref.open()
    if not is_enabled(run.config, name):
        entry = StageEntry(name=name, status="skipped")
        run.record(entry)
        current_display().stage_finished(entry)
        return entry
    spec = resolve(stage_spec(name), run.config)
    present = {item: inputs[item] for item in spec.inputs if item in inputs and inputs[item].sha256}
    folders = {item: Path(entry.uri) for item, entry in present.items()}
    return _Maker(run, ref, spec, identify_stage(spec, run.config, folders), folders, present).run_once()


def identify_stage(spec: StageSpec, config: RunConfig, folders: Mapping[str, Path]) -> StageIdentity:
    """The identity of a stage whose inputs are finished in these folders."""
    digests = input_digests(spec, folders)
    return identify(
        spec,
        config,
        {name: digest.content for name, digest in digests.items()},
        {name: digest.folder for name, digest in digests.items()},
    )


@dataclass
class _Maker:
    """Makes one stage of one run."""

    run: Run
    ref: RunRef
    spec: StageSpec
    identity: StageIdentity
    folders: dict[str, Path]
    inputs: Inputs
    display: Display = field(default_factory=current_display)
    clock: Clock | None = None

    def run_once(self) -> StageEntry:
        """Finds or builds the stage, records what happened, and shows it to the world."""
        name = self.spec.name
        finished = [entry.name for entry in self.run.manifest.stages if entry.sha256]
        try:
            manifest, reused = self.run.store.make(
                self.identity,
                self.build,
                run=self.run.folder.name,
                force=name in self.run.manifest.pending_rebuild,
                finished=finished,
                keep=(CHECKPOINTS,) if self.run.config.keep.checkpoints else (),
                notice=self.display.message,
            )
        except BaseException as error:
            self._record_failure(error)
            if isinstance(error, Exception) and not isinstance(error, RLKDError):
                with disk_faults(
                    name, self.run.store.root, finished
                ):  # there may be no room for the traceback
                    raise self._unexpected(error) from error
            raise
        entry = self._entry(manifest, reused)
        if (publish := AFTER.get(name)) is not None:
            publish(self.run, self.ref, entry, self.inputs)
        self._ask_check(entry)
        self.run.record(entry)
        self.display.stage_finished(entry)
        if reused and self.ref.mlflow_run_id:
            with tracking.tolerated(f"the origin of stage {name}", self.display.message):
                self._name_origin(manifest)
        return entry

    def _ask_check(self, entry: StageEntry) -> None:
        """Asks a finished stage whether the run may go on; what it made stays, whatever it says."""
        check = self.spec.load_check()
        if check is None or not isinstance(self.run.config, PipelineConfig):
            return
        try:
            self.display.message(f"{self.spec.name}: {check(self.run.config, Path(entry.uri))}")
        except StageError as refusal:
            entry = entry.model_copy(update={"status": "failed", "error": str(refusal)[:2000]})
            self.run.record(entry)
            self.display.stage_finished(entry)
            raise StageError(f"stage {self.spec.name}: {refusal}") from None

    def build(self, folder: Path, clock: Clock) -> Made:
        """Runs the stage's function, here or in a process of its own."""
        self.clock = clock
        self.display.stage_started(self.spec.name)
        settings: dict[str, Any] = {"identity": self.identity.key, **self.identity.config}
        uri, parent, notice = self.ref.tracking_uri, self.ref.mlflow_run_id, self.display.message
        with tracking.stage_run(uri, parent, self.spec.name, clock.attempt, settings, notice) as child:
            sink = Listener(self.spec.name, self.display, child, clock)
            try:
                done = self._call(folder, sink)
            except BaseException as error:
                sink.progress_artifact.stop("failed" if isinstance(error, Exception) else "stopped")
                raise
            sink.progress_artifact.finish()
            if child is None:
                return done
            with clock.stopped():
                with tracking.tolerated(f"what stage {self.spec.name} made", notice):
                    self._track(child, done.result, folder)
                return done.model_copy(update={"mlflow_run_id": child.run_id})

    def _call(self, folder: Path, sink: Listener) -> Made:
        job, launch, log = self._job(folder), self.run.config.launch, self.run.log(self.spec.name)
        if self.spec.alone:
            launch = LaunchConfig(grace_s=launch.grace_s, shards=launch.shards, runner=launch.runner)
        if self.spec.sharded and launch.shards > 1 and not (launch.distributed and self.spec.job):
            from tasks.shards import run_shards  # several processes of one job share its rows by themselves

            run_shards(job, folder / WORK, log, launch, sink, own_process=self.spec.job)
        if self.spec.job:
            return run_job(job, folder / WORK, log, launch, sink)
        context: StageContext[Any] = StageContext(self.run.config, self.folders, folder, sink)
        return Made(result=self.spec.load()(context), peak_rss_mb=peak_rss_mb())

    def _job(self, folder: Path) -> Job:
        return Job(
            stage=self.spec.name,
            function=self.spec.function,
            config=self.run.manifest.config,
            inputs={name: str(path) for name, path in self.folders.items()},
            folder=str(folder),
            lock=str(self.run.store.job_lock(self.identity)),
        )

    def _track(self, child: StageRun, result: StageResult, folder: Path) -> None:
        """Figures and small artifacts of a finished stage on its child run."""
        figures = {**result.metrics, "rows": float(result.rows)}
        tracking.log_metrics(child.uri, child.key, figures)
        files = {folder / name: name if (folder / name).is_dir() else "" for name in self.spec.tracked}
        tracking.log_files(child.uri, child.key, files)

    def _entry(self, manifest: StageManifest, reused: bool) -> StageEntry:
        return StageEntry(
            name=self.spec.name,
            status="reused" if reused else "done",
            identity=manifest.identity,
            uri=str(self.run.store.folder_of(manifest)),
            sha256=manifest.sha256,
            seconds=manifest.seconds,
            peak_rss_mb=manifest.peak_rss_mb,
            peak_gpu_mb=manifest.peak_gpu_mb,
            mlflow_run_id=manifest.mlflow_run_id,
            made_by=manifest.run,
        )

    def _name_origin(self, manifest: StageManifest) -> None:
        """Says on the parent run where a reused stage comes from."""
        tags = {f"rlkd.reused.{self.spec.name}": manifest.mlflow_run_id or manifest.run or "an untracked run"}
        tracking.set_tags(self.ref.tracking_uri, self.ref.mlflow_run_id, tags)

    def _record_failure(self, error: BaseException) -> None:
        entry = StageEntry(
            name=self.spec.name,
            status="failed",
            identity=self.identity.key,
            uri=str(
                self.run.store.folder(self.identity) if self.clock is None else self.clock.path.parents[1]
            ),
            seconds=round(self.clock.seconds, 3) if self.clock is not None else 0.0,
            error=(str(error) or type(error).__name__)[:2000]
            if isinstance(error, Exception)
            else INTERRUPTED,
        )
        try:
            self.run.record(entry)
        except OSError as second:
            if not is_disk_full(second):  # that is what the stage itself failed of, and says
                self.display.message(
                    f"{self.spec.name}: its failure could not be written to run.json ({second})"
                )
        self.display.stage_finished(entry)

    def _unexpected(self, error: Exception) -> StageError:
        """A fault that nobody foresaw, as a failure of its stage; the traceback goes to the stage's log."""
        import traceback

        log = self.run.log(self.spec.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))
        return StageError(
            f"stage {self.spec.name}: {type(error).__name__}: {error}; the full error is in {log}"
        )


class Listener:
    """Hears a running stage: passes progress, figures and messages to display, Prefect and MLflow."""

    def __init__(self, stage: str, display: Display, child: StageRun | None, clock: Clock) -> None:
        self.stage = stage
        self.display = display
        self.child = child
        self.clock = clock
        self.progress_artifact = ProgressArtifact(stage)

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Passed on."""
        self.clock.tick()
        self.display.progress(self.stage, done, total, what)
        self.progress_artifact.update(done, total, what)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Passed on."""
        self.clock.tick()
        self.display.metrics(self.stage, step, dict(values))
        if self.child is not None:
            self.child.metrics(step, values)

    def message(self, text: str) -> None:
        """Passed on, with the stage's name before it."""
        self.display.message(f"{self.stage}: {text}")
