"""Supervised fine-tuning of a causal LM, stopped at the validation optimum: the warm start and GSRM training alike."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.errors import ConfigError
from rlkd.pipeline.events import EventSink
from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student
from rlkd.student.load import Student, is_fresh, load_student, publish_checkpoint
from rlkd.student.packable import why_not_packed
from rlkd.student.prompts import TrainingText
from rlkd.training.arguments import common_arguments, world_size
from rlkd.training.checkpoints import step_of
from rlkd.training.guard import stop_on_sigterm
from rlkd.training.mixin import Session, WatchedTrainer, session_callback
from schemas.config.student import StudentConfig
from schemas.config.training import FineTuneConfig

_METRICS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "epoch": "epoch",
    "mean_token_accuracy": "token_accuracy",
    "eval_loss": "validation_loss",
    "eval_mean_token_accuracy": "validation_token_accuracy",
}


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning.

    Attributes:
        student: The model and its conventions.
        settings: How it is trained.
        setting: Name of the section that ``settings`` come from, for error messages.
        seed: Seed of everything that is random.
        folder: The stage's folder; gets ``model/`` and ``metrics.jsonl``.
        events: Where progress and metrics go.
        by_length: Whether texts of like length share a batch (less padding, another order).
    """

    student: StudentConfig
    settings: FineTuneConfig
    setting: str
    seed: int
    folder: Path
    events: EventSink
    by_length: bool = False


@dataclass(frozen=True)
class FineTuned:
    """What came of it.

    Attributes:
        steps: Optimiser steps made.
        best_step: The step whose checkpoint was published: the best, unless ``settings.keep`` asks for the last.
        losses: Validation loss by step; empty without validation.
    """

    steps: int
    best_step: int
    losses: dict[int, float]

    @property
    def metrics(self) -> dict[str, float]:
        """The headline figures."""
        figures = {"steps": float(self.best_step)}
        return {"validation_loss": self.losses[self.best_step], **figures} if self.losses else figures


def fine_tune(
    job: FineTuning, student: Student, start: Path | None, train: TrainingText, validation: TrainingText
) -> FineTuned:
    """Trains on tokenised texts and publishes the checkpoint with the least validation loss (or the last) as ``model/``.

    Every ``eval_every`` steps the loss on the validation texts is measured, and a checkpoint saved; an
    unfinished training continues from its last one. Without validation texts the last checkpoint goes on.

    Args:
        job: What is to be done.
        student: The model to start from; see :func:`starting_model`.
        start: Its folder (``None``: ``job.student.model``).
        train: What is learned; not empty.
        validation: What decides when to stop.

    Raises:
        TrainingError: The loss was not finite, or the run was asked to stop.
    """
    settings = job.settings
    batch = settings.batch_size * settings.accumulation * world_size()
    total = max(1, math.ceil(settings.max_epochs * math.ceil(len(train.rows) / batch)))
    with stop_on_sigterm() as stop:
        rate = f"{job.setting}.optimizer.learning_rate"
        session = Session(job.folder, job.events, rate, total, stop=stop)
        trainer = _trainer(job, session, student, train, validation)
        history = _train(trainer, session, settings)
    best = (settings.keep == "best" and best_step(history)) or trainer.state.global_step
    if trainer.is_world_process_zero():
        publish_checkpoint(job.student, session.root / f"checkpoint-{best}", start, job.folder / "model")
    losses = dict(validation_losses(history))
    if not losses:
        job.events.message("no validation traces: the last checkpoint goes on")
    return FineTuned(trainer.state.global_step, best, losses)


def starting_model(
    config: StudentConfig, folder: Path, texts: Iterable[str], seed: int
) -> tuple[Student, Path | None]:
    """The untrained model and its folder (``None``: ``student.model``); a fresh one is made and kept as ``base/``.

    Args:
        config: The ``student`` section.
        folder: The stage's folder.
        texts: What a fresh tokenizer learns from.
        seed: Seed of fresh weights.
    """
    if not is_fresh(config):
        return load_student(config, train=True), None
    base = folder / "base"
    together = processes()
    if together.is_main_process and not base.exists():
        student = fresh_student(config, texts, seed)
        save_student(student.model, student.tokenizer, base)
    together.wait_for_everyone()
    return load_student(config, base, train=True), base


def is_first_process() -> bool:
    """Whether this process is the one that writes for all that train together."""
    return bool(processes().is_main_process)


