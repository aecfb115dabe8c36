"""What both trainers share: whole checkpoints, metrics on disk, a watch over the loss, a clean stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkd.errors import TrainingError
from rlkd.io import is_disk_full
from rlkd.pipeline.events import EventSink
from rlkd.training.checkpoints import MetricsFile, checkpoint_root, last_checkpoint, mark_complete, prune
from rlkd.training.guard import StopRequest, check_finite
from rlkd.training.trl_hooks import TrainerHooks


@dataclass
class Session:
    """One attempt at a training stage.

    Attributes:
        folder: The stage's folder.
        events: Where progress and metrics go.
        setting: Dotted name of the learning rate, for error messages.
        total: Optimiser steps planned.
        boundary: Checkpoints are saved only at multiples of this many steps.
        stop: Request to stop.
        before_mark: Called before a checkpoint is marked as whole (writes what belongs to it).
    """

    folder: Path
    events: EventSink
    setting: str
    total: int
    boundary: int = 1
    stop: StopRequest = field(default_factory=StopRequest)
    before_mark: Callable[[], None] | None = None

    @property
    def root(self) -> Path:
        """Folder of the checkpoints."""
        return checkpoint_root(self.folder)

    @property
    def metrics(self) -> MetricsFile:
        """The stage's metrics."""
        return MetricsFile(self.folder / "metrics.jsonl")

    def resume(self) -> Path | None:
        """The checkpoint to continue from; metrics after it are dropped."""
        self.root.mkdir(parents=True, exist_ok=True)
        checkpoint = last_checkpoint(self.root)
        self.metrics.truncate(int(checkpoint.name.rpartition("-")[2]) if checkpoint else -1)
        return checkpoint

    def check_finished(self, step: int) -> None:
        """Refuses a model that was cut off before its last step.

        Raises:
            TrainingError: Training was asked to stop.
        """
        if self.stop.asked:
            last = last_checkpoint(self.root)
            where = f"; the checkpoint of step {last.name.rpartition('-')[2]} is kept" if last else ""
            raise TrainingError(
                f"training was asked to stop at step {step} of {self.total}{where}; the same command continues it"
            )


class WatchedTrainer(TrainerHooks):
    """Mixin for Hugging Face trainers; goes before the trainer class. Set ``session`` after construction."""

    session: Session
    metric_names: Mapping[str, str] = {}
    """Our name of each figure that is kept, by the trainer's name."""
    last_row: Mapping[str, float]
    """The last row of the metrics."""

    def best_checkpoint(self) -> Path | None:
        """A checkpoint that must be kept beside the last one."""
        return None

    def extra_metrics(self) -> dict[str, float]:
        """Figures of the step that the trainer does not log itself; asked for in every process, kept by the first."""
        return {}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps the step's figures in ``metrics.jsonl`` and passes them on."""
        super().log(logs, start_time)  # type: ignore[misc]
        extra = self.extra_metrics() if "loss" in logs else {}
        if not self.is_world_process_zero():  # type: ignore[attr-defined]
            return
        if "loss" in logs or "eval_loss" in logs:
            found = {ours: logs.get(name) for name, ours in self.metric_names.items()}
            values = {name: float(v) for name, v in found.items() if v is not None and math.isfinite(v)}
            values |= extra
            step = self.state.global_step  # type: ignore[attr-defined]
            self.last_row = {"step": step, **values}
            self.session.metrics.append(step, values)
            self.session.events.metrics(step, values)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Refuses a NaN or infinite loss before the optimiser sees its gradient."""
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        check_finite(float(loss), "loss", self._next_step(), self.session.root, self.session.setting)
        return loss

    def clipped(self, norm: float | None) -> None:
        """Refuses a NaN or infinite gradient before the optimiser sees it."""
        if norm is not None:
            check_finite(norm, "gradient norm", self._next_step(), self.session.root, self.session.setting)

    def _next_step(self) -> int:
        return self.state.global_step + 1  # type: ignore[attr-defined, no-any-return]

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Writes none: checkpoints are private, and the published model has the pipeline's report."""

    def save(self, write: Callable[[], None]) -> None:
        """Saves a checkpoint whole, or says that the disk is full."""
        from safetensors import SafetensorError

        try:
            write()
            self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]
            if self.args.should_save:  # type: ignore[attr-defined]
                self._finish_checkpoint()
        except (OSError, RuntimeError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            last = last_checkpoint(self.session.root)  # removes the torn one, which frees what it took
            kept = f"{last} is kept" if last else "none had been saved before"
            raise TrainingError(
                f"the disk is full: the checkpoint of step {self.state.global_step} could not be written to "  # type: ignore[attr-defined]
                f"{self.session.root} ({kept}); free some space and run again, training continues from there"
            ) from error

    def _finish_checkpoint(self) -> None:
        """Writes what belongs to the checkpoint, marks it as whole, and only then removes older ones."""
        if self.session.before_mark is not None:
            self.session.before_mark()
        current = self.session.root / f"checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        (current / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing reads
        mark_complete(current)
        best = self.best_checkpoint()
        prune(self.session.root, {current} | ({best} if best else set()))


def session_callback(session: Session) -> Any:
    """A Trainer callback that saves at safe steps, reports progress, and stops when asked to."""
    from transformers import TrainerCallback

    class SessionCallback(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            if state.is_world_process_zero:
                session.events.progress(state.global_step, session.total, "steps")
            if session.stop.asked and state.global_step % session.boundary == 0:
                control.should_save = control.should_training_stop = True
            return control

    return SessionCallback()
