"""The warm start: supervised fine-tuning on a few teacher traces, stopped at the validation optimum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlkd.data.drawn import Pair, accepted_pairs, training_pairs, write_drawn
from rlkd.errors import DataError
from rlkd.pipeline.context import StageContext
from rlkd.student.load import Student
from rlkd.student.prompts import PromptBook, training_text
from rlkd.student.quiet import quiet_libraries
from rlkd.training.sft import FineTuning, fine_tune, is_first_process, report_fit, starting_model
from schemas.artifact import StageResult


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
    report_fit(ctx.events, "train", train)
    job = FineTuning(ctx.config.student, settings, "warm_start", seed, ctx.folder, ctx.events)
    made = fine_tune(job, student, start, train, validation)
    if is_first_process():
        write_drawn(ctx.folder, pairs)
    return StageResult(
        rows=len(train.rows),
        summary={
            "traces": len(train.rows),
            "validation_traces": len(validation.rows),
            "long_prompts": train.long_prompts,
            "long_completions": train.long_completions,
            "steps": made.steps,
            "best_step": made.best_step,
        },
        metrics=made.metrics,
    )


def starting_student(ctx: StageContext, pairs: Sequence[Pair]) -> tuple[Student, Path | None]:
    """The untrained student and its folder (``None``: ``student.model``); a fresh one is made and kept as ``base/``."""
    config = ctx.config.student
    prompts = [config.prompt.replace("{question}", problem.question) for problem, _ in pairs]
    texts = [*prompts, *(trace.path for _, trace in pairs)]
    return starting_model(config, ctx.folder, texts, ctx.config.seed)
