"""The warm start: supervised fine-tuning on a few teacher traces, stopped at the validation optimum."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlkd.errors import DataError
from rlkd.stages import StageContext
from rlkd.training.arguments import common_arguments, world_size
from rlkd.training.checkpoints import step_of
from rlkd.training.draw import Pair, accepted_pairs, training_pairs, write_drawn
from rlkd.training.guard import quiet_libraries, stop_on_sigterm
from rlkd.training.mixin import Session, WatchedTrainer, session_callback
from rlkd.training.prompts import PromptBook, TrainingText, training_text
from rlkd.training.student import (
    Student,
    fresh_student,
    is_fresh,
    load_student,
    publish_checkpoint,
    save_student,
)
from schemas.artifact import StageResult

_METRICS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "epoch": "epoch",
    "mean_token_accuracy": "token_accuracy",
    "eval_loss": "validation_loss",
    "eval_mean_token_accuracy": "validation_token_accuracy",
}


def warm_start(ctx: StageContext) -> StageResult:
    """Fine-tunes the student on teacher traces (paper, section 4: the SFT stage before RL).

    The loss covers the completion and the token that ends it, not the prompt. Every ``eval_every`` steps the
    loss on the validation split's traces is measured; the checkpoint with the least goes on. Writes ``model/``,
    ``metrics.jsonl``, ``traces.json`` (which traces were drawn; RL works with the same) and, for a fresh student,
    ``base/``. An unfinished stage continues from its last checkpoint.

    Raises:
        DataError: There is no trace to learn from, or none fits the budgets.
        CheckpointError: The student cannot be loaded.
        TrainingError: The loss was not finite, or the run was asked to stop.
    """
    quiet_libraries()
    settings, seed = ctx.config.warm_start, ctx.config.seed
    pairs = training_pairs(ctx.inputs["data"], ctx.inputs["traces"], settings.traces, seed)
    student, start = starting_student(ctx, pairs)
    book = PromptBook(ctx.config.student, student.tokenizer)
    train = training_text(book, pairs)
    validation = training_text(book, accepted_pairs(ctx.inputs["data"], ctx.inputs["traces"], "validation"))
    if not train.rows:
        raise DataError("there is no teacher trace to learn from")
    report_fit(ctx, "train", train)
    batch = settings.batch_size * settings.accumulation * world_size()
    total = max(1, math.ceil(settings.max_epochs * math.ceil(len(train.rows) / batch)))
    with stop_on_sigterm() as stop:
        session = Session(ctx.folder, ctx.events, "warm_start.optimizer.learning_rate", total, stop=stop)
        trainer = _trainer(ctx, session, student, train, validation)
        history = _train(trainer, session, settings.patience)
    best = best_step(history) or trainer.state.global_step
    if trainer.is_world_process_zero():
        publish_checkpoint(
            ctx.config.student, session.root / f"checkpoint-{best}", start, ctx.folder / "model"
        )
        write_drawn(ctx.folder, pairs)
    losses = dict(validation_losses(history))
    if not losses:
        ctx.events.message("no validation traces: the last checkpoint goes on")
    return StageResult(
        rows=len(train.rows),
        summary={
            "traces": len(train.rows),
            "validation_traces": len(validation.rows),
            "long_prompts": train.long_prompts,
            "long_completions": train.long_completions,
            "steps": trainer.state.global_step,
            "best_step": best,
        },
        metrics={"validation_loss": losses[best], "steps": float(best)} if losses else {"steps": float(best)},
    )


def starting_student(ctx: StageContext, pairs: Sequence[Pair]) -> tuple[Student, Path | None]:
    """The untrained student and its folder (``None``: ``student.model``); a fresh one is made and kept as ``base/``."""
    config = ctx.config.student
    if not is_fresh(config):
        return load_student(config, train=True), None
    base = ctx.folder / "base"
    processes = _processes()
    if processes.is_main_process and not base.exists():
        prompts = [config.prompt.replace("{question}", problem.question) for problem, _ in pairs]
        student = fresh_student(config, [*prompts, *(trace.path for _, trace in pairs)], ctx.config.seed)
        save_student(student.model, student.tokenizer, base)
    processes.wait_for_everyone()
    return load_student(config, base, train=True), base


def _processes() -> Any:
    """The processes that train together; without a GPU they talk through gloo."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def report_fit(ctx: StageContext, split: str, text: TrainingText) -> None:
    """Says how many traces were left out because they exceed the budgets."""
    if text.long_prompts or text.long_completions:
        ctx.events.message(
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


def patience_spent(history: Sequence[dict[str, Any]], patience: int) -> bool:
    """Whether the last ``patience`` validations brought no improvement."""
    best = best_step(history)
    return best is not None and sum(step > best for step, _ in validation_losses(history)) >= patience


def _train(trainer: Any, session: Session, patience: int) -> list[dict[str, Any]]:
    """Runs or continues training; returns the log history of the whole of it."""
    with trainer.args.main_process_first(local=False):
        checkpoint = session.resume()
    if checkpoint is not None:
        history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        if step_of(checkpoint) >= session.total or patience_spent(history, patience):
            trainer.state.global_step = step_of(checkpoint)
            return list(history)
        session.events.message(f"continues from step {step_of(checkpoint)}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    session.check_finished(trainer.state.global_step)
    return list(trainer.state.log_history)


def _trainer(
    ctx: StageContext, session: Session, student: Student, train: TrainingText, validation: TrainingText
) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from rlkd.training.student import lora_config

    settings = ctx.config.warm_start

    class Patience(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            if patience_spent(state.log_history, settings.patience):
                control.should_training_stop = True
            return control

    class WarmStartTrainer(WatchedTrainer, SFTTrainer):  # type: ignore[misc]
        metric_names = _METRICS

        def best_checkpoint(self) -> Path | None:
            step = best_step(self.state.log_history)
            return session.root / f"checkpoint-{step}" if step else None

    args = SFTConfig(
        **common_arguments(session, ctx.config.student, settings.optimizer, ctx.config.seed),
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
    lora = ctx.config.student.lora
    trainer = WarmStartTrainer(
        model=student.model,
        args=args,
        train_dataset=Dataset.from_list(train.rows),
        eval_dataset=Dataset.from_list(validation.rows) if validation.rows else None,
        processing_class=student.tokenizer,
        peft_config=lora_config(lora) if lora else None,
        callbacks=[session_callback(session), Patience()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.session = session
    return trainer
