"""The identity of a stage: a hash of everything that its result depends on.

Name and version of the stage, the sections of the configuration that it reads, the seed, digests of what it reads of
earlier stages, and the content of local files that the configuration points at. Two runs that
agree on all of these share one folder in the store; an edited data file or checkpoint makes a new one.
Settings that cannot change a result (annotated ``OPERATIONAL`` in the schemas) do not count.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rlkd.data.benchmarks import evaluated_split, local_files
from rlkd.errors import DataError
from rlkd.io import expand_path, sha256_file, sha256_json
from rlkd.pipeline.stages import StageSpec
from rlkd.plugins import objects_of, source_digest
from schemas.artifact import StageManifest
from schemas.base import ADDED, OPERATIONAL, SCHEMA_VERSION, Schema
from schemas.config.data import BenchmarkData, DataConfig, gym_dataset, single_sources
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig

PATH_FIELDS = frozenset(
    {"path", "dataset", "model", "checkpoint", "adapter", "tokenizer", "file", "references"}
)
"""Names of settings that may hold a local file or folder."""

SOURCE_LIBRARIES = {"hub": "datasets", "reasoning_gym": "reasoning-gym"}
"""Libraries that make a source's problems: another version may make others, so it counts."""

BUILTIN = "builtin:"
"""Prefix of models that ship with the project."""

_SKIPPED_SUFFIXES = (".tmp", ".lock", ".pyc")


@dataclass(frozen=True)
class StageIdentity:
    """What a stage's result depends on, and the hash over it.

    Attributes:
        stage: Name of the stage.
        version: Version of the stage's meaning.
        config: The covered part of the configuration, with ``seed`` and ``external`` (digests of local files, versions of
            the libraries that make the problems).
        inputs: Digest of what the stage reads of each input stage (:mod:`tasks.inputs`).
        key: Hex SHA-256 over all of this.
        folders: Digest of each input stage's whole folder, which identities of earlier releases named.
        kind: The kind of configuration.
    """

    stage: str
    version: int
    config: dict[str, Any]
    inputs: dict[str, str]
    key: str
    folders: dict[str, str] = field(default_factory=dict)
    kind: type[Schema] = PipelineConfig

    def serves(self, manifest: StageManifest) -> bool:
        """Tells whether a stage that an earlier release finished is this one, though its identity was another hash.

        Its inputs may be named by their whole folders, and its settings are read as a configuration of today: one that
        did not exist then has its default, which does what was done before (or the stage's version is raised).
        """
        return (
            manifest.stage == self.stage
            and manifest.stage_version == self.version
            and manifest.inputs.keys() == self.inputs.keys()
            and all(
                digest in (self.inputs[name], self.folders.get(name))
                for name, digest in manifest.inputs.items()
            )
            and manifest.config.keys() == self.config.keys()
            and all(
                manifest.config[name] == value or _as_today(self.kind, name, manifest.config[name]) == value
                for name, value in self.config.items()
            )
        )


def _as_today(kind: type[Schema], dotted: str, value: Any) -> Any:
    """A section of an earlier release's configuration as this one would state it; ``None`` where it cannot be read."""
    *above, last = dotted.split(".")
    model: Any = kind
    for part in above:
        model = model.model_fields[part].annotation
    if last not in model.model_fields:  # the seed has no section, and what lies outside is compared as it is
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(model.model_fields[last].rebuild_annotation())
    try:
        read = adapter.validate_python(value)
    except ValidationError:
        return None
    dump = adapter.dump_python(read, mode="json")
    _drop_operational(read, dump)
    return dump


def identify(
    spec: StageSpec,
    config: RunConfig,
    inputs: Mapping[str, str],
    folders: Mapping[str, str] | None = None,
) -> StageIdentity:
    """Computes the identity of a stage.

    Args:
        spec: The stage.
        config: The whole configuration; only the sections that ``spec`` names count.
        inputs: Digest of what it reads of each input stage that the run has (skipped ones are absent).
        folders: Digest of each input stage's whole folder.
    """
    dump = config.model_dump(mode="json")
    _drop_operational(config, dump)
    covered: dict[str, Any] = {section: _section(dump, section) for section in spec.sections}
    external: dict[str, str] = {}
    for section, value in covered.items():
        external.update(_external(value, section))
    if isinstance(config, PipelineConfig) and "data" in covered:
        for place, source in single_sources(config.data).items():
            external |= _source_content(place, source)
    if isinstance(config, PipelineConfig) and "evaluate" in covered:
        external |= _benchmark_files(config)
    for place, item in objects_of(config):
        if any(f"{place}.".startswith(f"{section}.") for section in spec.sections):
            external[f"{place}.object"] = source_digest(item)
    covered = {**covered, "seed": config.seed, "external": external}
    key = sha256_json(
        {
            "stage": spec.name,
            "version": spec.version,
            "schemas": SCHEMA_VERSION,
            "config": covered,
            "inputs": dict(inputs),
        }
    )
    return StageIdentity(
        spec.name, spec.version, covered, dict(inputs), key, dict(folders or {}), type(config)
    )


