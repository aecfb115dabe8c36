"""Builds a scorer from its configuration."""

from __future__ import annotations

from rlkd.structure.build import build_decomposer, build_judge
from rlkd.structure.interfaces import Decomposer, Judge
from rlkd.structure.scorer import StructureScorer
from schemas.config.structure import CacheConfig, DecomposerConfig, JudgeConfig, StructuresConfig


def make_decomposer(config: DecomposerConfig, cache: CacheConfig | None = None) -> Decomposer:
    """The decomposer that a configuration names; one that needs a model keeps what it said in the cache."""
    return build_decomposer(config, cache or CacheConfig())


def make_judge(config: JudgeConfig, cache: CacheConfig | None = None) -> Judge:
    """The judge that a configuration names; one that needs a model keeps what it said in the cache."""
    return build_judge(config, cache or CacheConfig())


def make_scorer(config: StructuresConfig | None = None) -> StructureScorer:
    """The scorer that a configuration describes; without one, rules and our default alignment."""
    config = config or StructuresConfig()
    return StructureScorer(
        make_decomposer(config.decomposer, config.cache),
        make_judge(config.judge, config.cache),
        config.alignment,
    )
