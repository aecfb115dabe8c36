"""Builds a scorer, a judge, a decomposer or an alignment from its configuration.

``type: NAME`` of a judge is built by the function ``build`` of ``rlkd/structure/judges/NAME.py``, of a decomposer by that of
``rlkd/structure/decomposers/NAME.py``; ``type: python`` is a user's own object (:mod:`rlkd.plugins`). Nothing lists them: a
file is imported only when its type is asked for.
"""

from __future__ import annotations

from rlkd.structure.decomposers import build_decomposer
from rlkd.structure.interfaces import Alignment, Decomposer, Judge
from rlkd.structure.judges import build_judge
from rlkd.structure.matching.alignments import PrefixAlignment, StructureAlignment
from rlkd.structure.matching.credits import DEFAULT_COSTS, Costs
from rlkd.structure.scorer import StructureScorer
from schemas.config.structure import (
    AlignmentConfig,
    CacheConfig,
    DecomposerConfig,
    JudgeConfig,
    PrefixAlignmentConfig,
    StructuresConfig,
)


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
        make_alignment(config.alignment),
    )


def make_alignment(config: AlignmentConfig) -> Alignment:
    """Makes the alignment that a configuration names."""
    if isinstance(config, PrefixAlignmentConfig):
        return PrefixAlignment(config.threshold, config.normalize, config.counts)
    factors = config.costs.model_dump()
    costs = Costs(*(cost * factors[name] for name, cost in DEFAULT_COSTS._asdict().items()))
    return StructureAlignment(config.threshold, costs, config.counts)
