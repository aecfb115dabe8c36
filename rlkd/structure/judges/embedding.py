"""A sentence-embedding model as judge: same meaning, by cosine similarity.

Intent and sub-problem are compared by meaning. Answers are not (embeddings of "18" and "19" are close): they
are compared by the ``rules`` judge. Differs from the paper, which knows only the language-model judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rlkd.errors import CheckpointError, UserError
from rlkd.structure.interfaces import Judge, PairVerdict, StepPair
from schemas.config.structure import CacheConfig, EmbeddingJudgeConfig
from schemas.structure import ReasoningStep

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to vectors of one length, in order."""


class EmbeddingJudge:
    """Judges pairs by the cosine similarity of their texts.

    Args:
        embed: The embedding model.
        model: Its name, for ``name``.
        answers: Judge whose ``p_answer`` is taken.
        midpoint: Similarity at which a verdict is 0.5. Depends on the model: ``rlkd qualify`` shows how well it separates.
        slope: Steepness of the curve from similarity to probability.
    """

    def __init__(
        self, embed: Embed, model: str, answers: Judge, midpoint: float = 0.8, slope: float = 15.0
    ) -> None:
        self._embed = embed
        self.answers = answers
        self.midpoint = midpoint
        self.slope = slope
        self.name = f"embedding:{model}:{midpoint:g}:{slope:g}+{answers.name}"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order. Each text is embedded once per call."""
        if not pairs:
            return []
        sides = [(_texts(pair.teacher_step), _texts(pair.student_step)) for pair in pairs]
        texts = list(
            dict.fromkeys(text for teacher, student in sides for text in (*teacher, *student) if text)
        )
        vectors = dict(zip(texts, map(_unit, self._embed(texts)), strict=True)) if texts else {}
        verdicts: list[PairVerdict | None] = []
        for (teacher, student), by_rules in zip(sides, await self.answers.judge(pairs), strict=True):
            intent, sub_problem = (self._same(a, b, vectors) for a, b in zip(teacher, student, strict=True))
            verdicts.append(None if by_rules is None else PairVerdict(intent, sub_problem, by_rules.p_answer))
        return verdicts

    def _same(self, a: str, b: str, vectors: dict[str, list[float]]) -> float:
        if a == b:
            return 1.0
        if not a or not b:
            return 0.0
        similarity = sum(x * y for x, y in zip(vectors[a], vectors[b], strict=True))
        return 1.0 / (1.0 + math.exp(-self.slope * (similarity - self.midpoint)))


def _texts(step: ReasoningStep) -> tuple[str, str]:
    """Intent and sub-problem of a step; where it says no meta-reasoning, its sub-problem tells its intent."""
    return (step.meta or step.sub_problem).strip(), step.sub_problem.strip()


def _unit(vector: Sequence[float]) -> list[float]:
    values = [float(x) for x in vector]
    length = math.sqrt(sum(x * x for x in values))
    if not length > 0 or math.isinf(length):
        raise CheckpointError(
            "the embedding model gave a vector that is zero or not finite; choose another in structures.judge.model"
        )
    return [x / length for x in values]


def sentence_transformer(model: str, device: str = "cpu", batch_size: int = 64) -> Embed:
    """An embedding model through sentence-transformers, loaded at its first use.

    Raises:
        UserError: (at the first use) sentence-transformers is not installed.
        CheckpointError: (at the first use) the model cannot be loaded.
    """
    loaded: list[object] = []

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if not loaded:
            loaded.append(_load(model, device))
        vectors: Sequence[Sequence[float]] = (
            loaded[0]
            .encode(  # type: ignore[attr-defined]
                list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True
            )
            .tolist()
        )
        return vectors

    return embed


def _load(model: str, device: str) -> object:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise UserError(
            "the embedding judge needs sentence-transformers: pip install 'rlkd[embedding]'"
        ) from None
    try:
        loaded: object = SentenceTransformer(model, device=device)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{model}: not a sentence-embedding model that can be loaded ({first}); check structures.judge.model"
        ) from None
    return loaded


def build(config: EmbeddingJudgeConfig, cache: CacheConfig) -> Judge:
    """Builds the judge with its cache; the model is loaded when the first text comes."""
    from rlkd.structure.backends.cache import open_cache
    from rlkd.structure.backends.cached import CachedJudge
    from rlkd.structure.judges.rules import RulesJudge

    embed = sentence_transformer(config.model, config.device, config.batch_size)
    judge = EmbeddingJudge(embed, config.model, RulesJudge(), config.midpoint, config.slope)
    return CachedJudge(judge, open_cache(cache))
