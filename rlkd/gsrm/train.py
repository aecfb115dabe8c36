"""The third stage of GSRM training: a causal LM learns to write decompositions (paper, section 3.1)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from rlkd.errors import ConfigError, DataError
from rlkd.gsrm.annotate import ACCEPTED, accepted_structures
from rlkd.gsrm.paths import read_paths
from rlkd.io import read_rows, write_json_atomic
from rlkd.pipeline.context import StageContext
from rlkd.structure.decomposers.forms import CARD, FORM_VERSION, TrainedForm, trained_form
from rlkd.structure.interfaces import PathItem
from rlkd.student.prompts import PromptBook, TrainingText, encode_pairs
from schemas.artifact import StageResult
from schemas.config.gsrm import GsrmConfig
from schemas.config.student import CheckpointModel, ModelConfig, StudentConfig
from schemas.gsrm import Annotation, GsrmCard, GsrmPath
from schemas.structure import ReasoningStep, Structure


def train_decomposer(ctx: StageContext[GsrmConfig]) -> StageResult:
    """Fine-tunes the model on (problem and path -> decomposition) with the same code as the warm start.

    The loss covers the decomposition, not the path. Writes ``model/`` with its card, and ``metrics.jsonl``; an
    unfinished stage continues from its last checkpoint.

    Raises:
        DataError: There is no annotated path to learn from, or none fits the budgets.
        CheckpointError: The model cannot be loaded.
        TrainingError: The loss was not finite, or the run was asked to stop.
    """
    from rlkd.student.load import load_student
    from rlkd.student.quiet import quiet_libraries
    from rlkd.training.sft import FineTuning, fine_tune, is_first_process, report_fit, starting_model

    quiet_libraries()
    config, form = ctx.config, trained_form(ctx.config.student.form)
    paths = read_paths(ctx.inputs["gsrm_paths"])
    found = accepted_structures(read_rows(ctx.inputs["gsrm_annotations"] / ACCEPTED, Annotation))
    student = student_of(config, form)
    pairs = {
        split: written_pairs(config, form, [row for row in paths if row.split == split], found)
        for split in ("train", "validation")
    }
    if not pairs["train"]:
        raise DataError(
            "no training path has an annotation that was accepted; see rejected.jsonl of the annotations"
        )
    texts = [text for pair in pairs["train"] for text in pair]
    if config.student.context is None:
        model, start = starting_model(student, ctx.folder, texts, config.seed)
    else:
        start = lengthened(config.student.model, config.student.context, ctx.folder / "base")
        model = load_student(student, start, train=True)
    _settle()
    book = PromptBook(student, model.tokenizer)
    train, validation = encode_pairs(book, pairs["train"]), encode_pairs(book, pairs["validation"])
    report_fit(ctx.events, "train", train)
    report_fit(ctx.events, "validation", validation)
    job = FineTuning(student, config.sft, "sft", config.seed, ctx.folder, ctx.events, by_length=True)
    made = fine_tune(job, model, start, train, validation)
    if is_first_process():
        card = GsrmCard(
            form=config.student.form,
            version=FORM_VERSION,
            chat=config.student.chat,
            max_tokens=config.student.max_completion_tokens,
        )
        write_json_atomic(ctx.folder / "model" / CARD, card)
    summary = {
        "paths": len(train.rows),
        "validation_paths": len(validation.rows),
        "long_prompts": train.long_prompts,
        "long_completions": train.long_completions,
        "completion_tokens_max": _longest(train),
        "steps": made.steps,
        "best_step": made.best_step,
        "form": form.version,
    }
    return StageResult(rows=len(train.rows), summary=summary, metrics=made.metrics)


def lengthened(model: ModelConfig, context: int, base: Path) -> Path:
    """Copies a checkpoint to one whose configuration states another context; its weights are the same.

    Raises:
        ConfigError: The checkpoint is not a folder, or its positions are learned one by one.
    """
    from rlkd.student.checkpoints import resolve_model_path
    from rlkd.training.sft import processes

    source = Path(resolve_model_path(model.path)) if isinstance(model, CheckpointModel) else Path()
    if not source.is_dir():
        raise ConfigError(
            f"student.context needs student.model.path to be a folder, not {source}; leave it out, or fetch the model"
        )
    together = processes()
    if together.is_main_process and not base.exists():
        stated = json.loads((source / "config.json").read_text(encoding="utf-8"))
        if "rope_theta" not in json.dumps(stated) or "max_position_embeddings" not in stated:
            raise ConfigError(
                f"student.context: {source} has no rotary positions, its context cannot be set; leave it out"
            )
        temporary = base.with_name(f".{base.name}.{os.getpid()}.tmp")
        shutil.copytree(source, temporary)
        write_json_atomic(temporary / "config.json", {**stated, "max_position_embeddings": context})
        os.replace(temporary, base)
    together.wait_for_everyone()
    return base


def student_of(config: GsrmConfig, form: TrainedForm) -> StudentConfig:
    """Builds the student's section as the training code takes it: the form writes the whole prompt."""
    own = config.student
    system, _ = form.texts(PathItem("", ""), own.max_chars, own.chat)
    return StudentConfig(
        model=own.model,
        prompt="{question}",
        chat=own.chat,
        system=system,
        max_prompt_tokens=own.max_prompt_tokens,
        max_completion_tokens=own.max_completion_tokens,
        dtype=own.dtype,
        attention=own.attention,
        lora=own.lora,
    )


def written_pairs(
    config: GsrmConfig, form: TrainedForm, paths: Sequence[GsrmPath], found: Mapping[str, Structure]
) -> list[tuple[str, str]]:
    """Writes (question, decomposition) pairs of the paths that have an accepted annotation."""
    pairs = []
    for row in paths:
        structure = found.get(row.id)
        if structure is None:
            continue
        item = PathItem(row.problem, row.path, row.domain)
        _, question = form.texts(item, config.student.max_chars, config.student.chat)
        read = row.path[: config.student.max_chars]
        pairs.append((question, form.write(_inside(structure.steps, len(read)), read)))
    return pairs


def _inside(steps: Sequence[ReasoningStep], end: int) -> list[ReasoningStep]:
    """The steps up to the first that ends after what is read."""
    return list(takewhile(lambda step: step.end <= end, steps))


def _longest(text: TrainingText) -> int:
    return max(sum(label != -100 for label in row["labels"]) for row in text.rows)


def _settle() -> None:
    """On a CPU: attention that has settled is full of denormals, and arithmetic with them many times slower."""
    import torch

    if not torch.cuda.is_available():
        torch.set_flush_denormal(True)
