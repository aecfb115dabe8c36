"""Loading a configuration: sparse YAML plus ``--set`` overrides, every fault reported at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from rlkd.config.checks import check_objects, cross_check
from rlkd.config.derived import with_derived
from rlkd.config.faults import Fault, faults_of, suggest
from rlkd.config.kinds import check_kind
from rlkd.config.layers import Layer, lay_over
from rlkd.config.strict_yaml import dump_yaml, parse_setting, parse_yaml
from rlkd.errors import ConfigError, DataError
from rlkd.io import sha256_json
from rlkd.plugins import place_objects
from rlkd.user_files import read_text
from schemas.base import Schema
from schemas.config.experiment import EXPERIMENT, ExperimentConfig
from schemas.config.gsrm import GSRM, GsrmConfig
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig

Config = TypeVar("Config", bound=Schema)

_SUFFIXES = (".yaml", ".yml", ".json")
_STAND_INS: dict[str, Any] = {"name": "stand-in", "data": {"type": "world"}}
"""In place of faulty sections that have no default, so that the others can be looked at; nothing is judged by them."""


@dataclass(frozen=True)
class _Source:
    """A configuration as written: its values, and where each path of keys stands."""

    name: str
    values: dict[str, Any]
    places: dict[tuple[str, ...], str]


def load_config(
    preset_or_path: str, overrides: Sequence[str] = (), preset_folder: Path | Traversable | None = None
) -> PipelineConfig:
    """Loads a preset or a YAML file and applies overrides.

    Args:
        preset_or_path: Name of a preset, or path of a YAML (or JSON) file.
        overrides: ``a.b.c=value``; it replaces what the file says there, and is text unless it clearly is a number, a
            boolean, null, a list or a mapping (see :func:`~rlkd.config.strict_yaml.parse_setting`).
        preset_folder: Folder with ``<preset>.yaml`` files.

    Raises:
        ConfigError: The file cannot be read, or the configuration is wrong; the message lists every
            fault with file, line, setting, what is wrong and how to mend it.
    """
    return _load(PipelineConfig, preset_or_path, overrides, preset_folder)


def load_gsrm_config(
    preset_or_path: str, overrides: Sequence[str] = (), preset_folder: Path | Traversable | None = None
) -> GsrmConfig:
    """Loads the configuration of a GSRM's training; see :func:`load_config`.

    Raises:
        ConfigError: As :func:`load_config`.
    """
    return _load(GsrmConfig, preset_or_path, overrides, preset_folder)


def load_any_config(
    preset_or_path: str,
    overrides: Sequence[str] = (),
    preset_folder: Path | Traversable | None = None,
    gsrm_folder: Path | Traversable | None = None,
) -> RunConfig:
    """Loads a configuration of whatever kind it says it is; see :func:`load_config`.

    Raises:
        ConfigError: As :func:`load_config`.
    """
    if (
        gsrm_folder is not None
        and preset_or_path in presets(gsrm_folder)
        and not Path(preset_or_path).is_file()
    ):
        return load_gsrm_config(preset_or_path, overrides, gsrm_folder)
    if _read(preset_or_path, preset_folder).values.get("kind") == GSRM:
        return load_gsrm_config(preset_or_path, overrides)
    return load_config(preset_or_path, overrides, preset_folder)


def _load(
    model: type[Config],
    preset_or_path: str,
    overrides: Sequence[str],
    preset_folder: Path | Traversable | None,
) -> Config:
    source = _read(preset_or_path, preset_folder)
    check_kind(model, source.values, source.places, source.name)
    return _overridden(model, source, overrides)


def load_values(values: Mapping[str, Any], overrides: Sequence[str], name: str) -> PipelineConfig:
    """Loads a configuration that is already a mapping, with overrides applied; see :func:`load_config`.

    Raises:
        ConfigError: As :func:`load_config`.
    """
    return _overridden(PipelineConfig, _Source(name, copy.deepcopy(dict(values)), {}), overrides)


def _overridden(model: type[Config], source: _Source, overrides: Sequence[str]) -> Config:
    values, places = source.values, dict(source.places)
    faults: list[Fault] = []
    for override in overrides:
        fault = _apply(override, values, places)
        if fault is not None:
            faults.append(fault)
    place_objects(values, Path(source.name).parent if Path(source.name).is_file() else None)
    return _validate(model, values, places, source.name, faults, objects=True)


def load_experiment_config(
    preset_or_path: str, overrides: Sequence[str] = (), preset_folder: Path | Traversable | None = None
) -> ExperimentConfig:
    """Loads the configuration of an experiment; see :func:`load_config`.

    Raises:
        ConfigError: As :func:`load_config`.
    """
    return _load(ExperimentConfig, preset_or_path, overrides, preset_folder)


def load_overlaid(
    preset_or_path: str,
    layers: Sequence[Layer],
    preset_folder: Path | Traversable | None = None,
) -> PipelineConfig:
    """Loads a preset or a YAML file with further settings laid over it, the last layer winning.

    Raises:
        ConfigError: As :func:`load_config`; what a layer sets is told by the layer's name.
    """
    source = _read(preset_or_path, preset_folder)
    check_kind(PipelineConfig, source.values, source.places, source.name)
    values, places, faults = lay_over(source.values, source.places, layers, PipelineConfig)
    place_objects(values, Path(source.name).parent if Path(source.name).is_file() else None)
    return _validate(PipelineConfig, values, places, source.name, faults, objects=True)


def parse_config(values: Mapping[str, Any], name: str = "configuration") -> PipelineConfig:
    """Validates a configuration that is already a mapping (a resolved one, a flow parameter).

    Raises:
        ConfigError: As :func:`load_config`.
    """
    return _validate(PipelineConfig, dict(values), {}, name, [])


def parse_run_config(values: Mapping[str, Any], name: str = "configuration") -> RunConfig:
    """Validates the resolved configuration of any kind of run.

    Raises:
        ConfigError: As :func:`load_config`.
    """
    if values.get("kind") == GSRM:
        return _validate(GsrmConfig, dict(values), {}, name, [])
    return _validate(PipelineConfig, dict(values), {}, name, [])


def presets(folder: Path | Traversable) -> dict[str, str]:
    """Every preset in a folder with its description, by name.

    Raises:
        ConfigError: A preset cannot be read.
    """
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            values = _parse(entry.read_text(encoding="utf-8"), entry.name).values
            found[entry.name.removesuffix(".yaml")] = str(values.get("description", ""))
    return found


def resolved_yaml(config: RunConfig) -> str:
    """The whole configuration with every default stated, as YAML that loads to the same."""
    return dump_yaml(config.model_dump(mode="json"))


def config_digest(config: RunConfig) -> str:
    """Hex SHA-256 of the resolved configuration; the same for files that say the same."""
    return sha256_json(config.model_dump(mode="json"))


def config_json_schema(kind: str = "distill") -> dict[str, Any]:
    """JSON Schema of a configuration file, for editors.

    Args:
        kind: ``distill``, ``gsrm`` for the training of a GSRM, or ``experiment``.
    """
    models: dict[str, type[Schema]] = {GSRM: GsrmConfig, EXPERIMENT: ExperimentConfig}
    schema = models.get(kind, PipelineConfig).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _validate(
    model: type[Config],
    values: dict[str, Any],
    places: Mapping[tuple[str, ...], str],
    name: str,
    faults: list[Fault],
    *,
    objects: bool = False,
) -> Config:
    """Validates values; with ``objects`` also what ``type: python`` names (not for a run that is only looked at)."""
    key = None if faults else _content_key(model, values)
    known = _VALIDATED.get(key) if key is not None else None
    if isinstance(known, model) and not (objects and any(check_objects(known))):
        return known
    config: Config | None = None
    try:
        config = with_derived(model.model_validate(values))
        faults = [*faults, *cross_check(config, values), *(check_objects(config) if objects else ())]
    except ValidationError as error:
        faults = [*faults, *faults_of(error, values, model)]
        faults += _beside(error, values, model, {fault.path for fault in faults})
    if config is None or faults:
        lines = [
            fault.text(places, name) for fault in sorted(faults, key=lambda fault: _position(fault, places))
        ]
        head = f"{name}: {len(lines)} fault{'s' if len(lines) > 1 else ''} in the configuration"
        raise ConfigError("\n".join([head, *(f"  - {line}" for line in lines)]))
    if key is not None:
        _keep(key, config)
    remember(config)
    return config


_VALIDATED: dict[str, Schema] = {}
"""Configurations that this process has found right, by their content: it is validated once, and is immutable."""
_MOST_VALIDATED = 64


def remember(config: Schema) -> None:
    """Notes a configuration that was made from a valid one, so that its resolved form is not validated again."""
    key = _content_key(type(config), config.model_dump(mode="json"))
    if key is not None:
        _keep(key, config)


def _keep(key: str, config: Schema) -> None:
    while len(_VALIDATED) >= _MOST_VALIDATED:
        del _VALIDATED[next(iter(_VALIDATED))]
    _VALIDATED[key] = config


def _content_key(model: type[Schema], values: Mapping[str, Any]) -> str | None:
    """What a mapping says, as a key; ``None`` where it holds what JSON cannot (a date that YAML made of a text)."""
    try:
        return sha256_json([model.__name__, values])
    except (TypeError, ValueError):
        return None


def _beside(
    error: ValidationError, values: Mapping[str, Any], model: type[Schema], known: set[tuple[str, ...]]
) -> list[Fault]:
    """What else is wrong among the sections that are valid, so that nobody learns of it only after mending the others."""
    faulty = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    rest = {name: value for name, value in values.items() if name not in faulty}
    try:
        config = model.model_validate(_STAND_INS | rest if model is PipelineConfig else rest)
    except ValidationError:
        return []  # a section that has no default is wrong itself
    written = {name: value for name, value in values.items() if name not in _STAND_INS or name not in faulty}
    return [fault for fault in cross_check(config, written, faulty) if fault.path not in known]


def _position(fault: Fault, places: Mapping[tuple[str, ...], str]) -> int:
    """Where a fault stands among the settings as written; faults of no setting come first."""
    order = {path: i for i, path in enumerate(places)}
    path = fault.path
    while path and path not in order:
        path = path[:-1]
    return order.get(path, -1)


def config_text(path: Path, wanted: str = "the path of a YAML file") -> str:
    """Reads a configuration file.

    Raises:
        ConfigError: It is not there (the message asks for what is ``wanted``), or cannot be read.
    """
    try:
        return read_text(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give {wanted}") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give the path of a readable YAML file"
        ) from None
    except DataError as error:
        raise ConfigError(str(error)) from None


def _read(preset_or_path: str, folder: Path | Traversable | None) -> _Source:
    path = Path(preset_or_path)
    if path.suffix in _SUFFIXES or path.is_file():
        return _parse(config_text(path, "the path of a YAML file or the name of a preset"), str(path))
    names: list[str] = []
    if folder is not None:
        names = sorted(e.name.removesuffix(".yaml") for e in folder.iterdir() if e.name.endswith(".yaml"))
        if preset_or_path in names:
            file = f"{preset_or_path}.yaml"
            return _parse(folder.joinpath(file).read_text(encoding="utf-8"), file)
    choice = (
        f"choose from {', '.join(names)}, or give the path of a YAML file"
        if names
        else "give the path of a YAML file"
    )
    raise ConfigError(
        f"{preset_or_path!r} is neither a preset nor a file{suggest(preset_or_path, names)}; {choice}"
    )


def _parse(text: str, name: str) -> _Source:
    parsed = parse_yaml(text, name)
    values = {} if parsed.value is None else parsed.value
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name}, line 1: a configuration is a mapping of settings, not a {type(values).__name__}"
        )
    return _Source(name, values, parsed.places)


_DOTTED = (("grid",), ("tune", "values"))
"""Sections of an experiment whose keys are names of settings, with dots."""


def _with_dotted(path: tuple[str, ...], values: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of an override, where the last is a setting's name: ``grid.rewards.alpha`` is one axis, unless an axis is called so."""
    for above in _DOTTED:
        section: Any = values
        for part in above:
            section = section.get(part) if isinstance(section, dict) else None
        if path[: len(above)] == above and path[len(above) :] and path[len(above)] not in (section or {}):
            return (*above, ".".join(path[len(above) :]))
    return path


def _apply(override: str, values: dict[str, Any], places: dict[tuple[str, ...], str]) -> Fault | None:
    """Writes one ``a.b.c=value`` into the values; a value that is a mapping replaces the whole section."""
    key, equals, text = override.partition("=")
    path = _with_dotted(tuple(part.strip() for part in key.split(".")), values)
    where = f"--set {override}"
    if not equals or not all(path):
        return Fault((), "it is not of the form a.b.c=value", where)
    try:
        value = parse_setting(text)
    except ConfigError as error:
        return Fault(path, str(error), where)
    section: Any = values
    for depth, part in enumerate(path[:-1], 1):
        if part not in section or section[part] is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            above = ".".join(path[:depth])
            return Fault(path, f"is no setting; {above} is a value, not a section", where)
    section[path[-1]] = value
    for old in [p for p in places if p[: len(path)] == path]:
        del places[old]
    places[path] = where
    return None
