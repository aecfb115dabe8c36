"""Finds a preset or file by name and loads its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from rlkd.config.load import load_any_config, load_config, load_experiment_config, load_gsrm_config
from rlkd.data.benchmarks import check_benchmarks
from rlkd.errors import ConfigError
from schemas.config.experiment import ExperimentConfig
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig

if TYPE_CHECKING:
    from rlkd.experiments.plan import Cell


def preset_folder() -> Traversable:
    """Folder of the presets that ship with the project."""
    return files("flows") / "presets"


def configure(preset: str, overrides: Sequence[str] = ()) -> PipelineConfig:
    """A preset's or file's configuration with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, gsrm_preset_folder(), preset_folder(), "rlkd train-gsrm")
    _refuse_other(preset, experiment_preset_folder(), preset_folder(), "rlkd experiment")
    config = load_config(preset, overrides, preset_folder())
    check_benchmarks(config.evaluate.named_benchmarks)
    return config


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


def experiment_preset_folder() -> Traversable:
    """Folder of the presets of experiments."""
    return preset_folder() / "experiments"


def method_folder() -> Traversable:
    """Folder of the methods that ship with the project."""
    return files("flows") / "methods"


def configure_experiment(preset: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """A preset's or file's configuration of an experiment, with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, preset_folder(), experiment_preset_folder(), "rlkd run")
    return load_experiment_config(preset, overrides, experiment_preset_folder())


def plan_experiment(config: ExperimentConfig) -> list[Cell]:
    """Every cell of an experiment, all of them valid.

    Raises:
        ConfigError: One is not; the message lists every fault.
    """
    from rlkd.experiments.plan import plan_cells

    return plan_cells(config, method_folder(), preset_folder())


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
