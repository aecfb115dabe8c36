"""Builds a judge or a decomposer from its configuration, found by its type.

``type: NAME`` of a judge is built by the function ``build`` of ``rlkd/structure/judges/NAME.py``, of a decomposer by that of
``rlkd/structure/decomposers/NAME.py``; ``type: python`` is a user's own object (:mod:`rlkd.plugins`). Nothing lists them: a
file is imported only when its type is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from rlkd.plugins import make_plugin
from rlkd.structure.interfaces import Decomposer, Judge
from schemas.config.plugin import PythonObject
from schemas.config.structure import CacheConfig, DecomposerConfig, JudgeConfig


def build_judge(config: JudgeConfig, cache: CacheConfig) -> Judge:
    """Builds any judge, those that need a model with their cache. Nothing is loaded or connected yet."""
    judge: Judge = _build("judges", config, cache)
    return judge


def build_decomposer(config: DecomposerConfig, cache: CacheConfig) -> Decomposer:
    """Builds any decomposer, those that need a model with their cache. Nothing is loaded or connected yet."""
    decomposer: Decomposer = _build("decomposers", config, cache)
    return decomposer


def _build(room: str, config: Any, cache: CacheConfig) -> Any:
    if isinstance(config, PythonObject):
        return make_plugin(config)
    return importlib.import_module(f"rlkd.structure.{room}.{config.type}").build(config, cache)
