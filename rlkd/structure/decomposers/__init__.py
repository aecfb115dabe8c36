"""Who makes steps from a path: rules, a model, a world's own reader."""

from __future__ import annotations

from rlkd.plugins import make_of_type
from rlkd.structure.interfaces import Decomposer
from schemas.config.structure import CacheConfig, DecomposerConfig


def build_decomposer(config: DecomposerConfig, cache: CacheConfig) -> Decomposer:
    """Builds any decomposer, one that needs a model with its cache. Nothing is loaded or connected yet."""
    decomposer: Decomposer = make_of_type(__name__, config, cache)
    return decomposer
