"""Local files: JSONL, JSON, CSV and Parquet, one for all splits or one for each."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlkd.data.sources.base import MAX_SHOWN_CHARS, Loaded, check_malformed
from rlkd.data.sources.rows import RawRow, add_rows
from rlkd.errors import DataError
from rlkd.io import expand_path
from rlkd.user_files import keys_of, open_input, parse_json, read_text, repeated
from schemas.config.data import FileData
from schemas.problem import Split


class FileSource:
    """A file (split by seed later), or a folder with a file for each split."""

    def __init__(self, config: FileData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Reads every file; see :class:`~rlkd.data.sources.base.Source`."""
        loaded = Loaded()
        for split, path in self._files().items():
            name = path.stem if path.stem != split else f"{path.resolve().parent.name}:{path.stem}"
            try:
                add_rows(read_table(path), split, name, self.config, loaded)
            except OSError as error:
                raise DataError(
                    f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
                ) from None
        check_malformed(
            loaded.dropped, loaded.rows, self.config.max_malformed_share, f"data.path {self.config.path}"
        )
        return loaded

    def _files(self) -> dict[Split, Path]:
        """The file of each split.

        Raises:
            DataError: The path, or a file in it, is not there; names where the data can be had.
        """
        config = self.config
        root = expand_path(config.path, "data.path", config.homepage)
        source = f"; the data can be had at {config.homepage}" if config.homepage else ""
        if not root.exists():
            raise DataError(
                f"data.path {config.path!r}: there is no {root}; set it with --set data.path=...{source}"
            )
        if root.is_file():
            if config.files:
                raise DataError(
                    f"data.path {config.path!r} is a file, but data.files names a file for each split; give their folder, or drop data.files"
                )
            return {"train": root}
        if not config.files:
            raise DataError(
                f"data.path {config.path!r} is a folder; name the file of each split, e.g. --set data.files='{{train: train.jsonl, test: test.jsonl}}'"
            )
        files = {split: root / name for split, name in config.files.items()}
        missing = [path for path in files.values() if not path.is_file()]
        if missing:
            raise DataError(
                f"data.files: there is no {', '.join(map(str, missing))}; check data.path and data.files{source}"
            )
        return files


def read_table(path: Path) -> Iterator[RawRow]:
    """Reads the rows of a file, by its ending.

    Raises:
        DataError: The ending is not known, or the file as a whole cannot be read.
        OSError: The system cannot read it.
    """
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: files of type {path.suffix or '(none)'!r} cannot be read; use {', '.join(sorted(readers))}"
        )
    return reader(path)


def _row(where: str, number: int, value: Any) -> RawRow:
    if isinstance(value, Mapping):
        return RawRow(where, number, value)
    return RawRow(
        where, number, fault=f"a {type(value).__name__}, not an object", text=str(value)[:MAX_SHOWN_CHARS]
    )


def _jsonl(path: Path) -> Iterator[RawRow]:
    with open_input(path) as file:
        first = file.readline()
        if first.lstrip().startswith(b"[") and not _whole(first, file.peek(1)):
            yield from _json(path)  # one JSON list, whatever its ending says
            return
        for number, line in enumerate(itertools.chain([first], file), 1):
            if not line.strip():
                continue
            where = f"{path.name}, line {number}"
            try:
                yield _row(where, number, parse_json(line.decode("utf-8")))
            except (ValueError, RecursionError) as error:
                shown = line[:MAX_SHOWN_CHARS].decode("utf-8", "replace").rstrip("\n")
                yield RawRow(where, number, fault=f"not valid JSON: {error}", text=shown)


def _whole(first: bytes, rest: bytes) -> bool:
    """Whether a first line is a row of its own, with others behind it."""
    try:
        parse_json(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest)


def _json(path: Path) -> Iterator[RawRow]:
    text = read_text(path)
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith(
            "{"
        ):  # JSON lines, whatever its ending says
            yield from _jsonl(path)
            return
        raise DataError(
            f"{path}, line {error.lineno}: not valid JSON ({error.msg}); mend the file, or use JSON lines, whose bad lines can be skipped"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); mend the file") from None
    if isinstance(value, Mapping):
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list):
        held = (
            f"an object with {keys_of(value)}" if isinstance(value, Mapping) else f"a {type(value).__name__}"
        )
        raise DataError(
            f"{path}: a JSON file must hold a list of objects; this one holds {held}; write the rows as one list"
        )
    for number, item in enumerate(value, 1):
        yield _row(f"{path.name}, row {number}", number, item)


def _csv(path: Path) -> Iterator[RawRow]:
    csv.field_size_limit(2**31 - 1)
    with open_input(path):
        pass  # refuses what is no text by its name
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            twice = repeated(header or ())
            if twice is not None:
                raise DataError(f"{path}: two columns are named {twice!r}; rename or remove one")
            number = 0
            while header is not None:
                start = reader.line_num + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    number += 1
                    yield RawRow(f"{path.name}, line {start}", number, fault=str(error))
                    continue
                if fields is None:
                    return
                if not fields:
                    continue
                number += 1
                where = f"{path.name}, line {start}"
                if len(fields) != len(header):
                    fault = f"{len(fields)} fields where the header has {len(header)}"
                    yield RawRow(where, number, fault=fault, text=",".join(fields)[:MAX_SHOWN_CHARS])
                else:
                    yield RawRow(where, number, dict(zip(header, fields, strict=True)))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not valid UTF-8 ({error}); save the file as UTF-8") from None


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            number = 0
            twice = repeated(table.schema_arrow.names)
            if twice is not None:
                raise DataError(f"{path}: two columns are named {twice!r}; rename or remove one")
            for batch in table.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    number += 1
                    yield RawRow(f"{path.name}, row {number}", number, values)
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from None


def build(config: FileData) -> FileSource:
    """Builds the source of ``type: file``."""
    return FileSource(config)
