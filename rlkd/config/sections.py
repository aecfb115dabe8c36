"""Reads single sections of a configuration file, for the commands that need no whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlkd.config.checks import check_objects
from rlkd.config.load import config_text
from rlkd.config.strict_yaml import parse_yaml
from rlkd.errors import ConfigError
from rlkd.plugins import place_objects
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig

_TOOL_REWARDS = RewardsConfig(format=0.0)


def load_score_config(path: Path) -> tuple[StructuresConfig, RewardsConfig]:
    """Reads the sections ``structures`` and ``rewards`` of a YAML file; other sections are left alone.

    Raises:
        ConfigError: The file cannot be read, or a section is wrong; every fault at once.
    """
    values = parse_yaml(config_text(path), str(path)).value
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a configuration is a mapping with the sections structures and rewards")
    place_objects(values, path.parent)
    faults: list[str] = []
    structures, rewards = StructuresConfig(), _TOOL_REWARDS
    try:
        structures = StructuresConfig.model_validate(values.get("structures") or {})
    except ValidationError as error:
        faults += [_fault("structures", e) for e in error.errors()]
    try:
        rewards = RewardsConfig.model_validate({"format": 0.0, **(values.get("rewards") or {})})
    except (ValidationError, TypeError) as error:
        errors = (
            error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": "is no mapping"}]
        )
        faults += [_fault("rewards", dict(e)) for e in errors]
    for section, found in (("structures", structures), ("rewards", rewards)):
        faults += [f"  - {'.'.join([section, *fault.path])}: {fault.what}" for fault in check_objects(found)]
    if faults:
        raise ConfigError("\n".join([f"{path}: {len(faults)} fault(s) in the configuration", *faults]))
    return structures, rewards


def _fault(section: str, error: Any) -> str:
    return f"  - {'.'.join([section, *(str(part) for part in error['loc'])])}: {error['msg']}"
