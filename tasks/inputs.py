"""The content of what a stage reads of earlier stages, as digests.

A stage's identity covers these (:class:`rlkd.pipeline.stages.Reads`): the files that it reads, of shared files only the
rows that it reads, and nothing that says when something was made or how long it took.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rlkd.errors import StageError
from rlkd.io import sha256_json
from rlkd.pipeline.stages import Reads, StageSpec
from schemas.artifact import StageManifest
from tasks.storage import read_manifest


@dataclass(frozen=True)
class InputDigest:
    """What a stage depends on in one earlier stage.

    Attributes:
        content: Digest over what it reads.
        folder: Digest over all files of the earlier stage: what manifests before this scheme named.
    """

    content: str
    folder: str


def input_digests(spec: StageSpec, folders: Mapping[str, Path]) -> dict[str, InputDigest]:
    """Digests of what a stage reads of each earlier stage that the run has.

    Args:
        spec: The stage, resolved for its configuration.
        folders: Folders of finished earlier stages; others are absent.

    Raises:
        StageError: One of the folders has no readable manifest.
    """
    manifests = {name: _manifest(name, folders[name]) for name in spec.inputs if name in folders}
    return {
        name: InputDigest(
            sha256_json([_parts(read, folders, made) for read in spec.reads if read.stage == name]),
            made.sha256,
        )
        for name, made in manifests.items()
    }


def _manifest(name: str, folder: Path) -> StageManifest:
    manifest, fault = read_manifest(folder)
    if manifest is None:
        raise StageError(f"stage {name}: {fault or f'{folder} is not finished'}; run again, it is made again")
    return manifest


def _parts(read: Reads, folders: Mapping[str, Path], made: StageManifest) -> dict[str, str]:
    """A digest for each file that is read, by name, and for what the stage says about itself."""
    folder = folders[read.stage]
    found = {}
    for name, digest in made.files.items():
        if not any(_fits(name, pattern) for pattern in read.files):
            continue
        if read.splits or read.keys:
            digest = _rows_digest(folder / name, digest, _problem_files(read, folders), read.keys)
        elif read.without:
            digest = _value_digest(folder / name, digest, read.without)
        found[name] = digest
    if read.facts:
        found["(facts)"] = sha256_json(made.result.summary)
    return found


def _problem_files(read: Reads, folders: Mapping[str, Path]) -> tuple[tuple[Path, str], ...]:
    """The problems of the splits that are read, as file and digest."""
    if not read.splits:
        return ()
    files = _manifest("data", folders["data"]).files
    names = [f"{split}.jsonl" for split in read.splits]
    return tuple((folders["data"] / name, files[name]) for name in names if name in files)


def _fits(name: str, pattern: str) -> bool:
    """Whether a file's path fits a pattern; ``model/**`` means everything under ``model``."""
    if pattern.endswith("**"):
        return name.startswith(pattern.removesuffix("**"))
    return PurePosixPath(name).match(pattern) and name.count("/") == pattern.count("/")


@functools.lru_cache(maxsize=64)
def _rows_digest(
    path: Path, digest: str, problems: tuple[tuple[Path, str], ...], keys: tuple[str, ...]
) -> str:
    """Digest over some rows of a file, and of these some keys; remembered by the file's own digest.

    Args:
        path: A JSONL file.
        digest: Digest of its whole content: another content is another question.
        problems: Files of the problems whose rows count, each with its digest; empty: all rows.
        keys: Keys that count; empty: all.
    """
    wanted = {row["id"] for file, _ in problems for row in _rows(file)}
    chosen = []
    for row in _rows(path):
        if problems and row.get("problem_id") not in wanted:
            continue
        kept = {key: value for key, value in row.items() if key in keys} if keys else row
        if kept:
            chosen.append(sha256_json(kept))
    return sha256_json(chosen)


@functools.lru_cache(maxsize=64)
def _value_digest(path: Path, digest: str, without: tuple[str, ...]) -> str:
    value = json.loads(path.read_text(encoding="utf-8"))
    return sha256_json({key: item for key, item in value.items() if key not in without})


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)
