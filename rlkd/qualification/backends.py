"""The models behind a scorer: what they have used, and scorers that ask them anew."""

from __future__ import annotations

from dataclasses import dataclass

from rlkd.completion.base import Completer
from rlkd.structure.backends.cached import CachedDecomposer, CachedJudge
from rlkd.structure.decomposers.generative import GenerativeDecomposer
from rlkd.structure.factory import make_judge, make_scorer
from rlkd.structure.interfaces import Decomposer, Judge
from rlkd.structure.judges.cascade import CascadeJudge
from rlkd.structure.judges.llm import LLMJudge
from rlkd.structure.scorer import StructureScorer
from schemas.config.structure import CascadeJudgeConfig, JudgeConfig, LLMJudgeConfig, StructuresConfig


@dataclass(frozen=True)
class Used:
    """What models were asked and wrote, over all of a scorer's backends."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def completers(backend: Decomposer | Judge) -> list[Completer]:
    """Finds the models behind a decomposer or judge; none behind rules."""
    if isinstance(backend, CachedDecomposer | CachedJudge):
        return completers(backend.inner)
    if isinstance(backend, CascadeJudge):
        return [*completers(backend.first), *completers(backend.then)]
    if isinstance(backend, GenerativeDecomposer | LLMJudge):
        return [backend.completer]
    return []


def used(scorer: StructureScorer) -> Used:
    """Counts the requests and tokens that a scorer's models have used since they were made."""
    found = [model.usage for backend in (scorer.decomposer, scorer.judge) for model in completers(backend)]
    return Used(
        sum(usage.requests for usage in found),
        sum(usage.prompt_tokens for usage in found),
        sum(usage.completion_tokens for usage in found),
    )


async def close(*backends: Decomposer | Judge) -> None:
    """Lets go of the connections or weights of backends."""
    for backend in backends:
        for model in completers(backend):
            await model.aclose()


def uncached(config: StructuresConfig) -> StructureScorer:
    """Makes a scorer that has not seen anything yet and keeps nothing on disk."""
    return make_scorer(_without_cache(config))


def ungated(config: StructuresConfig) -> Judge:
    """Makes the judge with all three of its questions asked about every pair, nothing kept on disk."""
    plain = _without_cache(config)
    return make_judge(_without_gate(plain.judge), plain.cache)


def _without_cache(config: StructuresConfig) -> StructuresConfig:
    return config.model_copy(update={"cache": config.cache.model_copy(update={"enabled": False})})


def _without_gate(config: JudgeConfig) -> JudgeConfig:
    if isinstance(config, LLMJudgeConfig):
        return config.model_copy(update={"gate": None})
    if isinstance(config, CascadeJudgeConfig):
        return config.model_copy(
            update={"first": _without_gate(config.first), "then": _without_gate(config.then)}
        )
    return config
