"""The whole configuration: one section per stage, and the concerns that stages share."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Count, Schema
from schemas.config.data import DataConfig
from schemas.config.evaluation import EvaluateConfig, KeepConfig, ReportConfig, TrackingConfig
from schemas.config.qualify import QualifyConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig
from schemas.config.student import StudentConfig
from schemas.config.traces import TracesConfig
from schemas.config.training import LaunchConfig, RLConfig, WarmStartConfig


class PipelineConfig(Schema):
    """Configuration of one distillation run. A file states only what differs from the defaults."""

    name: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the run; also its default folder, runs/<name>.",
    )
    description: str = Field(default="", description="One line for `rlkd presets` and the report.")
    seed: Count = Field(default=0, description="Seed of everything that is random.")
    data: DataConfig = Field(description="Where problems come from.")
    traces: TracesConfig = Field(default=TracesConfig(), description="Teacher traces.")
    structures: StructuresConfig = Field(
        default=StructuresConfig(), description="Decomposer, judge and alignment: the structure reward."
    )
    student: StudentConfig = Field(default=StudentConfig(), description="The student.")
    warm_start: WarmStartConfig = Field(default=WarmStartConfig(), description="SFT warm start.")
    rewards: RewardsConfig = Field(
        default=RewardsConfig(), description="Combination of the reward's components."
    )
    qualify: QualifyConfig = Field(
        default=QualifyConfig(), description="Qualification of the structure reward, before RL."
    )
    rl: RLConfig = Field(default=RLConfig(), description="RL distillation.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="Evaluation.")
    report: ReportConfig = Field(default=ReportConfig(), description="Report.")
    tracking: TrackingConfig = Field(default=TrackingConfig(), description="MLflow.")
    launch: LaunchConfig = Field(default=LaunchConfig(), description="How training processes start.")
    keep: KeepConfig = Field(
        default=KeepConfig(),
        exclude_if=lambda value: value == KeepConfig(),  # unused, it is no part of a configuration's digest
        description="What stays on the disk beside the results.",
    )
