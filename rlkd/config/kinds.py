"""Kinds of configuration files, and the command that takes each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlkd.config.faults import Keys, show, suggest
from rlkd.errors import ConfigError
from schemas.base import Schema
from schemas.config.experiment import EXPERIMENT, ExperimentConfig
from schemas.config.gsrm import GSRM, GsrmConfig
from schemas.config.pipeline import PipelineConfig

_OF_EXPERIMENTS = set(ExperimentConfig.model_fields) - set(PipelineConfig.model_fields) - {"kind"}
"""Settings that only an experiment has."""


def check_kind(model: type[Schema], values: Mapping[str, Any], places: Mapping[Keys, str], name: str) -> None:
    """Refuses a file of another kind by its command, instead of by a fault for each of its settings.

    Args:
        model: What is wanted.
        values: What the file says.
        places: Where its settings stand.
        name: The file.

    Raises:
        ConfigError: It is of another kind, or says of none what it is.
    """
    kind = values.get("kind")
    if "kind" in values and kind not in (EXPERIMENT, GSRM):
        where, near = places.get(("kind",), name), suggest(str(kind).lower(), [EXPERIMENT, GSRM])
        raise ConfigError(
            f"{where}: kind must be {EXPERIMENT} or {GSRM}, not {show(kind)} (`rlkd run` takes a file without it){near}"
        )
    if kind is None and len(_OF_EXPERIMENTS & set(values)) > 1:
        raise ConfigError(
            f"{name} has the settings of an experiment, but does not say that it is one; add `kind: {EXPERIMENT}`"
            + ("" if model is ExperimentConfig else " and give it to `rlkd experiment`")
        )
    if model is ExperimentConfig and not values:
        raise ConfigError(
            f"{name} is empty; an experiment has `kind: {EXPERIMENT}`, name, base, methods and seeds"
        )
    if kind == EXPERIMENT and model is not ExperimentConfig:
        raise ConfigError(f"{name} is an experiment; give it to `rlkd experiment`")
    if kind == GSRM and model is not GsrmConfig:
        raise ConfigError(f"{name} configures the training of a GSRM; give it to `rlkd train-gsrm`")
    if kind is None and model is ExperimentConfig:
        raise ConfigError(f"{name} is no experiment (it has no `kind: {EXPERIMENT}`); give it to `rlkd run`")
    if kind is None and model is GsrmConfig and "data" in values:
        raise ConfigError(
            f"{name} configures a distillation (it has no `kind: {GSRM}`); give it to `rlkd run`"
        )
