"""Who compares two steps: rules, a language model, embeddings, a cascade."""

from __future__ import annotations

from rlkd.plugins import make_of_type
from rlkd.structure.interfaces import Judge
from schemas.config.structure import CacheConfig, JudgeConfig


def build_judge(config: JudgeConfig, cache: CacheConfig) -> Judge:
    """Builds any judge, one that needs a model with its cache. Nothing is loaded or connected yet."""
    judge: Judge = make_of_type(__name__, config, cache)
    return judge
