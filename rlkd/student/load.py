"""The student: loading, checking and saving a causal LM with its tokenizer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.errors import CheckpointError, ConfigError
from rlkd.student.checkpoints import check_folder, copy_student, resolve_model_path, save_student
from rlkd.student.special_tokens import end_ids, prepare_tokenizer
from schemas.config.student import CheckpointModel, FreshModel, LoraConfig, StudentConfig


@dataclass(frozen=True)
class Student:
    """A causal LM and its tokenizer (left padding, pad and end-of-text tokens set)."""

    model: Any
    tokenizer: Any


def load_student(config: StudentConfig, folder: Path | None = None, *, train: bool = False) -> Student:
    """Loads a student.

    Args:
        config: The ``student`` section.
        folder: Checkpoint of an earlier stage; ``None`` loads ``student.model``, which must then exist.
        train: Weights that will be trained are kept in float32 whatever ``student.dtype`` says: small updates
            vanish in bfloat16. Arithmetic still runs in ``student.dtype`` (autocast).

    Raises:
        CheckpointError: The checkpoint or its tokenizer cannot be used.
        ConfigError: A fresh student is asked for without a folder (see :func:`fresh_student`).
    """
    model = config.model
    if folder is not None:
        check_folder(folder)
        return _load(
            config,
            str(folder),
            None,
            train=train,
            trust=model.type == "checkpoint" and model.trust_remote_code,
        )
    if isinstance(model, FreshModel):
        raise ConfigError("student.model is fresh: it has no checkpoint before training")
    return _load(
        config, resolve_model_path(model.path), model.revision, train=train, trust=model.trust_remote_code
    )


def _load(config: StudentConfig, path: str, revision: str | None, *, train: bool, trust: bool) -> Student:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"revision": revision, "trust_remote_code": trust}
    dtype = torch.float32 if train and config.lora is None else getattr(torch, config.dtype)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left", **where)
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, attn_implementation=config.attention, use_safetensors=True, **where
        )
    except ImportError as error:
        raise CheckpointError(
            f"{path}: {_first_line(error)}; install what it names, or set student.attention to sdpa"
        ) from None
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint cannot be loaded ({_first_line(error)}); name a folder or a Hugging Face id of a causal LM"
        ) from None
    prepare_tokenizer(tokenizer, path, chat=config.chat)
    check_limits(config, model, tokenizer, path)
    if config.lora is not None and train:
        check_lora(config.lora, model, path)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    if model.generation_config.eos_token_id is None or tokenizer.eos_token_id not in end_ids(model):
        ends = end_ids(model, tokenizer)
        model.generation_config.eos_token_id = list(ends) if len(ends) > 1 else ends[0]
    return Student(model, tokenizer)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:300]


def check_limits(config: StudentConfig, model: Any, tokenizer: Any, where: str) -> None:
    """Checks that prompt and completion fit the model's context, and the vocabulary its embedding.

    Raises:
        ConfigError: The budgets exceed the context.
        CheckpointError: The tokenizer has ids that the model has no embedding for.
    """
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    wanted = config.max_prompt_tokens + config.max_completion_tokens
    if context is not None and wanted > context:
        raise ConfigError(
            f"student.max_prompt_tokens + student.max_completion_tokens = {wanted} exceed the {context} tokens of context that "
            f"{where} has; lower one of them"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"{where}: the tokenizer has {len(tokenizer)} tokens but the model only {rows} embeddings; they do not belong together"
        )


def check_lora(config: LoraConfig, model: Any, where: str) -> None:
    """Checks that every module that is to get adapters exists; peft asks this of the first only, and after hours of work.

    Args:
        config: The ``student.lora`` section.
        model: The model; its weights are not looked at.
        where: Its name, for the message.

    Raises:
        ConfigError: One of them does not, or the expression cannot be read.
    """
    if config.target_modules == "all-linear":
        return
    names = [name for name, _ in model.named_modules() if name]
    known = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if _is_linear(module)})
    if isinstance(config.target_modules, str):
        try:
            absent = (
                [] if any(re.fullmatch(config.target_modules, n) for n in names) else [config.target_modules]
            )
        except re.error as error:
            raise ConfigError(
                f"student.lora.target_modules: {config.target_modules!r} is not a regular expression ({error})"
            ) from None
    else:
        absent = [t for t in config.target_modules if not any(n == t or n.endswith(f".{t}") for n in names)]
    if absent:
        raise ConfigError(
            f"student.lora.target_modules: {where} has no module {', '.join(absent)}; its linear layers are {', '.join(known)} "
            "(or all-linear for all of them)"
        )


def _is_linear(module: Any) -> bool:
    return getattr(getattr(module, "weight", None), "ndim", 0) == 2 and hasattr(module, "in_features")


def lora_config(config: LoraConfig) -> Any:
    """Makes the peft configuration of ``student.lora``."""
    from peft import LoraConfig as PeftLora

    targets = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    return PeftLora(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def publish_checkpoint(config: StudentConfig, checkpoint: Path, start: Path | None, target: Path) -> None:
    """Hands a training checkpoint on as a plain model folder: adapters merged, weights in ``student.dtype``.

    Args:
        config: The ``student`` section.
        checkpoint: The Trainer's checkpoint folder.
        start: The folder that training started from (``None``: ``student.model``); adapters belong to it.
        target: Where the model goes.
    """
    if config.lora is None and config.dtype == "float32":
        copy_student(
            checkpoint, target
        )  # as it is: loading it again would need its memory beside the trainer's
        return
    if config.lora is None:
        student = load_student(config, checkpoint)
        save_student(student.model, student.tokenizer, target)
        return
    from peft import PeftModel

    student = load_student(config, start)
    save_student(PeftModel.from_pretrained(student.model, checkpoint), student.tokenizer, target)


def is_fresh(config: StudentConfig) -> bool:
    """Whether the student is made by this run (and so has no checkpoint of its own)."""
    return not isinstance(config.model, CheckpointModel)
