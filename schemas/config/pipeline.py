"""The whole configuration: one section per stage, and the concerns that stages share."""

from __future__ import annotations

from pydantic import Field

from schemas.config.data import DataConfig
from schemas.config.evaluation import EvaluateConfig, ReportConfig
from schemas.config.named import RunSettings
from schemas.config.qualify import QualifyConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig
from schemas.config.student import StudentConfig
from schemas.config.traces import TracesConfig
from schemas.config.training import RLConfig, WarmStartConfig


class PipelineConfig(RunSettings):
    """Configuration of one distillation run. A file states only what differs from the defaults."""

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
