"""Training a GSRM: where its paths come from, who annotates them, what is trained, and how it is measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import OPERATIONAL, Fraction, Positive, Schema
from schemas.config.named import RunSettings
from schemas.config.structure import GenerativeDecomposerConfig, RulesDecomposerConfig
from schemas.config.student import CheckpointModel, LoraConfig, ModelConfig
from schemas.config.training import FineTuneConfig
from schemas.config.world import WanderSettings, WorldSettings
from schemas.gsrm import WrittenForm

GSRM: Literal["gsrm"] = "gsrm"
"""What tells the configuration of a GSRM's training from that of a distillation."""


class WorldPaths(Schema):
    """Paths of the built-in world: wandering ones (many end wrong), the solver's own, and altered ones."""

    type: Literal["world"] = Field(default="world", description="Built-in world.")
    world: WorldSettings = Field(
        default=WorldSettings(n_train=2000, n_validation=100, n_test=200, n_ood=0),
        description="The problems, by split.",
    )
    wander: WanderSettings = Field(
        default=WanderSettings(focus=0.7), description="How the wandering paths go astray."
    )
    per_problem: Positive = Field(
        default=1, description="Paths of each training problem; held-out ones get one."
    )
    solved: Fraction = Field(
        default=0.15, description="Share of the paths that are the solver's, branches in random order."
    )
    altered: Fraction = Field(
        default=0.15,
        description="Share of the paths in which a line is changed as a student might: a wrong value, a line twice, or lost.",
    )

    @model_validator(mode="after")
    def _shares(self) -> WorldPaths:
        if self.solved + self.altered > 1:
            raise ValueError(
                f"solved ({self.solved}) and altered ({self.altered}) are shares of all paths; lower one"
            )
        return self


class HeldOut(Schema):
    """How problems are split where the source has no split; paths of one problem stay together."""

    validation: float = Field(default=0.05, ge=0, lt=1, description="Share of the problems for validation.")
    test: float = Field(default=0.1, gt=0, lt=1, description="Share of the problems for the final figures.")

    @model_validator(mode="after")
    def _rest(self) -> HeldOut:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) leave nothing to train on"
            )
        return self


class _Drawn(Schema):
    """Paths drawn from a source, and how their problems are split."""

    limit: Positive | None = Field(default=None, description="Most paths, drawn by seed; null takes all.")
    split: HeldOut = Field(default=HeldOut(), description="How problems are split.")


class FilePaths(_Drawn):
    """A JSONL file with rows ``{id, problem, path, domain?, steps?}``."""

    type: Literal["file"] = Field(default="file", description="JSONL file of paths.")
    path: str = Field(
        description="The file. `steps`, where given, is the gold decomposition as `rlkd decompose` writes it, or with "
        "quotes as a model does. Environment variables such as $RLKD_DATA are expanded."
    )


class RunPaths(_Drawn):
    """What a finished run holds: its teacher's traces, or what its student wrote during RL."""

    type: Literal["run"] = Field(default="run", description="A finished run.")
    path: str = Field(description="The run folder.")
    take: Literal["traces", "ledger", "both"] = Field(
        default="both",
        description="The teacher's accepted traces, the student's completions of the reward ledger, or both.",
    )


PathsConfig = Annotated[WorldPaths | FilePaths | RunPaths, Field(discriminator="type")]


class GoldAnnotator(Schema):
    """Gold decompositions: those that came with the paths, or the built-in world's exact reading."""

    type: Literal["gold"] = Field(default="gold", description="Gold decompositions; no model.")


AnnotatorConfig = Annotated[
    GoldAnnotator | RulesDecomposerConfig | GenerativeDecomposerConfig, Field(discriminator="type")
]


