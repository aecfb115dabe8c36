"""Scoring plain texts: every path read once, teachers and students at the same time, faults where they belong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from rlkd.rewards.texts import TextSample, TextScorer
from rlkd.structure.backends.cached import CachedDecomposer
from rlkd.structure.interfaces import PairVerdict, PathItem, StepPair
from rlkd.structure.matching.alignments import PrefixAlignment
from rlkd.structure.scorer import StructureScorer
from schemas.structure import ReasoningStep, Structure


class Words:
    """One step per word, after a while; ``!`` fails, ``bug`` raises."""

    name = "words"

    def __init__(self) -> None:
        self.read: list[str] = []
        self.at_once = self.most = 0

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        self.read += [item.path for item in items]
        self.at_once += len(items)
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= len(items)
        if any(item.path == "bug" for item in items):
            raise RuntimeError("a bug")
        return [None if "!" in item.path else self._structure(item.path) for item in items]

    def _structure(self, path: str) -> Structure:
        return Structure(
            steps=tuple(
                ReasoningStep(index=i, sub_problem=word, answer=word) for i, word in enumerate(path.split())
            )
        )


class Equal:
    name = "equal"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        same = [float(pair.teacher_step.sub_problem == pair.student_step.sub_problem) for pair in pairs]
        return [PairVerdict(p, p, p) for p in same]


def scorer(words: Words, cached: bool) -> TextScorer:
    decomposer: Any = CachedDecomposer(words) if cached else words
    return TextScorer(StructureScorer(decomposer, Equal(), PrefixAlignment()))


SAMPLES = [
    TextSample(PathItem("p", "a b"), ("a b",)),
    TextSample(PathItem("p", "a x"), ("a b",)),
    TextSample(PathItem("q", "d e"), ("c", "d e")),
    TextSample(PathItem("q", "d e"), ("!", "d e")),  # one of two teachers failed
    TextSample(PathItem("r", "a"), ("!",)),
    TextSample(PathItem("s", "a b"), ()),
    TextSample(PathItem("p", "no !"), ("a b",)),
    TextSample(PathItem("p", "a b"), ("a b",)),
]


@pytest.mark.parametrize("cached", [True, False])
def test_scores_and_what_is_missing(cached: bool) -> None:
    words = Words()
    scores = asyncio.run(scorer(words, cached).score(SAMPLES))
    assert [None if s is None else s.structure for s in scores] == [1.0, 0.5, 1.0, 1.0, None, None, None, 1.0]
    assert [(m.teacher_path, m.teacher_step) for m in scores[3].steps] == [(1, 0), (1, 1)]  # type: ignore[union-attr]
    if cached:
        # teachers "a b" (p), "c", "d e" (q), "!" (q), "!" (r); students "a x" (p), "d e" (the teacher's), "a" (r), "no !"
        once = [
            path for path in words.read if path != "no !"
        ]  # what came back missing may be asked for again
        assert sorted(once) == sorted(["a b", "c", "d e", "!", "!", "a x", "a"])
        assert words.most > 4  # students are read while teachers are


def test_nothing_to_score() -> None:
    assert asyncio.run(scorer(Words(), True).score([])) == []


@pytest.mark.parametrize(
    "sample", [TextSample(PathItem("p", "a"), ("bug",)), TextSample(PathItem("p", "bug"), ("a",))]
)
def test_a_bug_is_raised_not_swallowed(sample: TextSample) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(scorer(Words(), True).score([SAMPLES[0], sample]))
