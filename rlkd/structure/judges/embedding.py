"""A sentence-embedding model as judge: same meaning, by cosine similarity.

Intent and sub-problem are compared by meaning. Answers are not (embeddings of "18" and "19" are close): they
are compared by the ``rules`` judge. Differs from the paper, which knows only the language-model judge.

Beside the rules (``with_rules``) the embeddings say only what rules cannot: whether sentences in other words are about the
same thing. Calculations and dates are the rules' alone, and so is what contradicts: a denial, another thing or relation, another
quantifier, other names or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rlkd.structure.backends.cache import CacheStats, DiskCache
from rlkd.structure.interfaces import Judge, PairVerdict, StepPair
from rlkd.structure.judges.rules import same_answer, states
from rlkd.structure.judges.sentence_vectors import Embed, SentenceVectors, Vector, open_embedding
from rlkd.structure.reading.words.statements import compare_dates, compare_statements
from schemas.config.structure import CacheConfig, EmbeddingJudgeConfig
from schemas.structure import ReasoningStep

Texts = tuple[tuple[str, str], ...]
"""What is compared by meaning: a teacher's text and a student's each."""


class EmbeddingJudge:
    """Judges pairs by the cosine similarity of their texts.

    Args:
        embed: The embedding model.
        model: Its name, for ``name``.
        answers: Judge whose ``p_answer`` is taken; with ``with_rules`` the rules.
        midpoint: Similarity at which a verdict is 0.5. Depends on the model: ``rlkd qualify`` shows how well it separates.
        slope: Steepness of the curve from similarity to probability.
        with_rules: Take the larger of what words and meaning say, and let rules decide what they can.
        disk: Disk cache of vectors; ``None`` keeps them in memory only.

    Attributes:
        name: Model, curve and rules.
    """

    def __init__(
        self,
        embed: Embed,
        model: str,
        answers: Judge,
        midpoint: float = 0.8,
        slope: float = 15.0,
        with_rules: bool = False,
        disk: DiskCache | None = None,
    ) -> None:
        self.vectors = SentenceVectors(embed, model, disk)
        self.answers = answers
        self.midpoint = midpoint
        self.slope = slope
        self.with_rules = with_rules
        both = "&" if with_rules else "+"
        self.name = f"embedding:{model}:{midpoint:g}:{slope:g}{both}{answers.name}"

    @property
    def stats(self) -> CacheStats:
        """What became of the texts."""
        return self.vectors.stats

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order. What is new of all their texts is embedded in one call."""
        if not pairs:
            return []
        by_rules = await self.answers.judge(pairs)
        asked = [
            () if verdict is None else self._asked(pair)
            for pair, verdict in zip(pairs, by_rules, strict=True)
        ]
        wanted = [
            text
            for texts in asked
            for sides in texts
            if all(sides) and sides[0] != sides[1]
            for text in sides
        ]
        vectors = await self.vectors.get(wanted) if wanted else {}
        return [
            verdict if verdict is None or not texts else self._verdict(pair, verdict, texts, vectors)
            for pair, verdict, texts in zip(pairs, by_rules, asked, strict=True)
        ]

    def _asked(self, pair: StepPair) -> Texts:
        """What of a pair is compared by meaning; nothing where rules decide alone."""
        teacher, student = pair.teacher_step, pair.student_step
        if not self.with_rules:
            return tuple(zip(_texts(teacher), _texts(student), strict=True))
        if teacher.calculations or student.calculations:
            return ()
        if states(teacher) and states(student):
            return (
                () if compare_dates(teacher.answer, student.answer) else ((teacher.answer, student.answer),)
            )
        return tuple(zip(_texts(teacher), _texts(student), strict=True))

    def _verdict(
        self, pair: StepPair, by_rules: PairVerdict, texts: Texts, vectors: Mapping[str, Vector]
    ) -> PairVerdict:
        alike = [self._same(a, b, vectors) for a, b in texts]
        if not self.with_rules:
            return PairVerdict(alike[0], alike[1], by_rules.p_answer)
        if len(texts) == 1:
            [(a, b)] = texts
            said = compare_statements(a, b, pair.problem)
            about = max(said.about, alike[0])
            return PairVerdict(
                max(by_rules.p_intent, about), max(by_rules.p_sub_problem, about), min(about, said.agrees)
            )
        intent, sub_problem = max(by_rules.p_intent, alike[0]), max(by_rules.p_sub_problem, alike[1])
        return PairVerdict(
            intent,
            sub_problem,
            max(by_rules.p_answer, same_answer(pair.teacher_step, pair.student_step, intent)),
        )

    def _same(self, a: str, b: str, vectors: Mapping[str, Vector]) -> float:
        if a == b:
            return 1.0
        if not a or not b:
            return 0.0
        return 1.0 / (1.0 + math.exp(-self.slope * (float(vectors[a] @ vectors[b]) - self.midpoint)))


def _texts(step: ReasoningStep) -> tuple[str, str]:
    """Intent and sub-problem of a step; where it says no meta-reasoning, its sub-problem tells its intent."""
    return (step.meta or step.sub_problem).strip(), step.sub_problem.strip()


def build(config: EmbeddingJudgeConfig, cache: CacheConfig) -> Judge:
    """Builds the judge with a cache of vectors; the model is loaded when the first text comes."""
    from rlkd.structure.backends.cache import open_cache
    from rlkd.structure.judges.rules import RulesJudge

    embed = open_embedding(config.model, config.device, config.batch_size)
    return EmbeddingJudge(
        embed, config.model, RulesJudge(), config.midpoint, config.slope, config.with_rules, open_cache(cache)
    )
