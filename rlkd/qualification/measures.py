"""Trivial baselines that a structure score must beat, and AUROC with intervals over problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlkd.answers.gsm8k import without_marks
from rlkd.structure.reading.words.claims import content_words
from schemas.qualification import Auroc, Separation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
_BLOCK = 4_000_000
"""Cells of the matrix of resampled weights that are held at once."""


def numbers(text: str) -> list[float]:
    """Finds the numbers that a text states, in order, without those in calculator marks."""
    return [round(float(m.group().replace(",", "")), 4) for m in _NUMBER.finditer(without_marks(text))]


def last_number_equal(teacher: str, student: str) -> float:
    """Returns 1 where both paths end with the same number, or both have none."""
    return float(numbers(teacher)[-1:] == numbers(student)[-1:])


def unordered_numbers(teacher: str, student: str) -> float:
    """Computes the F1 of the two sets of numbers, in [0, 1]."""
    x, y = set(numbers(teacher)), set(numbers(student))
    return 2 * len(x & y) / (len(x) + len(y)) if x or y else 0.0


def same_words(teacher: str, student: str) -> float:
    """Computes the F1 of the two sets of content words, in [0, 1]; numbers are left to the other baselines."""
    x, y = content_words(teacher), content_words(student)
    return 2 * len(x & y) / (len(x) + len(y)) if x or y else 0.0


def shortness(teacher: str, student: str) -> float:
    """Scores a path the higher, the shorter it is in characters, whatever the teacher wrote."""
    return -float(len(student))


BASELINES: Mapping[str, Callable[[str, str], float]] = {
    "last number equal": last_number_equal,
    "unordered numbers": unordered_numbers,
    "same words": same_words,
    "length": shortness,
}
"""Measures that know no structure, as functions of the teacher's and the student's path."""


def baseline(name: str, teachers: Sequence[str], student: str) -> float:
    """Scores a student against several teacher paths by a baseline: the best of them counts, as for the structure score."""
    return max(BASELINES[name](teacher, student) for teacher in teachers)


class Resampler:
    """Bootstrap over problems: the solutions of one problem stay together.

    Every measure of the same pairs is resampled with the same draws, so that differences between measures have
    intervals too.

    Args:
        groups: The problem of each pair.
        right: Whether each pair's solution is right.
        resamples: Bootstrap resamples.
        confidence: Coverage of the intervals.
        seed: Seed of the draws.

    Raises:
        ValueError: There is no right pair, or no wrong one.
    """

    def __init__(
        self,
        groups: Sequence[str],
        right: Sequence[bool],
        resamples: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> None:
        import numpy as np

        self.right = np.asarray(right, dtype=bool)
        if self.right.all() or not self.right.any():
            raise ValueError("an AUROC needs right and wrong pairs")
        places: dict[str, int] = {}
        self._group = np.asarray([places.setdefault(name, len(places)) for name in groups])
        rng = np.random.default_rng(seed)
        count = len(places)
        draws = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(resamples)]
        self._weights = np.asarray(draws, dtype=np.float64)
        self.tails = (50 * (1 - confidence), 100 - 50 * (1 - confidence))

    def draws(self, scores: Sequence[float]) -> NDArray[np.float64]:
        """Computes the AUROC of every resample; one that drew only right or only wrong pairs says nothing and is NaN."""
        import numpy as np

        step = max(1, _BLOCK // len(self._group))
        parts = [
            weighted_auroc(self.right, scores, self._weights[i : i + step][:, self._group])
            for i in range(0, len(self._weights), step)
        ]
        return np.concatenate(parts)

    def auroc(self, scores: Sequence[float]) -> Auroc:
        """Computes a measure's AUROC with its percentile interval."""
        import numpy as np

        low, high = np.nanpercentile(self.draws(scores), self.tails)
        return Auroc(value=auroc(self.right, scores), low=float(low), high=float(high))

    def gap(self, scores: Sequence[float], others: Sequence[float]) -> Auroc:
        """Computes the difference of two measures' AUROC with its percentile interval, both over the same resamples."""
        import numpy as np

        low, high = np.nanpercentile(self.draws(scores) - self.draws(others), self.tails)
        return Auroc(
            value=auroc(self.right, scores) - auroc(self.right, others), low=float(low), high=float(high)
        )


def auroc(right: Any, scores: Sequence[float]) -> float:
    """Computes the probability that a right solution scores above a wrong one (ties count half).

    Args:
        right: One flag per solution.
        scores: One score per solution.
    """
    import numpy as np

    return float(weighted_auroc(np.asarray(right, dtype=bool), scores, np.ones((1, len(scores))))[0])


def weighted_auroc(
    right: NDArray[np.bool_], scores: Sequence[float], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Computes the AUROC of weighted solutions, once for each row of weights; NaN where a row holds no right or no wrong one.

    Args:
        right: One flag per solution, shape ``[n]``.
        scores: One score per solution, shape ``[n]``.
        weights: Weights of the solutions, shape ``[rows, n]``.
    """
    import numpy as np

    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) > 0])  # first place of each group of ties
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * right[order], starts, axis=1)
    negative = np.add.reduceat(sorted_weights * ~right[order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    total = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * (below + negative / 2)).sum(axis=1)
    return np.divide(won, total, out=np.full(len(won), np.nan), where=total > 0)


def separation(
    groups: Sequence[str],
    right: Sequence[bool],
    structure: Sequence[float],
    baselines: Mapping[str, Sequence[float]],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Separation:
    """Measures how well the structure score and the baselines tell right from wrong over the same pairs.

    Args:
        groups: The problem of each pair.
        right: Whether each is right.
        structure: The structure scores.
        baselines: The trivial measures' scores, by name.
        resamples: Bootstrap resamples.
        confidence: Coverage of the intervals.
        seed: Seed of the resampling.
    """
    count, good = len(right), sum(right)
    if not 0 < good < count:
        return Separation(pairs=count, right=good)
    how = Resampler(groups, right, resamples, confidence, seed)
    found = {name: how.auroc(scores) for name, scores in baselines.items()}
    best = max(found, key=lambda name: found[name].value, default="")
    return Separation(
        pairs=count,
        right=good,
        structure=how.auroc(structure),
        baselines=found,
        best_baseline=best,
        gap=how.gap(structure, baselines[best]) if best else None,
    )
