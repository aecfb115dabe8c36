"""The measurement: every figure of a qualification, for any decomposer, judge and alignment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlkd.errors import DataError
from rlkd.qualification.backends import Used, close, uncached, ungated, used
from rlkd.qualification.bias import unrelated_pairs, yes_bias
from rlkd.qualification.last_step import hide_last_step
from rlkd.qualification.measures import BASELINES, baseline, separation
from rlkd.qualification.pairs import Labelled
from rlkd.qualification.variants import EXPECTED, OF_TEACHER, Variant, as_expected, variants
from rlkd.structure.factory import make_scorer
from rlkd.structure.interfaces import PathItem, with_answer
from rlkd.structure.scorer import ScoreItem
from schemas.config.qualify import QualifyConfig
from schemas.config.structure import StructuresConfig
from schemas.qualification import (
    ChangedPath,
    Cost,
    LabelledPair,
    PairScore,
    Qualification,
    Repeatability,
    Sensitivity,
    Separation,
    YesBias,
)
from schemas.structure import Structure

SAME = 0.02
"""Difference up to which two scores count as the same."""
_EPSILON = 1e-9
_CHUNK = 128
"""Paths that are scored at once."""


@dataclass(frozen=True)
class Measured:
    """A qualification and the rows behind it."""

    figures: Qualification
    scores: tuple[PairScore, ...]
    changes: tuple[ChangedPath, ...]


class Measurer:
    """Measures one configuration of the structure reward.

    Teachers' paths are decomposed once; students' paths go through the same scorer that RL uses, what they state beside them: "... #### no"
    against a teacher's "yes" is worth 0.25 there, and was 1 here. With the last step hidden, and where a path is changed, nothing is stated.

    Args:
        structures: Decomposer, judge, alignment and cache.
        settings: How much is measured.
        seed: Seed of everything that is drawn.
        progress: Told how many paths are scored, of how many.
    """

    def __init__(
        self,
        structures: StructuresConfig,
        settings: QualifyConfig,
        seed: int = 0,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.structures = structures
        self.settings = settings
        self.seed = seed
        self.progress = progress
        self.scorer = make_scorer(structures)
        self.paths = self.parse_failures = self.faults = self.asked = self.missing = 0
        self._teachers: dict[tuple[str, str, str], Structure | None] = {}
        self._stated: dict[tuple[tuple[str, str, str], str | None], Structure | None] = {}
        self._done = self._total = 0

    async def measure(self, labelled: Labelled) -> Measured:
        """Measures the reward on all pairs and changes, in one event loop.

        Raises:
            DataError: There are no pairs.
        """
        pairs = labelled.pairs
        if not pairs:
            raise DataError(f"there is no labelled pair to qualify the reward on ({labelled.source})")
        hidden = [_hidden(pair) for pair in pairs]
        kept = [i for i, pair in enumerate(hidden) if pair is not None]
        cut = [pair for pair in hidden if pair is not None]
        drawn = self._right_ones(pairs)
        self._total = len(pairs) + len(cut)
        try:
            full = await self._score(pairs, count=True)
            part = await self._score(cut)
            changes = await self._changes(drawn)
            bias = await self._bias(pairs)
            repeatability, cost = await self._twice(pairs)
        finally:
            await close(self.scorer.decomposer, self.scorer.judge)
        by_place = dict(zip(kept, part, strict=True))
        rows = tuple(
            PairScore(group=pair.group, right=pair.right, full=full[i], hidden=by_place.get(i))
            for i, pair in enumerate(pairs)
        )
        figures = Qualification(
            source=labelled.source,
            notes=labelled.notes,
            decomposer=self.scorer.decomposer.name,
            judge=self.scorer.judge.name,
            alignment=self.structures.alignment.type,
            pairs=len(pairs),
            right=sum(pair.right for pair in pairs),
            full=self._separation(pairs, full),
            hidden=self._separation(cut, part),
            hidden_left_out=len(pairs) - len(cut),
            sensitivities=summarise(changes),
            yes_bias=bias,
            repeatability=repeatability,
            paths=self.paths,
            parse_failures=self.parse_failures,
            decomposer_faults=self.faults,
            scored=self.asked,
            missing=self.missing,
            cost=cost,
            confidence=self.settings.confidence,
        )
        return Measured(figures, rows, tuple(changes))

    # -- scoring -------------------------------------------------------------------------------------

    async def _teachers_of(self, pair: LabelledPair) -> tuple[Structure, ...]:
        """The structures of a pair's teacher paths, each decomposed once; what could not be read is left out."""
        await self._decompose([pair])
        answers = pair.teacher_answers or (None,) * len(pair.teachers)
        found = []
        for known in zip(_keys(pair), answers, strict=True):
            if known not in self._stated:  # one object for each: the scorer remembers teachers by it
                self._stated[known] = with_answer(self._teachers[known[0]], known[1])
            found.append(self._stated[known])
        return tuple(structure for structure in found if structure is not None)

    async def _decompose(self, pairs: Sequence[LabelledPair]) -> None:
        wanted = list(
            dict.fromkeys(key for pair in pairs for key in _keys(pair) if key not in self._teachers)
        )
        items = [PathItem(problem, path, domain) for problem, path, domain in wanted]
        for key, structure in zip(
            wanted, await self.scorer.decomposer.decompose(items) if items else [], strict=True
        ):
            self._teachers[key] = structure
            self.paths += 1
            self.faults += structure is None
            self.parse_failures += structure is None or not structure.steps

    async def _items(self, pairs: Sequence[LabelledPair]) -> list[ScoreItem | None]:
        """What the scorer is asked; ``None`` where no teacher path could be read."""
        await self._decompose(pairs)
        items: list[ScoreItem | None] = []
        for pair in pairs:
            teachers = await self._teachers_of(pair)
            student = PathItem(pair.problem, pair.student, pair.domain, pair.answer)
            items.append(ScoreItem(student, teachers) if teachers else None)
        return items

    async def _score(self, pairs: Sequence[LabelledPair], count: bool = False) -> list[float | None]:
        """Scores in order; ``None`` is missing. Where counted, right paths in which no step is found are noted."""
        found: list[float | None] = []
        for start in range(0, len(pairs), _CHUNK):
            chunk = pairs[start : start + _CHUNK]
            items = await self._items(chunk)
            asked = [item for item in items if item is not None]
            scores = iter(await self.scorer.score(asked))
            for pair, item in zip(chunk, items, strict=True):
                score = next(scores) if item is not None else None
                found.append(None if score is None else score.structure)
                if count and pair.right and pair.student.strip() and item is not None:
                    self.paths += 1
                    self.parse_failures += score is None or score.student_steps == 0
            self._done += len(chunk)
            self.progress(self._done, max(self._total, self._done))
        self.asked += len(found)
        self.missing += sum(score is None for score in found)
        return found

    def _separation(self, pairs: Sequence[LabelledPair], scores: Sequence[float | None]) -> Separation:
        present = [(pair, score) for pair, score in zip(pairs, scores, strict=True) if score is not None]
        measures = {
            name: [baseline(name, pair.teachers, pair.student) for pair, _ in present] for name in BASELINES
        }
        return separation(
            [pair.group for pair, _ in present],
            [pair.right for pair, _ in present],
            [score for _, score in present],
            measures,
            resamples=self.settings.resamples,
            confidence=self.settings.confidence,
            seed=self.seed,
        )

    # -- what the score notices ----------------------------------------------------------------------

    def _right_ones(self, pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
        """Right solutions to change, and where there are too few of them the teachers' own paths."""
        rng = random.Random(f"qualify/changes/{self.seed}")
        right = [pair for pair in pairs if pair.right and pair.student.strip()]
        chosen = [
            right[i] for i in sorted(rng.sample(range(len(right)), min(len(right), self.settings.changed)))
        ]
        teachers: dict[str, LabelledPair] = {}
        for pair in pairs:
            own = pair.model_copy(update={"student": pair.teachers[0], "right": True})
            teachers.setdefault(pair.group, own)
        missing = self.settings.changed - len(chosen)
        return [*chosen, *list(teachers.values())[: max(0, missing)]]

    async def _changes(self, pairs: Sequence[LabelledPair]) -> list[ChangedPath]:
        """Scores each right path before and after each change; a text that comes up twice is scored once."""
        rng = random.Random(f"qualify/changes/{self.seed}")
        seen: set[str] = set()
        made: list[tuple[LabelledPair, Variant]] = []
        for pair in pairs:
            made += [
                (pair, variant)
                for variant in variants(pair, rng)
                if variant.name not in OF_TEACHER or pair.group not in seen
            ]
            seen.add(pair.group)
        texts: dict[tuple[str, tuple[str, ...], str], LabelledPair] = {}
        for pair, variant in made:
            for text in (variant.before, variant.after):
                texts.setdefault((pair.problem, pair.teachers, text), pair.without_answers(student=text))
        self._total += len(texts)
        scores = dict(zip(texts, await self._score(list(texts.values())), strict=True))
        rows = []
        for pair, variant in made:
            before, after = (
                scores[pair.problem, pair.teachers, text] for text in (variant.before, variant.after)
            )
            known = before is not None and after is not None
            rows.append(
                ChangedPath(
                    group=pair.group,
                    change=variant.name,
                    before=before,
                    after=after,
                    as_expected=as_expected(EXPECTED[variant.name], before or 0.0, after or 0.0, SAME)
                    if known
                    else None,
                    path=variant.after,
                )
            )
        return rows

    # -- the judge, repeatability, cost --------------------------------------------------------------

    async def _bias(self, pairs: Sequence[LabelledPair]) -> tuple[YesBias, ...]:
        """The judge on steps of unrelated problems, taken from teachers' paths."""
        read: dict[str, tuple[str, str, Structure]] = {}
        for pair in pairs:
            if pair.group not in read:
                for structure in (await self._teachers_of(pair))[:1]:
                    read[pair.group] = (pair.problem, pair.domain, structure)
        rng = random.Random(f"qualify/unrelated/{self.seed}")
        judge = ungated(self.structures)
        try:
            return await yes_bias(judge, unrelated_pairs(list(read.values()), self.settings.unrelated, rng))
        finally:
            await close(judge)

    async def _twice(self, pairs: Sequence[LabelledPair]) -> tuple[Repeatability | None, Cost | None]:
        """The same pairs scored twice by scorers that have seen nothing: do the scores repeat, and what do they cost?"""
        rng = random.Random(f"qualify/repeats/{self.seed}")
        places = sorted(rng.sample(range(len(pairs)), min(len(pairs), self.settings.repeats)))
        items = [item for item in await self._items([pairs[i] for i in places]) if item is not None]
        if not items:
            return None, None
        runs: list[list[float | None]] = []
        costs: list[Cost] = []
        for _ in range(2):
            scorer = uncached(self.structures)
            started = time.perf_counter()
            try:
                scores = await scorer.score(items)
                costs.append(_cost(len(items), time.perf_counter() - started, used(scorer)))
            finally:
                await close(scorer.decomposer, scorer.judge)
            runs.append([None if score is None else score.structure for score in scores])
        return repeatability(*runs), min(costs, key=lambda cost: cost.seconds)


def _keys(pair: LabelledPair) -> list[tuple[str, str, str]]:
    return [(pair.problem, path, pair.domain) for path in pair.teachers]


def _hidden(pair: LabelledPair) -> LabelledPair | None:
    """A pair without its last step and what it states; ``None`` where no teacher has anything left."""
    teachers, student = hide_last_step(pair.teachers, pair.student, pair.domain)
    return pair.without_answers(teachers=teachers, student=student) if teachers else None


def _cost(completions: int, seconds: float, models: Used) -> Cost:
    share = 1000 / completions
    tokens = models.prompt_tokens + models.completion_tokens > 0
    return Cost(
        completions=completions,
        seconds=seconds * share,
        requests=models.requests * share,
        prompt_tokens=models.prompt_tokens * share if tokens else None,
        completion_tokens=models.completion_tokens * share if tokens else None,
    )


def repeatability(first: Sequence[float | None], second: Sequence[float | None]) -> Repeatability:
    """Compares two rounds of scores of the same pairs; a score that is missing once and not twice has changed."""
    pairs = list(zip(first, second, strict=True))
    sizes = [abs(a - b) if a is not None and b is not None else float(a is not b) for a, b in pairs]
    return Repeatability(
        n=len(pairs),
        unchanged=sum(size <= SAME + _EPSILON for size in sizes) / len(pairs),
        identical=sum(size == 0 for size in sizes) / len(pairs),
        largest=max(sizes),
    )


def summarise(changes: Sequence[ChangedPath]) -> tuple[Sensitivity, ...]:
    """Summarises every kind of change in one row each, also where no path could be changed so."""
    found = []
    for name, expected in EXPECTED.items():
        rows = [
            row for row in changes if row.change == name and row.before is not None and row.after is not None
        ]
        n = len(rows)
        found.append(
            Sensitivity(
                change=name,
                expected=expected,
                n=n,
                share=sum(bool(row.as_expected) for row in rows) / n if n else None,
                mean_before=sum(row.before or 0.0 for row in rows) / n if n else None,
                mean_after=sum(row.after or 0.0 for row in rows) / n if n else None,
            )
        )
    return tuple(found)