def _source_content(place: str, source: DataConfig) -> dict[str, str]:
    """Version of the library that makes a source's problems, and digests of a benchmark's files."""
    found = {}
    if library := SOURCE_LIBRARIES.get(source.type):
        found[library] = _version(library)
    if isinstance(source, BenchmarkData):
        files = local_files(source)
        found |= {f"{place}.files.{split}": file_digest(path) for split, path in files.items()}
        if not files:
            found["datasets"] = _version("datasets")
    return found


def _benchmark_files(config: PipelineConfig) -> dict[str, str]:
    """Digest of the rows that are evaluated of each of ``evaluate.benchmarks``, or the version of the library that has them."""
    found = {}
    for named in config.evaluate.named_benchmarks:
        files = local_files(BenchmarkData(name=named.name, path=named.path))
        library = "datasets" if gym_dataset(named.name) is None else "reasoning-gym"
        rows = file_digest(files[evaluated_split(files)]) if files else _version(library)
        found[f"evaluate.benchmarks.{named.name}"] = rows
    return found


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""  # the stage itself says that it is missing


def _drop_operational(value: Any, dump: Any) -> None:
    """Takes the settings that change no result out of a dump, along the models that it was made from."""
    if isinstance(value, Schema):
        for name, field in type(value).model_fields.items():
            unchanged = ADDED in field.metadata and getattr(value, name) == field.default
            if OPERATIONAL in field.metadata or unchanged:
                dump.pop(name, None)
            elif name in dump:  # a setting may be left out where it is not used
                _drop_operational(getattr(value, name), dump[name])
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _drop_operational(item, dump[name])
    elif isinstance(value, list | tuple):
        for item, part in zip(value, dump, strict=True):
            _drop_operational(item, part)


def _section(dump: Mapping[str, Any], dotted: str) -> Any:
    value: Any = dump
    for part in dotted.split("."):
        value = value[part]
    return value


def _external(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yields (dotted setting, content digest) for every setting that names something on this disk."""
    if isinstance(value, Mapping):
        files = value.get("files")
        for name, item in value.items():
            inner = f"{where}.{name}"
            if name in PATH_FIELDS and isinstance(item, str) and item:
                path = local_path(item)
                if path is not None:
                    chosen = list(files.values()) if isinstance(files, Mapping) and files else None
                    yield inner, digest_path(path, chosen)
            else:
                yield from _external(item, inner)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _external(item, f"{where}.{index}")


def local_path(text: str) -> Path | None:
    """Finds the local file or folder that a setting names, or ``None`` (a hub id, or nothing there)."""
    if text.startswith(BUILTIN):
        import rlkd

        path = Path(str(rlkd.__file__)).parent / "models" / text.removeprefix(BUILTIN).replace("-", "_")
    else:
        try:
            path = expand_path(text, "")
        except DataError:
            return None
    return path if path.exists() else None


_LARGE = 1 << 24
"""Bytes from which a file's digest is remembered for the life of this process."""


def file_digest(path: Path) -> str:
    """Computes the digest of a file's content; a large one is read once a process, unless its size, time or place changes."""
    found = path.stat()
    if found.st_size < _LARGE:
        return sha256_file(path)
    return _remembered(path, found.st_size, found.st_mtime_ns, found.st_ino)


@functools.lru_cache(maxsize=256)
def _remembered(path: Path, size: int, time_ns: int, inode: int) -> str:
    return sha256_file(path)


def digest_path(path: Path, chosen: list[str] | None = None) -> str:
    """Computes a digest over the content of a file, or over the names and contents of a folder's files.

    Args:
        path: File or folder.
        chosen: Only these files of the folder; ``None`` takes all but hidden and temporary ones.
    """
    if path.is_file():
        return file_digest(path)
    if chosen is not None:
        files = [path / name for name in chosen if (path / name).is_file()]
    else:
        files = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not file.name.endswith(_SKIPPED_SUFFIXES)
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
    return sha256_json({file.relative_to(path).as_posix(): file_digest(file) for file in files})
