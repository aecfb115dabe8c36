"""A student as a folder of its own that other programs load: weights, tokenizer, generation settings, card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkd.errors import UserError
from rlkd.io import write_json_atomic
from rlkd.student.checkpoints import check_folder, copy_files, replacing
from schemas.config.student import StudentConfig

CARD = "student.json"
"""How an exported student is asked, and where it comes from; `rlkd evaluate` and `rlkd serve` read it."""


def export_student(
    source: Path,
    target: Path,
    student: StudentConfig,
    facts: Mapping[str, Any],
    readme: str,
    *,
    link: bool = False,
) -> None:
    """Writes a student as a folder in Hugging Face form, whole or not at all.

    Adapters are merged already: a checkpoint is handed on as plain weights (:func:`rlkd.student.load.publish_checkpoint`).
    A tokenizer without a chat template gets one that writes the prompt as in training, since servers ask by chat.

    Args:
        source: The student's checkpoint.
        target: Where it goes; an earlier export there is replaced.
        student: How it is asked.
        facts: Where it comes from, for ``student.json``.
        readme: The model card.
        link: Link the weights instead of copying them, for a folder that is only served from.

    Raises:
        UserError: The target holds something else.
        CheckpointError: The checkpoint is incomplete.
    """
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    if target.exists() and not (target / CARD).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty, and no earlier export; name another folder")
    check_folder(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as folder:
        copy_files(source, folder, link=link)
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder)
        if not getattr(tokenizer, "chat_template", None):
            tokenizer.chat_template = chat_template_of(student, tokenizer)
            tokenizer.save_pretrained(folder)
        if (folder / "generation_config.json").is_file():
            generation = GenerationConfig.from_pretrained(folder)
        else:
            generation = GenerationConfig.from_model_config(model)
        ends = generation.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        ends = sorted({token for token in (*ends, tokenizer.eos_token_id) if token is not None})
        settings = {
            "max_new_tokens": student.max_completion_tokens,
            "eos_token_id": ends if len(ends) > 1 else ends[0],
            "pad_token_id": tokenizer.pad_token_id,
            # Greedy, as it was evaluated; sampling settings beside it would be refused.
            **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "min_p": None},
        }
        for name, value in settings.items():
            setattr(generation, name, value)
        generation.save_pretrained(folder)
        asked = student.model_dump(mode="json", exclude={"model", "lora", "attention"})
        write_json_atomic(folder / CARD, {"student": asked, **facts})
        (folder / "README.md").write_text(readme, encoding="utf-8")


def chat_template_of(student: StudentConfig, tokenizer: Any) -> str:
    r"""Writes a chat template that renders the last question as ``student.prompt`` does.

    Example:
        ``Q: {question}\nA: `` becomes ``{{ "Q: " + message["content"] + "\nA: " }}`` for the user's turns.
    """
    before, _, after = student.prompt.partition("{question}")
    begins = tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id] and tokenizer.bos_token is not None
    head = "{{ bos_token }}" if begins else ""
    user = f"{{{{ {json.dumps(before)} + message['content'] + {json.dumps(after)} }}}}"
    return (
        f"{head}{{% for message in messages %}}{{% if message['role'] == 'user' %}}{user}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
    )
