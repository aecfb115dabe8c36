"""What the configurations of all kinds begin with, and what every run has beside its stages."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Schema, Seed
from schemas.config.evaluation import KeepConfig, TrackingConfig
from schemas.config.training import LaunchConfig


class NamedConfig(Schema):
    """A configuration that makes a folder."""

    name: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Its name; also the default folder, runs/<name>.",
    )
    description: str = Field(default="", description="One line for `rlkd presets` and the report.")


class RunSettings(NamedConfig):
    """What runs of every kind share."""

    seed: Seed = Field(default=0, description="Seed of everything that is random.")
    tracking: TrackingConfig = Field(default=TrackingConfig(), description="MLflow.")
    launch: LaunchConfig = Field(default=LaunchConfig(), description="How training processes start.")
    keep: KeepConfig = Field(
        default=KeepConfig(),
        exclude_if=lambda value: value == KeepConfig(),  # unused, it is no part of a configuration's digest
        description="What stays on the disk beside the results.",
    )
