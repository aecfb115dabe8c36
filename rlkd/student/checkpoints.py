"""Checkpoint folders of students: found, checked, saved."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from rlkd.errors import CheckpointError

BUILTIN = "builtin:"
DEMO_BASE = "builtin:demo-base"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_PRIVATE = ("trainer_state.json", "complete.json")
"""What a trainer's checkpoint holds beside model, tokenizer and pickled states."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


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
    """Finds the folder or hub id behind ``student.model.path``; a GGUF file is converted first.

    Raises:
        CheckpointError: A folder or file is named that is absent, incomplete or cannot be read.
    """
    from rlkd.student import gguf

    if path == DEMO_BASE:
        return str(demo_base_folder())
    if path == gguf.SMOLLM2:
        return str(gguf.converted(gguf.smollm2_file()))
    if path.startswith(BUILTIN):
        raise CheckpointError(
            f"student.model.path: there is no {path}; the built-in students are {DEMO_BASE} and {gguf.SMOLLM2}"
        )
    expanded = Path(os.path.expandvars(path)).expanduser()
    if unset := _VARIABLE.search(str(expanded)):
        raise CheckpointError(
            f"student.model.path: the environment variable {unset[1]} is not set; name the folder of your checkpoints in it "
            f"(export {unset[1]}=FOLDER), or give the checkpoint's own folder"
        )
    if gguf.is_gguf(expanded):
        return str(gguf.converted(expanded))
    if expanded.is_dir():
        check_folder(expanded)
        return str(expanded)
    if path.count("/") > 1 or path.startswith((".", "/", "~", "$")) or expanded.exists():
        raise CheckpointError(
            f"student.model.path: there is no checkpoint folder at {expanded}; name a folder with config.json and weights, or a GGUF file"
        )
    return path


def check_local_path(path: str) -> None:
    """Checks that a student that is named by a folder is there; what ships with the project, files and hub ids are left alone.

    Raises:
        CheckpointError: An environment variable in it is not set, or the folder is absent or incomplete.
    """
    from rlkd.student import gguf

    if not path.startswith(BUILTIN) and not gguf.is_gguf(Path(os.path.expandvars(path)).expanduser()):
        resolve_model_path(path)


def check_folder(folder: Path) -> None:
    """Checks that a checkpoint folder holds a whole model and tokenizer.

    Raises:
        CheckpointError: Something is missing; the message says what.
    """
    absent = [] if (folder / "config.json").is_file() else ["config.json"]
    absent += [file.name for file in _weight_files(folder) if not file.is_file()]
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        absent.append("tokenizer.json")
    if absent:
        raise CheckpointError(
            f"{folder}: the checkpoint is incomplete, it lacks {', '.join(absent)}; copy it again or name another folder"
        )


def check_weights(folder: Path) -> None:
    """Checks that the files of a checkpoint's weights are whole, by their headers (safetensors): no weights are read.

    Raises:
        CheckpointError: One is cut off or damaged.
    """
    for file in _weight_files(folder):
        size = file.stat().st_size
        if size != _stated_size(file, size):
            raise CheckpointError(
                f"{file}: the weights are cut off or damaged ({size} bytes); copy the checkpoint again"
            )


def _weight_files(folder: Path) -> list[Path]:
    """Lists the files that a folder's weights should stand in, as its index says where it has one.

    Raises:
        CheckpointError: The index cannot be read.
    """
    whole, index = (folder / name for name in _WEIGHTS)
    if whole.is_file() or not index.is_file():
        return [whole]
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError):
        raise CheckpointError(
            f"{index}: not a readable index of weights; copy the checkpoint again"
        ) from None
    return [folder / shard for shard in sorted(shards)]


def _stated_size(file: Path, size: int) -> int:
    """The size that a safetensors header states; 0 where it cannot be read."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        head = opened.read(length) if length < size else b""
    try:
        parts = [
            value["data_offsets"][1] for name, value in json.loads(head).items() if name != "__metadata__"
        ]
        return 8 + length + max(parts, default=0)
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0


def save_student(model: Any, tokenizer: Any, folder: Path) -> None:
    """Saves a student as a Hugging Face folder (safetensors), replacing the folder whole; adapters are merged in.

    Args:
        model: The model, possibly with peft adapters, which are merged (the object is then used up).
        tokenizer: Its tokenizer.
        folder: Where it goes.
    """
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    with replacing(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


def copy_student(checkpoint: Path, folder: Path) -> None:
    """Copies the model and tokenizer out of a trainer's checkpoint, replacing the folder whole; its training state stays behind.

    Args:
        checkpoint: The checkpoint; its weights are those that go on.
        folder: Where it goes.
    """
    check_folder(checkpoint)
    with replacing(folder) as temporary:
        copy_files(checkpoint, temporary)


def copy_files(checkpoint: Path, into: Path, *, link: bool = False) -> None:
    """Copies the files of model and tokenizer; with ``link`` the weights are links to where they lie."""
    into.mkdir(parents=True)
    for file in sorted(checkpoint.iterdir()):
        private = file.name in _PRIVATE or file.suffix in (".pt", ".pth", ".bin", ".md")
        if file.is_file() and not private:
            if link and file.suffix == ".safetensors":
                (into / file.name).symlink_to(file.resolve())
            else:
                shutil.copyfile(file, into / file.name)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A place beside a folder that takes the folder's own once it is whole."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
