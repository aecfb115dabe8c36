"""Looks at a student before anything is made with it: files, tokenizer, special tokens, sizes, adapters, prompt.

No weights are read, and from the hub only configuration and tokenizer are fetched. `rlkd check` says what it finds; a run looks
before its first stage, so that no teacher is paid for a student that cannot be trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.answers.conventions import write_output
from rlkd.errors import UserError
from rlkd.student.checkpoints import DEMO_BASE, check_weights, demo_base_folder, resolve_model_path
from rlkd.student.packable import why_not_packed
from rlkd.student.prompts import PromptBook
from schemas.artifact import StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig
from schemas.config.student import FreshModel, StudentConfig


@dataclass(frozen=True)
class Sizes:
    """The sizes of a student that cost memory and time, and why its texts are not packed (empty where they are)."""

    parameters: int
    layers: int
    width: int
    vocabulary: int
    context: int | None
    unpacked: str = ""

    @classmethod
    def of(cls, config: Any, parameters: int, attention: str = "sdpa") -> Sizes:
        """From a transformers configuration, and the attention that it is trained with."""
        text = config.get_text_config()
        return cls(
            parameters=parameters,
            layers=int(text.num_hidden_layers),
            width=int(text.hidden_size),
            vocabulary=int(text.vocab_size),
            context=getattr(text, "max_position_embeddings", None),
            unpacked=why_not_packed(config, attention),
        )


def check_without_libraries(config: RunConfig) -> bool:
    """Checks a student of which only the settings could be wrong; returns whether it is one.

    A new student and the one that ships with the project are whole. Adapters by name and a chat template need the model itself.

    Raises:
        UserError: The settings do not fit.
    """
    student, named = config.student, getattr(config.student, "lora", None)
    if isinstance(student.model, FreshModel):
        context: int | None = student.model.context
        if not isinstance(config, PipelineConfig):
            return True  # made from its training paths, without adapters
    elif student.model.path == DEMO_BASE:
        settings = json.loads((demo_base_folder() / "config.json").read_text(encoding="utf-8"))
        context = settings.get("max_position_embeddings")
    else:
        return False
    if student.chat or (named is not None and named.target_modules != "all-linear"):
        return False
    if not isinstance(config, PipelineConfig):
        return True
    check_prompt(config, PromptBook(config.student, None))
    check_budget(config.student, context)
    return True


def look(ctx: Any) -> StageResult:
    """Looks at the student of a run; a job's function (:mod:`rlkd.pipeline.jobs`), as it loads libraries of 500 MB.

    Raises:
        UserError: It cannot be used.
    """
    config: RunConfig = ctx.config
    if isinstance(config, PipelineConfig) and isinstance(config.student.model, FreshModel):
        from rlkd.student.fresh import fresh_student
        from rlkd.student.load import check_lora

        made = fresh_student(config.student, ["1 2 3"], config.seed)
        if config.student.lora is not None:
            check_lora(config.student.lora, made.model, "student.model (fresh)")
        sizes, tokenizer = Sizes.of(made.model.config, 0), made.tokenizer
    else:
        sizes, tokenizer, _ = examine_checkpoint(config)
    if isinstance(config, PipelineConfig):
        check_prompt(config, PromptBook(config.student, tokenizer))
        check_budget(config.student, sizes.context)
    return StageResult()


def examine_checkpoint(config: RunConfig) -> tuple[Sizes, Any, str]:
    """Reads the sizes and the tokenizer of a student that is a checkpoint.

    Returns:
        Sizes, tokenizer, and what is to be said of its special tokens.

    Raises:
        UserError: It is not there, or cannot be used.
    """
    from rlkd.student.gguf import conversion_note
    from rlkd.student.special_tokens import prepare_tokenizer

    path = resolve_model_path(getattr(config.student.model, "path", ""))
    if Path(path).is_dir():
        check_weights(Path(path))
    tokenizer = _tokenizer(config, path)
    said = [conversion_note(Path(path)), prepare_tokenizer(tokenizer, path, chat=config.student.chat)]
    student = describe(config, path)
    if len(tokenizer) > student.vocabulary:
        raise UserError(
            f"student.model.path: the tokenizer of {path} has {len(tokenizer)} tokens but the model only {student.vocabulary} "
            "embeddings; they do not belong together"
        )
    said.insert(0, f"EOS is {tokenizer.eos_token}, PAD is {tokenizer.pad_token}")
    return student, tokenizer, "; ".join(text for text in said if text)


def _tokenizer(config: RunConfig, path: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, padding_side="left", **config.student.model.loading)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"student.model.path: the tokenizer of {path} cannot be loaded ({first[:200]}); check the name and the connection, or name a local folder"
        ) from None


def describe(config: RunConfig, path: str) -> Sizes:
    """Reads a checkpoint's sizes from its configuration alone, and checks that its adapters have modules (no weights are read).

    Raises:
        UserError: It cannot be read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    options = config.student.model.loading
    try:
        found = AutoConfig.from_pretrained(path, **options)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(
                found, trust_remote_code=bool(options.get("trust_remote_code"))
            )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"student.model.path: {path} is not a causal LM that can be loaded ({first[:200]})"
        ) from None
    lora = getattr(config.student, "lora", None)
    if lora is not None:
        from rlkd.student.load import check_lora

        check_lora(lora, empty, path)
    return Sizes.of(found, sum(weights.numel() for weights in empty.parameters()), config.student.attention)


def check_prompt(config: PipelineConfig, book: PromptBook) -> None:
    """Checks that a question can be put to the student, and that the warm start can go on from where its prompt ends.

    Raises:
        ConfigError: It cannot.
    """
    book.render("1 + 1?")
    if book.opening and config.warm_start.enabled:
        book.continued(write_output("1", "1", config.student.output))  # refuses a tag that is never closed


def check_budget(student: StudentConfig, context: int | None) -> None:
    """Checks that the longest prompt and the longest completion fit the student's context together.

    Raises:
        UserError: They do not.
    """
    budget = student.max_prompt_tokens + student.max_completion_tokens
    if context is not None and budget > context:
        raise UserError(
            f"student.max_prompt_tokens + student.max_completion_tokens = {budget} exceed the student's context of {context} tokens; lower one of them"
        )
