"""How paths are decomposed, judged and aligned: the structure reward."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Schema


class WorldDecomposerConfig(Schema):
    """The built-in world's exact decomposer, chosen by the problem's domain."""

    type: Literal["world"] = Field(description="The built-in world's own decomposer; only for its problems.")


class RulesDecomposerConfig(Schema):
    """Reads steps off prose, `<<a*b=c>>` marks, algebra and LaTeX by rules; no model."""

    type: Literal["rules"] = Field(description="Rules, no model.")
    max_chars: int = Field(default=50_000, ge=1_000, description="Characters of a path that are read; the rest is ignored.")
    max_steps: int = Field(default=256, ge=1, description="Steps of a path that are read; the rest is ignored.")


DecomposerConfig = Annotated[WorldDecomposerConfig | RulesDecomposerConfig, Field(discriminator="type")]


class RulesJudgeConfig(Schema):
    """Compares values, quantities, operations and wording; no model."""

    type: Literal["rules"] = Field(description="Rules, no model.")
    tolerance: float = Field(default=1e-3, gt=0, lt=0.1, description="Relative difference up to which two values are equal (rounding).")
    symbolic: bool = Field(
        default=False, description="Ask math-verify where the fast numeric comparison cannot decide two answers (about 1 ms each)."
    )


JudgeConfig = Annotated[RulesJudgeConfig, Field(discriminator="type")]


class PrefixAlignmentConfig(Schema):
    """The paper's rule: same index, stop at the first step with another intent, halve on sub-problem and answer."""

    type: Literal["prefix"] = Field(description="The paper's rule (paper, section 3.2).")
    threshold: float = Field(default=0.5, ge=0, le=1, description="Probability from which a verdict counts as yes.")
    normalize: bool = Field(
        default=True, description="Divide by the teacher's number of steps; false gives the paper's unbounded sum."
    )


class StructureAlignmentConfig(Schema):
    """Order-tolerant through the dependency graph; partial credit; neither padding nor brevity pays."""

    type: Literal["structure"] = Field(description="Order-tolerant alignment through the dependency graph.")
    threshold: float = Field(default=0.5, ge=0, le=1, description="Match strength from which two steps may be aligned.")


AlignmentConfig = Annotated[PrefixAlignmentConfig | StructureAlignmentConfig, Field(discriminator="type")]


class StructuresConfig(Schema):
    """Decomposer, judge and alignment of the structure reward."""

    decomposer: DecomposerConfig = Field(
        default=RulesDecomposerConfig(type="rules"), description="What reads the steps of a path."
    )
    judge: JudgeConfig = Field(default=RulesJudgeConfig(type="rules"), description="What compares two steps.")
    alignment: AlignmentConfig = Field(
        default=StructureAlignmentConfig(type="structure"), description="How steps are paired and the score is made."
    )
