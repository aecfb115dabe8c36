"""Reading and writing files so that a crash leaves either the old content or the new."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from rlkd.errors import DataError

if TYPE_CHECKING:
    from filelock import BaseFileLock

Model = TypeVar("Model", bound=BaseModel)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_WORDS = ("no space left on device", "os error 28", "disk quota exceeded", "disk is full")


def sha256_text(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes (lone surrogates allowed)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_json(value: Any) -> str:
    """Hex SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text_atomic(path: Path, text: str) -> None:
    """Writes a file through a temporary sibling that is synced, then renamed over it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json_atomic(path: Path, value: Any) -> None:
    """Writes a JSON file atomically; pydantic models are dumped in JSON mode."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    write_text_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_rows(path: Path, rows: Iterable[BaseModel]) -> int:
    """Writes models as JSON lines, atomically; returns how many."""
    lines = [row.model_dump_json() for row in rows]
    write_text_atomic(path, "".join(line + "\n" for line in lines))
    return len(lines)


def append_row(path: Path, row: BaseModel) -> None:
    """Appends one model as a JSON line; a crash can tear only this last line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json() + "\n")


def read_rows(path: Path, model: type[Model]) -> list[Model]:
    """Reads JSON lines into models.

    Raises:
        DataError: A line does not fit the model; the message names file and line.
    """
    return list(iter_rows(path, model))


def iter_rows(path: Path, model: type[Model]) -> Iterator[Model]:
    """Iterates over JSON lines as models; see :func:`read_rows`."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield model.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "row"
                raise DataError(
                    f"{path}, line {number}: {where}: {first['msg']}; rerun the stage that wrote this file"
                ) from None


def recover_rows(path: Path, model: type[Model]) -> list[Model]:
    """Reads the rows of an unfinished file, cutting off a torn last line so that appending can go on."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        write_text_atomic(path, whole.decode("utf-8"))
    return read_rows(path, model)


def take_lock(path: Path, waiting: Callable[[], None]) -> BaseFileLock:
    """Takes a lock between processes; its holder releases it.

    Args:
        path: Its file.
        waiting: Called once if another process holds it, before this one waits: a command that stands still without a word
            looks as if it hung.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire(poll_interval=0.2)
    return lock


@contextmanager
def held_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a lock between processes while this lasts; see :func:`take_lock`."""
    lock = take_lock(path, waiting)
    try:
        yield
    finally:
        lock.release()


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it or was being handled when it came, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that the disk is full."""
    return any(
        (isinstance(seen, OSError) and seen.errno in _DISK_FULL)
        or any(words in str(seen).lower() for words in _DISK_FULL_WORDS)
        for seen in causes(error)
    )


def duration(seconds: float) -> str:
    """Seconds as a person writes them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


DEFAULT_DATA = Path("../shared/data")
"""Taken for an unset ``RLKD_DATA`` where it exists, relative to the current folder."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def expand_path(text: str, setting: str, homepage: str = "") -> Path:
    """A configured path with ``~`` and environment variables replaced.

    Args:
        text: The path as configured, for example ``$RLKD_DATA/gsm8k``.
        setting: Where it is configured, for the error: ``data.path``, ``qualify.pairs.path``.
        homepage: Where the data can be had, for the error.

    Raises:
        DataError: A variable is not set and has no default.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = os.environ.get(name)
        if found:
            return found
        if name == "RLKD_DATA" and DEFAULT_DATA.is_dir():
            return str(DEFAULT_DATA)
        what = "it to the folder that holds your datasets" if name == "RLKD_DATA" else "it"
        option = (
            f" with --set {setting}=..." if "." in setting else ""
        )  # `folder` of a Python object stands anywhere
        hint = f"; the data can be had at {homepage}" if homepage else ""
        raise DataError(
            f"{setting} {text!r}: the environment variable {name} is not set; set {what} (export {name}=/path/to/it), "
            f"or give the path itself{option}{hint}"
        )

    return Path(_VARIABLE.sub(value, text)).expanduser()