def processes() -> Any:
    """The processes that train together; without a GPU they talk through gloo."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def report_fit(events: EventSink, split: str, text: TrainingText) -> None:
    """Says how many traces were left out because they exceed the budgets."""
    if text.long_prompts or text.long_completions:
        events.message(
            f"{split}: {text.long_prompts} traces left out for a prompt over student.max_prompt_tokens, "
            f"{text.long_completions} for a completion over student.max_completion_tokens"
        )


def validation_losses(history: Iterable[dict[str, Any]]) -> list[tuple[int, float]]:
    """(step, validation loss) of each validation in a Trainer's log history."""
    return [(int(entry["step"]), float(entry["eval_loss"])) for entry in history if "eval_loss" in entry]


def best_step(history: Iterable[dict[str, Any]]) -> int | None:
    """Step with the least validation loss, the earliest of equals; ``None`` without any validation."""
    losses = validation_losses(history)
    return min(losses, key=lambda pair: (pair[1], pair[0]))[0] if losses else None


def patience_spent(history: Sequence[dict[str, Any]], settings: FineTuneConfig) -> bool:
    """Whether the last ``patience`` validations brought no improvement, and the best is what is wanted."""
    best = best_step(history) if settings.keep == "best" else None
    later = 0 if best is None else sum(step > best for step, _ in validation_losses(history))
    return best is not None and later >= settings.patience


def _train(trainer: Any, session: Session, settings: FineTuneConfig) -> list[dict[str, Any]]:
    """Runs or continues training; returns the log history of the whole of it."""
    with trainer.args.main_process_first(local=False):
        checkpoint = session.resume()
    if checkpoint is not None:
        history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        if step_of(checkpoint) >= session.total or patience_spent(history, settings):
            trainer.state.global_step = step_of(checkpoint)
            return list(history)
        session.events.message(f"continues from step {step_of(checkpoint)}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    session.check_finished(trainer.state.global_step)
    return list(trainer.state.log_history)


def _trainer_class(job: FineTuning, session: Session, lengths: Sequence[int]) -> Any:
    """TRL's SFT trainer with our optimiser, order of texts and checkpoints, for training texts of these lengths."""
    from trl import SFTTrainer

    from rlkd.training.order import ByLength

    settings = job.settings

    class FineTuneTrainer(WatchedTrainer, SFTTrainer):  # type: ignore[misc]
        metric_names = _METRICS
        optimizer: Any

        def create_optimizer(self, model: Any = None) -> Any:
            if settings.optimizer.name == "muon" and getattr(self, "optimizer", None) is None:
                self.optimizer = _muon(self, self.model if model is None else model, job)
            return super().create_optimizer(model)

        def order_of_texts(self) -> Any:
            if not job.by_length and not settings.easy_first:
                return None
            batch = settings.batch_size * settings.accumulation * world_size()
            return ByLength(lengths, batch, settings.easy_first, job.seed)

        def best_checkpoint(self) -> Path | None:
            step = best_step(self.state.log_history)
            return session.root / f"checkpoint-{step}" if step else None

    return FineTuneTrainer


def _trainer(
    job: FineTuning, session: Session, student: Student, train: TrainingText, validation: TrainingText
) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig

    from rlkd.student.load import lora_config

    settings = job.settings
    # Validation texts of like length share a batch too, which pads less and changes no figure but by rounding.
    held_out = (
        sorted(validation.rows, key=lambda row: len(row["input_ids"])) if job.by_length else validation.rows
    )

    class Patience(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            if patience_spent(state.log_history, settings):
                control.should_training_stop = True
            return control

    args = SFTConfig(
        **common_arguments(session, job.student, settings.optimizer, job.seed),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=4 * settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        eval_strategy="steps" if validation.rows else "no",
        eval_steps=settings.eval_every,
        save_steps=settings.eval_every,
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    lora = job.student.lora
    trainer = _trainer_class(job, session, [len(row["input_ids"]) for row in train.rows])(
        model=student.model,
        args=args,
        train_dataset=Dataset.from_list(train.rows),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=student.tokenizer,
        peft_config=lora_config(lora) if lora else None,
        data_collator=_collator(job, student),
        callbacks=[session_callback(session), Patience()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.session = session
    return trainer


def _collator(job: FineTuning, student: Student) -> Any:
    """Packs the texts of a batch where that is asked for and the model's attention keeps them apart; otherwise TRL's own."""
    from rlkd.training.packing import PackRows

    if not job.settings.packing:
        return None
    config = student.model.config
    if why := why_not_packed(config, config._attn_implementation):
        job.events.message(f"each text has a padded row of its own: {why}")
        return None
    return PackRows(student.tokenizer.pad_token_id)


def _muon(trainer: Any, model: Any, job: FineTuning) -> Any:
    """Muon for a model whose matrices are whole.

    Raises:
        ConfigError: They are spread over processes.
    """
    from rlkd.training.optimizer import muon

    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ConfigError(
            f"{job.setting}.optimizer.name: muon needs whole matrices, which FSDP and DeepSpeed spread over processes; set adamw"
        )
    return muon(model, job.settings.optimizer)
