"""Makes the decomposers and judges that need a model, with their caches, from the configuration."""

from __future__ import annotations

from pathlib import Path

from rlkd.structure.base import Decomposer, Judge
from rlkd.structure.cache import Shelf, default_folder
from schemas.config.structure import (
    CacheConfig,
    CascadeJudgeConfig,
    EmbeddingJudgeConfig,
    GenerativeDecomposerConfig,
    JudgeConfig,
    LLMJudgeConfig,
    RulesJudgeConfig,
)


def open_shelf(config: CacheConfig) -> Shelf | None:
    """The disk cache of a configuration; ``None`` where it is switched off."""
    if not config.enabled:
        return None
    return Shelf(Path(config.folder).expanduser() if config.folder else default_folder(), config.size_gb)


def model_decomposer(config: GenerativeDecomposerConfig, cache: CacheConfig) -> Decomposer:
    """The generative decomposer, each path asked for once. Nothing is loaded or connected yet."""
    from rlkd.completion.build import build_completer
    from rlkd.structure.cached import CachedDecomposer
    from rlkd.structure.generative import GenerativeDecomposer

    inner = GenerativeDecomposer(build_completer(config.endpoint), config.max_tokens, config.max_chars, config.repair)
    return CachedDecomposer(inner, open_shelf(cache))


def build_judge(config: JudgeConfig, cache: CacheConfig) -> Judge:
    """Any judge, those that need a model with their cache. Nothing is loaded or connected yet."""
    if isinstance(config, RulesJudgeConfig):
        from rlkd.structure.rules_judge import RulesJudge

        return RulesJudge(config)
    if isinstance(config, CascadeJudgeConfig):
        from rlkd.structure.cascade import CascadeJudge

        return CascadeJudge(build_judge(config.first, cache), build_judge(config.then, cache), config.low, config.high)
    if isinstance(config, EmbeddingJudgeConfig):
        from rlkd.structure.cached import CachedJudge
        from rlkd.structure.embedding import EmbeddingJudge, sentence_transformer
        from rlkd.structure.rules_judge import RulesJudge

        embed = sentence_transformer(config.model, config.device, config.batch_size)
        return CachedJudge(EmbeddingJudge(embed, config.model, RulesJudge(), config.midpoint, config.slope), open_shelf(cache))
    return _llm_judge(config, cache)


def _llm_judge(config: LLMJudgeConfig, cache: CacheConfig) -> Judge:
    from rlkd.completion.build import build_completer
    from rlkd.structure.llm_judge import LLMJudge

    return LLMJudge(
        build_completer(config.endpoint), config.verdict, config.batch, config.gate, config.max_chars, open_shelf(cache)
    )
