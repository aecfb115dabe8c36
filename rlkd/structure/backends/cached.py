"""Decomposers and judges that ask for the same thing once, and the circuit breaker."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.backends.cache import CacheStats, DiskCache, RequestCache
from rlkd.structure.interfaces import Decomposer, Judge, PairVerdict, PathItem, StepPair, with_answer
from schemas.base import JsonValue
from schemas.structure import ReasoningStep, Structure


class CachedDecomposer:
    """A decomposer that reads each path once (per problem and domain).

    Args:
        inner: The decomposer.
        disk: Disk cache; ``None`` keeps structures in memory only.
        memory: Structures kept in memory.

    Attributes:
        name: The inner decomposer's: what it makes is the same.
        stats: What became of the requests.
    """

    def __init__(self, inner: Decomposer, disk: DiskCache | None = None, memory: int = 20_000) -> None:
        self.inner = inner
        self.name = inner.name
        self._requests: RequestCache[Structure] = RequestCache(
            "structure",
            inner.name,
            lambda value: value.model_dump(mode="json"),
            Structure.model_validate,
            disk,
            memory,
        )

    @property
    def stats(self) -> CacheStats:
        """What became of the requests."""
        return self._requests.stats

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order; see :class:`~rlkd.structure.interfaces.Decomposer`. Other answers to one path are no other paths."""
        keys = [self._requests.key([item.problem, item.path, item.domain]) for item in items]
        found = await self._requests.get(
            keys, lambda wanted: self.inner.decompose([items[i] for i in wanted])
        )
        return [with_answer(structure, item.answer) for structure, item in zip(found, items, strict=True)]


class CachedJudge:
    """A judge that compares each pair of steps once; what counts is what the steps say, not where they stand.

    Args:
        inner: The judge.
        disk: Disk cache; ``None`` keeps verdicts in memory only.
        memory: Verdicts kept in memory.

    Attributes:
        name: The inner judge's.
        stats: What became of the requests.
    """

    def __init__(self, inner: Judge, disk: DiskCache | None = None, memory: int = 200_000) -> None:
        self.inner = inner
        self.name = inner.name
        self._requests: RequestCache[PairVerdict] = RequestCache(
            "verdict", inner.name, _verdict_json, _verdict, disk, memory
        )

    @property
    def stats(self) -> CacheStats:
        """What became of the requests."""
        return self._requests.stats

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; see :class:`~rlkd.structure.interfaces.Judge`."""
        keys = [
            self._requests.key(
                [_said(pair.teacher_step), _said(pair.student_step), pair.problem, pair.domain]
            )
            for pair in pairs
        ]
        return await self._requests.get(keys, lambda wanted: self.inner.judge([pairs[i] for i in wanted]))


def _said(step: ReasoningStep) -> JsonValue:
    return [step.meta, step.sub_problem, step.answer, list(step.quantities), step.operation, step.kind]


def _verdict_json(verdict: PairVerdict) -> JsonValue:
    return [verdict.p_intent, verdict.p_sub_problem, verdict.p_answer]


def _verdict(value: JsonValue) -> PairVerdict:
    if not isinstance(value, list) or len(value) != 3 or not all(probability(part) for part in value):
        raise ValueError("not a verdict")
    return PairVerdict(*map(float, value))


def probability(value: JsonValue) -> bool:
    """Whether a JSON value is a number in [0, 1]."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def last_fault(backend: object) -> str:
    """What went wrong last in a decomposer, judge or scorer, or in those that it asks; empty where nothing is known."""
    known = str(getattr(backend, "last_fault", ""))
    inner = (getattr(backend, name, None) for name in ("inner", "first", "then", "decomposer", "judge"))
    return known or next((found for part in inner if part is not None and (found := last_fault(part))), "")
