"""The student: loading, checking and saving a causal LM with its tokenizer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rlkd.errors import CheckpointError, ConfigError
from schemas.config.student import CheckpointModel, FreshModel, LoraConfig, StudentConfig

DEMO_BASE = "builtin:demo-base"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True)
class Student:
    """A causal LM and its tokenizer (left padding, pad and end-of-text tokens set)."""

    model: Any
    tokenizer: Any


def demo_base_folder() -> Path:
    """Folder of the base student that ships with this project.

    Raises:
        CheckpointError: This copy of the project lacks it.
    """
    folder = Path(str(resources.files("rlkd"))) / "models" / "demo_base"
    if not (folder / "config.json").exists():
        raise CheckpointError(
            f"{DEMO_BASE} is not in this copy of the project ({folder}); fetch it again or run `make demo-base`"
        )
    return folder


def resolve_model_path(path: str) -> str:
    """Folder or hub id behind ``student.model.path``.

    Raises:
        CheckpointError: A folder is named that is absent or incomplete.
    """
    if path == DEMO_BASE:
        return str(demo_base_folder())
    expanded = Path(os.path.expandvars(path)).expanduser()
    if expanded.is_dir():
        check_folder(expanded)
        return str(expanded)
    if path.count("/") > 1 or path.startswith((".", "/", "~", "$")) or expanded.exists():
        raise CheckpointError(
            f"student.model.path: there is no checkpoint folder at {expanded}; name a folder with config.json and weights"
        )
    return path


def check_folder(folder: Path) -> None:
    """Checks that a checkpoint folder holds a whole model and tokenizer.

    Raises:
        CheckpointError: Something is missing; the message says what.
    """
    absent = [] if (folder / "config.json").is_file() else ["config.json"]
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        absent.append("model.safetensors")
    elif weights.suffix == ".json":
        try:
            shards = set(json.loads(weights.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError):
            raise CheckpointError(
                f"{weights}: not a readable index of weights; copy the checkpoint again"
            ) from None
        absent += sorted(shard for shard in shards if not (folder / shard).is_file())
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        absent.append("tokenizer.json")
    if absent:
        raise CheckpointError(
            f"{folder}: the checkpoint is incomplete, it lacks {', '.join(absent)}; copy it again or name another folder"
        )


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
    prepare_tokenizer(tokenizer, path)
    check_limits(config, model, tokenizer, path)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return Student(model, tokenizer)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:300]


def prepare_tokenizer(tokenizer: Any, where: str) -> None:
    """Checks the special tokens, and sets a pad token where one can be had safely.

    The end-of-text token must never serve as padding: trainers that mask padding would then also mask the
    token that teaches the student to stop. A reserved or unknown token that never occurs is used instead.

    Raises:
        CheckpointError: There is no end-of-text token, or no token that can serve as padding.
    """
    tokenizer.padding_side = "left"
    if tokenizer.eos_token_id is None:
        raise CheckpointError(
            f"{where}: the tokenizer has no end-of-text (EOS) token, so the student could not stop; "
            'set "eos_token" in its tokenizer_config.json to the token that ends its texts'
        )
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    spare = _spare_token(tokenizer)
    if spare is not None:
        tokenizer.pad_token = spare
    elif tokenizer.pad_token_id is None:
        raise CheckpointError(
            f"{where}: the tokenizer has no padding (PAD) token and no unused one to take for it; "
            'set "pad_token" in its tokenizer_config.json to a token that never occurs in a text'
        )


def _spare_token(tokenizer: Any) -> str | None:
    """A token of the vocabulary that texts do not hold: a reserved one, else the unknown token."""
    vocabulary = tokenizer.get_vocab()
    names = (
        "<pad>",
        "[PAD]",
        "<|pad|>",
        "<|finetune_right_pad_id|>",
        "<|endoftext|>",
        "<|reserved_special_token_0|>",
        "<|padding|>",
    )
    for name in names:
        if name in vocabulary and vocabulary[name] != tokenizer.eos_token_id:
            return name
    unknown = tokenizer.unk_token
    return unknown if unknown is not None and tokenizer.unk_token_id != tokenizer.eos_token_id else None


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


def fresh_student(config: StudentConfig, texts: Iterable[str], seed: int) -> Student:
    """A small random Llama with a byte-level BPE tokenizer trained on the given texts.

    Args:
        config: The ``student`` section, whose model is ``fresh``.
        texts: What the tokenizer learns from: prompts and teacher paths of the training split.
        seed: Seed of the weights.

    Raises:
        ConfigError: The settings do not fit together.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model_config = config.model
    if not isinstance(model_config, FreshModel):
        raise ConfigError("student.model is not fresh")
    tokenizer = train_tokenizer(texts, model_config.vocabulary)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=model_config.width,
            intermediate_size=4 * model_config.width,
            num_hidden_layers=model_config.layers,
            num_attention_heads=model_config.heads,
            max_position_embeddings=model_config.context,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation=config.attention,
        )
    )
    check_limits(config, model, tokenizer, "student.model (fresh)")
    return Student(model, tokenizer)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer (any text survives it) with ``<pad>``, ``<bos>`` and ``<eos>``; the same for the same texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocabulary, 256 + 3),
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def lora_config(config: LoraConfig) -> Any:
    """The peft configuration of ``student.lora``."""
    from peft import LoraConfig as PeftLora

    targets = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    return PeftLora(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def save_student(model: Any, tokenizer: Any, folder: Path) -> None:
    """Saves a student as a Hugging Face folder (safetensors), replacing the folder whole; adapters are merged in.

    Args:
        model: The model, possibly with peft adapters, which are merged (the object is then used up).
        tokenizer: Its tokenizer.
        folder: Where it goes.
    """
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_checkpoint(config: StudentConfig, checkpoint: Path, start: Path | None, target: Path) -> None:
    """Hands a training checkpoint on as a plain model folder: adapters merged, weights in ``student.dtype``.

    Args:
        config: The ``student`` section.
        checkpoint: The Trainer's checkpoint folder.
        start: The folder that training started from (``None``: ``student.model``); adapters belong to it.
        target: Where the model goes.
    """
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
