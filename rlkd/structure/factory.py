"""Builds a scorer from its configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rlkd.structure.backends.cache import Shelf, default_folder
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.interfaces import Decomposer, Judge
from rlkd.structure.scorer import StructureScorer
from schemas.config.endpoint import LocalEndpoint
from schemas.config.structure import (
    CacheConfig,
    CascadeJudgeConfig,
    DecomposerConfig,
    EmbeddingJudgeConfig,
    GenerativeDecomposerConfig,
    JudgeConfig,
    LLMJudgeConfig,
    RulesJudgeConfig,
    StructuresConfig,
    WorldDecomposerConfig,
)


def make_decomposer(config: DecomposerConfig, cache: CacheConfig | None = None) -> Decomposer:
    """The decomposer that a configuration names; one that needs a model keeps what it said in the cache."""
    if isinstance(config, GenerativeDecomposerConfig):
        return model_decomposer(config, cache or CacheConfig())
    if isinstance(config, WorldDecomposerConfig):
        from rlkd.structure.decomposers.world import WorldDecomposer

        return WorldDecomposer()
    return RulesDecomposer(config)


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


if TYPE_CHECKING:
    from rlkd.structure.decomposers.generative import GenerativeDecomposer


def open_shelf(config: CacheConfig) -> Shelf | None:
    """The disk cache of a configuration; ``None`` where it is switched off."""
    if not config.enabled:
        return None
    return Shelf(Path(config.folder).expanduser() if config.folder else default_folder(), config.size_gb)


def model_decomposer(config: GenerativeDecomposerConfig, cache: CacheConfig) -> Decomposer:
    """The generative decomposer, each path asked for once. Nothing is loaded or connected yet.

    Raises:
        CheckpointError: The folder of a GSRM cannot be used.
    """
    from rlkd.structure.backends.cached import CachedDecomposer

    return CachedDecomposer(generative_decomposer(config), open_shelf(cache))


def generative_decomposer(config: GenerativeDecomposerConfig) -> GenerativeDecomposer:
    """The generative decomposer without a cache; a trained GSRM is asked as its folder says.

    Raises:
        CheckpointError: The folder of a GSRM cannot be used.
    """
    from rlkd.completion.build import build_completer
    from rlkd.structure.decomposers.forms import PromptedForm, read_card, trained_form
    from rlkd.structure.decomposers.generative import GenerativeDecomposer

    place, max_tokens, form = config.place, config.max_tokens, config.form
    if isinstance(place, LocalEndpoint):
        folder = Path(os.path.expandvars(place.path)).expanduser()
        card = read_card(folder)
        if card is not None:
            place = place.model_copy(update={"path": str(folder), "chat": card.chat})
            max_tokens = min(max_tokens, card.max_tokens)
            form = card.form if form == "auto" else form
    asked = trained_form(form) if form == "json" or form == "compact" else PromptedForm()
    return GenerativeDecomposer(build_completer(place), max_tokens, config.max_chars, config.repair, asked)


def build_judge(config: JudgeConfig, cache: CacheConfig) -> Judge:
    """Any judge, those that need a model with their cache. Nothing is loaded or connected yet."""
    if isinstance(config, RulesJudgeConfig):
        from rlkd.structure.judges.rules import RulesJudge

        return RulesJudge(config)
    if isinstance(config, CascadeJudgeConfig):
        from rlkd.structure.judges.cascade import CascadeJudge

        return CascadeJudge(
            build_judge(config.first, cache), build_judge(config.then, cache), config.low, config.high
        )
    if isinstance(config, EmbeddingJudgeConfig):
        from rlkd.structure.backends.cached import CachedJudge
        from rlkd.structure.judges.embedding import EmbeddingJudge, sentence_transformer
        from rlkd.structure.judges.rules import RulesJudge

        embed = sentence_transformer(config.model, config.device, config.batch_size)
        return CachedJudge(
            EmbeddingJudge(embed, config.model, RulesJudge(), config.midpoint, config.slope),
            open_shelf(cache),
        )
    return _llm_judge(config, cache)


def _llm_judge(config: LLMJudgeConfig, cache: CacheConfig) -> Judge:
    from rlkd.completion.build import build_completer
    from rlkd.structure.judges.llm import LLMJudge

    return LLMJudge(
        build_completer(config.endpoint),
        config.verdict,
        config.batch,
        config.gate,
        config.max_chars,
        open_shelf(cache),
    )
