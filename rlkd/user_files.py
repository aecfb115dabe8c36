"""Files that a user names: what is read is never damaged, what is written goes where the name points.

Inputs are UTF-8 with or without a byte order mark; anything else is refused by name instead of by the
first byte that does not fit. Outputs are never replaced by another kind of file, and never are an input.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from rlkd.errors import DataError, RLKDError

STANDARD = Path("-")
"""The name for standard input or standard output."""

_BOM = b"\xef\xbb\xbf"
_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe\x00\x00", "UTF-32 text; save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text; save it as UTF-8"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8 OLD > NEW)"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8 OLD > NEW)"),
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first (gunzip)"),
    (b"PK\x03\x04", "a ZIP archive (or a spreadsheet); unpack it, or save it as CSV or JSON lines"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it first (unzstd)"),
)
_SHOWN_KEYS = 8


# -- reading --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_input(path: Path) -> Iterator[io.BufferedReader]:
    """Opens a text file for reading as bytes, behind its byte order mark; ``-`` is standard input.

    Raises:
        DataError: It is of another kind (UTF-16, compressed, Parquet); the message says what to do.
        OSError: The system cannot read it.
    """
    with contextlib.ExitStack() as stack:
        raw: Any = sys.stdin.buffer if path == STANDARD else stack.enter_context(path.open("rb"))
        file = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
        head = file.peek(8)[:8]
        check_kind(head, shown(path, "standard input"))
        if head.startswith(_BOM):
            file.read(len(_BOM))
        yield file


def read_text(path: Path) -> str:
    """Reads a UTF-8 text file, with or without a byte order mark; ``-`` is standard input.

    Raises:
        DataError: It is not UTF-8; the message names the place and what to do.
        OSError: The system cannot read it.
    """
    with open_input(path) as file:
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{shown(path, 'standard input')}, line {line}: not valid UTF-8 ({error.reason}); save the file as UTF-8"
        ) from None


def check_kind(head: bytes, name: str) -> None:
    """Refuses a file by its first bytes where it is no UTF-8 text.

    Raises:
        DataError: The kind of file and what to do.
    """
    for magic, what in _KINDS:
        if head.startswith(magic):
            raise DataError(f"{name}: is {what}")
    if len(head) >= 4 and (
        head[1::2].count(0) == len(head) // 2 or head[::2].count(0) == (len(head) + 1) // 2
    ):
        raise DataError(f"{name}: is UTF-16 text; save it as UTF-8 (iconv -f UTF-16LE -t UTF-8 OLD > NEW)")


def parse_json(text: str | bytes) -> Any:
    """Parses JSON, refusing an object that holds one key twice: the last one would win in silence.

    Raises:
        ValueError: What is wrong.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_one_of_each)


def _one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} occurs twice in one object; keep one")
    return values


def repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs twice, or ``None``."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def clean_text(text: str) -> str:
    r"""The text with lone halves of surrogate pairs as U+FFFD: they are no Unicode, and cannot be written.

    Two halves that follow each other are joined: ``"\ud83d\ude00"`` read from two parts is one face.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_json(value: Any) -> Any:
    """A JSON value with :func:`clean_text` of every text in it, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_json(item) for item in value]
    return value


def keys_of(names: Iterable[Any]) -> str:
    """The names of columns or keys for a message, the first few of many."""
    listed = [clean_text(str(name)) for name in names]
    more = f", ... ({len(listed)} in all)" if len(listed) > _SHOWN_KEYS else ""
    return ", ".join(listed[:_SHOWN_KEYS]) + more


# -- writing --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_output(target: Path, inputs: Iterable[Path] = ()) -> Iterator[TextIO]:
    """Opens the file that a user named as output, for text in UTF-8.

    A plain file (behind any number of links) is replaced only when the block ends without an error, and
    keeps its permissions; one with several hard links gets the new content in place. A FIFO, a device,
    a descriptor (``/dev/stdout``, ``/dev/fd/3``) and ``-``, standard output, are written through.

    Args:
        target: The output.
        inputs: Files that are read meanwhile; none of them may be the output, under whatever name.

    Raises:
        DataError: The output is a folder, is one of the inputs, or cannot be written.
    """
    name = shown(target, "standard output")
    for source in inputs:
        if _same(source, target):
            raise DataError(
                f"{name}: is the input {shown(source, 'standard input')} itself, which would be lost; name another file"
            )
    if target != STANDARD and target.is_dir():
        raise DataError(f"{name}: is a folder; give the path of the file to write")
    try:
        descriptor = _descriptor(target)
        if target == STANDARD or descriptor is not None or _special(target):
            with _through(target, descriptor) as file:
                yield file
        else:
            with _replacing(Path(os.path.realpath(target))) as file:
                yield file
    except RLKDError:  # some of them are OSErrors too: an endpoint that is away is no fault of the file
        raise
    except BrokenPipeError:
        if to_stdout(target):  # what Python itself would flush at its end would fail once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise DataError(f"{name}: cannot be written (who read it has gone)") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be written ({error.strerror or error}); name another file") from None


def to_stdout(target: Path) -> bool:
    """Whether an output goes to standard output, so that nothing else may be printed there."""
    return target == STANDARD or _descriptor(target) == 1


def shown(path: Path, standard: str) -> str:
    """A path as messages name it; ``-`` by what it stands for."""
    return standard if path == STANDARD else str(path)


def _status(path: Path, standard: Callable[[], int]) -> os.stat_result | None:
    try:
        return os.fstat(standard()) if path == STANDARD else path.stat()
    except (OSError, ValueError):  # not there yet, or replaced by something without a descriptor
        return None


def _same(source: Path, target: Path) -> bool:
    read, written = _status(source, lambda: sys.stdin.fileno()), _status(target, lambda: sys.stdout.fileno())
    if read is None or written is None:
        return False
    return stat.S_ISREG(read.st_mode) and os.path.samestat(read, written)


def _special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _descriptor(path: Path) -> int | None:
    """The number behind ``/dev/stdout``, ``/dev/fd/N`` and links to them.

    They lead on to whatever is open there: with ``>> log`` a replacement would take the log away.
    """
    at = path
    for _ in range(40):
        folder = os.path.realpath(at.parent)
        if re.fullmatch(rf"(/proc/{os.getpid()}(/task/\d+)?|/dev)/fd", folder) and at.name.isdecimal():
            return int(at.name)
        if not at.is_symlink():
            return None
        at = Path(folder) / os.readlink(at)
    return None


@contextlib.contextmanager
def _through(target: Path, descriptor: int | None) -> Iterator[TextIO]:
    if descriptor in (None, 1) and to_stdout(target):
        sys.stdout.flush()
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:
            yield sys.stdout
            return
        file = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
        try:
            yield file
            file.flush()
        finally:
            with contextlib.suppress(OSError):
                file.detach()
        return
    opened = target.open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")
    with io.TextIOWrapper(opened, encoding="utf-8", newline="\n") as file:
        yield file


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[TextIO]:
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            old = target.stat()
        except FileNotFoundError:
            os.replace(temporary, target)
            return
        if old.st_nlink > 1:
            with temporary.open("rb") as new, target.open("wb") as out:
                shutil.copyfileobj(new, out)
            return
        with contextlib.suppress(OSError):
            os.chown(temporary, old.st_uid, old.st_gid)
        temporary.chmod(stat.S_IMODE(old.st_mode))
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
