"""A teacher that is a model (``rl.objective.distil``): found, checked against the student, loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlkd.errors import CheckpointError, ConfigError
from rlkd.student.checkpoints import resolve_model_path
from schemas.config.objective import DistilConfig
from schemas.config.student import CheckpointModel, StudentConfig

_WHERE = "rl.objective.distil.path"


def check_teacher(teacher: DistilConfig, student: StudentConfig) -> None:
    """Checks what can be told without loading a model: the teacher is there, and its tokens are the student's.

    A model on the hub whose tokenizer this machine has not cached, or one whose tokenizer has another form, is checked when it is
    loaded, before the first step.

    Raises:
        ConfigError: The teacher cannot be used.
    """
    if not isinstance(student.model, CheckpointModel):
        raise ConfigError(
            "the student is fresh, so that its tokenizer is its own and no teacher has the same; name a student.model.path"
        )
    unset = re.match(r"\$\{?(\w+)", os.path.expandvars(teacher.path))
    if unset:
        raise ConfigError(
            f"the environment variable {unset[1]} is not set; name the folder of the teacher in it, or in {_WHERE}"
        )
    try:
        path = resolve_model_path(os.path.expandvars(teacher.path))
    except CheckpointError as error:
        raise ConfigError(str(error).replace("student.model.path", _WHERE)) from None
    its = _tokenizer_file(path, teacher.revision)
    students = _tokenizer_file(resolve_model_path(student.model.path), student.model.revision)
    if its is not None and students is not None:
        from tokenizers import Tokenizer

        theirs, ours = (Tokenizer.from_file(os.fspath(file)).get_vocab() for file in (its, students))
        compare_tokens(theirs, ours, path)


def _tokenizer_file(path: str, revision: str | None) -> Path | None:
    """Finds a model's ``tokenizer.json``, in its folder or among what the hub's libraries have cached; nothing is fetched."""
    file = Path(path) / "tokenizer.json"
    if Path(path).is_dir():
        return file if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(path, file.name, revision=revision)
    except ValueError:  # no id of a model: whoever loads it says so
        return None
    return Path(cached) if isinstance(cached, str) else None


def compare_tokens(teacher: Mapping[str, int], student: Mapping[str, int], where: str) -> None:
    """Refuses a teacher whose tokens are not the student's.

    Args:
        teacher: Its tokens with their numbers.
        student: The student's.
        where: The teacher's name, for the message.

    Raises:
        ConfigError: They differ.
    """
    if teacher == student:
        return
    odd = sorted(set(teacher.items()) ^ set(student.items()), key=lambda item: item[1])[0][0]
    raise ConfigError(
        f"{where} has another tokenizer than the student ({len(teacher)} tokens and {len(student)}; {odd!r} is not the same in both), so that "
        "its probabilities say nothing of the student's tokens; take a teacher of the student's family, or sample from it as "
        "traces.teacher"
    )


def load_teacher(teacher: DistilConfig, student: StudentConfig, tokenizer: Any, temperature: float) -> Any:
    """Loads the teacher for log-probabilities at the sampling temperature: nothing of it is trained.

    Raises:
        CheckpointError: It cannot be loaded.
        ConfigError: Its tokens are not the student's.
    """
    import torch

    from rlkd.student.load import load_student
    from rlkd.training.trl_hooks import with_fused_head

    model = CheckpointModel(path=os.path.expandvars(teacher.path), revision=teacher.revision)
    loaded = load_student(student.model_copy(update={"model": model, "lora": None}))
    compare_tokens(loaded.tokenizer.get_vocab(), tokenizer.get_vocab(), teacher.path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = loaded.model.to(device).eval().requires_grad_(False)
    return with_fused_head(found, temperature)
