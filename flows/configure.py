"""Finds a preset or file by name and loads its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from rlkd.config.load import load_any_config, load_config, load_gsrm_config
from rlkd.errors import ConfigError
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig


def preset_folder() -> Traversable:
    """Folder of the presets that ship with the project."""
    return files("flows") / "presets"


def configure(preset: str, overrides: Sequence[str] = ()) -> PipelineConfig:
    """A preset's or file's configuration with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, gsrm_preset_folder(), preset_folder(), "rlkd train-gsrm")
    return load_config(preset, overrides, preset_folder())


def gsrm_preset_folder() -> Traversable:
    """Folder of the presets that train a GSRM."""
    return preset_folder() / "gsrm"


def configure_gsrm(preset: str, overrides: Sequence[str] = ()) -> GsrmConfig:
    """A preset's or file's configuration of a GSRM's training, with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, preset_folder(), gsrm_preset_folder(), "rlkd run")
    return load_gsrm_config(preset, overrides, gsrm_preset_folder())


def _refuse_other(preset: str, others: Traversable, own: Traversable, command: str) -> None:
    """Names the right command for a preset of another one."""
    file = f"{preset}.yaml"
    if "/" not in preset and others.joinpath(file).is_file() and not own.joinpath(file).is_file():
        raise ConfigError(f"{preset} is a preset of another command; give it to: {command} {preset}")


def configure_any(preset: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A preset's or file's configuration of whatever kind, with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    return load_any_config(preset, overrides, preset_folder(), gsrm_preset_folder())
