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
    from rlkd.experiments.cell import Cell


def preset_folder() -> Traversable:
    """Folder of the presets that ship with the project."""
    return files("flows") / "presets"


def configure(preset: str, overrides: Sequence[str] = ()) -> PipelineConfig:
    """A preset's or file's configuration with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, "rlkd run")
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
    _refuse_other(preset, "rlkd train-gsrm")
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
    _refuse_other(preset, "rlkd experiment")
    return load_experiment_config(preset, overrides, experiment_preset_folder())


def plan_experiment(config: ExperimentConfig) -> list[Cell]:
    """Every cell of an experiment, all of them valid.

    Raises:
        ConfigError: One is not; the message lists every fault.
    """
    from rlkd.experiments.plan import plan_cells

    return plan_cells(config, method_folder(), preset_folder())


def _refuse_other(preset: str, *own: str) -> None:
    """Names the right command for a preset of another one than one's own."""
    folders = {
        "rlkd run": preset_folder(),
        "rlkd train-gsrm": gsrm_preset_folder(),
        "rlkd experiment": experiment_preset_folder(),
    }
    if "/" in preset:
        return
    takes = [command for command, folder in folders.items() if folder.joinpath(f"{preset}.yaml").is_file()]
    if takes and not set(takes) & set(own):
        raise ConfigError(f"{preset} is a preset of another command; give it to: {takes[0]} {preset}")


def configure_any(preset: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A preset's or file's configuration of whatever kind, with overrides applied.

    Raises:
        ConfigError: It is wrong; the message lists every fault.
    """
    _refuse_other(preset, "rlkd run", "rlkd train-gsrm")
    return load_any_config(preset, overrides, preset_folder(), gsrm_preset_folder())
