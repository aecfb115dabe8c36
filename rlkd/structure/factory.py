"""Builds a scorer from its configuration."""

from __future__ import annotations

from rlkd.structure.base import Decomposer, Judge
from rlkd.structure.rules import RulesDecomposer
from rlkd.structure.rules_judge import RulesJudge
from rlkd.structure.score import StructureScorer
from schemas.config.structure import DecomposerConfig, JudgeConfig, StructuresConfig, WorldDecomposerConfig


def make_decomposer(config: DecomposerConfig) -> Decomposer:
    """The decomposer that a configuration names."""
    if isinstance(config, WorldDecomposerConfig):
        from rlkd.structure.world import WorldDecomposer

        return WorldDecomposer()
    return RulesDecomposer(config)


def make_judge(config: JudgeConfig) -> Judge:
    """The judge that a configuration names."""
    return RulesJudge(config)


def make_scorer(config: StructuresConfig | None = None) -> StructureScorer:
    """The scorer that a configuration describes; without one, rules and our default alignment."""
    config = config or StructuresConfig()
    return StructureScorer(make_decomposer(config.decomposer), make_judge(config.judge), config.alignment)