class AnnotationsConfig(Schema):
    """Who decomposes the training paths, and what is good enough to learn from."""

    annotator: AnnotatorConfig = Field(
        default=GoldAnnotator(),
        description="gold; rules; or generative: any model, for example behind an OpenAI-compatible endpoint (paper: GPT-4o).",
    )
    located: Fraction = Field(
        default=0.9,
        description="Share of an annotation's steps whose words must be found in the path; less and it is rejected.",
    )
    answered: Fraction = Field(
        default=0.7, description="Share of the steps whose answer must occur in the path."
    )
    ordered: bool = Field(
        default=True, description="Reject annotations whose steps are not in the path's order."
    )
    empty: bool = Field(
        default=True, description="Learn from paths without any step too (a text may solve nothing)."
    )
    max_rejected: Fraction = Field(
        default=0.5, description="Share of rejected annotations past which the stage fails."
    )


class GsrmStudentConfig(Schema):
    """The model that becomes the GSRM."""

    model: ModelConfig = Field(
        default=CheckpointModel(path="builtin:demo-base"), description="Any causal LM."
    )
    form: WrittenForm = Field(
        default="json",
        description="How it writes: json, as models know it; or compact, for small models: the path again, with its steps marked.",
    )
    chat: bool = Field(default=False, description="Ask it through its chat template (json only).")
    max_prompt_tokens: Positive = Field(
        default=8192,
        description="Longest prompt (problem and path); longer ones are left out of training, and counted.",
    )
    max_completion_tokens: Positive = Field(
        default=4096, description="Longest decomposition; longer ones are left out of training, and counted."
    )
    max_chars: int = Field(default=50_000, ge=100, description="Characters of a path that are read.")
    context: int | None = Field(
        default=None,
        ge=16,
        description="Longest sequence, where the checkpoint's own is too short: a small model with rotary positions learns "
        "longer ones in fine-tuning. Null leaves it.",
    )
    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="Arithmetic in training.")
    attention: Literal["eager", "sdpa", "flash_attention_2"] = Field(
        default="sdpa", description="Attention implementation."
    )
    lora: LoraConfig | None = Field(default=None, description="Adapters; null trains all weights.")

    @model_validator(mode="after")
    def _fits(self) -> GsrmStudentConfig:
        if self.context is not None and self.model.type == "fresh":
            raise ValueError("context is for a checkpoint; a fresh model states its own, as model.context")
        if self.chat and self.form == "compact":
            raise ValueError("chat is for the form json; the compact form is a plain prompt")
        return self


class GsrmEvaluateConfig(Schema):
    """How the trained model is measured on the held-out paths."""

    max_paths: Positive | None = Field(default=None, description="Most paths; null takes all.")
    batch_size: Annotated[int, OPERATIONAL] = Field(default=16, ge=1, description="Paths decomposed at once.")
    resamples: int = Field(default=2000, ge=100, description="Bootstrap resamples over problems.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Coverage of the intervals.")


class GsrmRegisterConfig(Schema):
    """Registration in MLflow."""

    name: str = Field(
        default="rlkd-gsrm", pattern=r"^[A-Za-z0-9._-]*$", description="Registered name; empty for none."
    )
    min_step_f1: Fraction = Field(default=0.5, description="Step F1 below which the model is not registered.")


class GsrmConfig(RunSettings):
    """Configuration of `rlkd train-gsrm`. A file states only what differs from the defaults."""

    kind: Literal["gsrm"] = Field(default=GSRM, description="What this file configures.")
    paths: PathsConfig = Field(description="Where paths come from.")
    annotations: AnnotationsConfig = Field(
        default=AnnotationsConfig(), description="Who decomposes them for training, and what is rejected."
    )
    student: GsrmStudentConfig = Field(
        default=GsrmStudentConfig(), description="The model that becomes the GSRM."
    )
    sft: FineTuneConfig = Field(default=FineTuneConfig(), description="Fine-tuning.")
    evaluate: GsrmEvaluateConfig = Field(
        default=GsrmEvaluateConfig(), description="Evaluation as a decomposer."
    )
    register_as: GsrmRegisterConfig = Field(
        default=GsrmRegisterConfig(), description="Registration in MLflow."
    )
