"""How well decompositions agree with a reference: F1 over steps, with intervals over problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlkd.structure.decomposers.compact_form import bare
from schemas.evaluation import Interval
from schemas.gsrm import GsrmFigures
from schemas.structure import ReasoningStep

Key = tuple[object, ...]


@dataclass(frozen=True)
class Compared:
    """A path with its reference and what a decomposer made of it.

    Attributes:
        group: The problem; what is resampled for the intervals.
        path: The reasoning text.
        reference: The right steps.
        found: The decomposer's steps; ``None`` where it gave none that could be read.
    """

    group: str
    path: str
    reference: Sequence[ReasoningStep]
    found: Sequence[ReasoningStep] | None


def _words(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def boundary_key(path: str, step: ReasoningStep) -> Key:
    """Returns what says where a step is: its span without outer blanks and the punctuation that ends it."""
    return bare(path, (step.start, step.end))


def sub_problem_key(path: str, step: ReasoningStep) -> Key:
    """Returns a step's span and sub-problem, but for case and white space."""
    return (*boundary_key(path, step), _words(step.sub_problem))


def answer_key(path: str, step: ReasoningStep) -> Key:
    """Returns a step's span and answer, but for case and white space."""
    return (*boundary_key(path, step), _words(step.answer))


def step_key(path: str, step: ReasoningStep) -> Key:
    """Returns span, sub-problem and answer: all that must agree for a step to be right."""
    return (*boundary_key(path, step), _words(step.sub_problem), _words(step.answer))


def hits(item: Compared, key: Callable[[str, ReasoningStep], Key]) -> int:
    """Counts the steps of the reference that were found; one that is found twice counts once."""
    wanted = Counter(key(item.path, step) for step in item.reference)
    got = Counter(key(item.path, step) for step in item.found or ())
    return (wanted & got).total()


def figures(
    items: Sequence[Compared], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> GsrmFigures:
    """Computes precision, recall and F1 over some paths.

    Args:
        items: Paths; not empty.
        resamples: Bootstrap resamples over problems.
        confidence: Coverage of the intervals.
        seed: Seed of the resampling.

    Raises:
        ValueError: There is no path.
    """
    if not items:
        raise ValueError("figures need at least one path")

    def interval(key: Callable[[str, ReasoningStep], Key]) -> Interval:
        return _interval(items, key, resamples, confidence, seed)

    right, settled = _dependencies(items)
    exact = sum(
        item.found is not None and len(item.found) == len(item.reference) == hits(item, step_key)
        for item in items
    )
    return GsrmFigures(
        paths=len(items),
        steps=sum(len(item.reference) for item in items),
        step=interval(step_key),
        boundary=interval(boundary_key),
        sub_problem=interval(sub_problem_key),
        answer=interval(answer_key),
        depends_on=right / settled if settled else None,
        exact=exact / len(items),
        failed=sum(item.found is None for item in items) / len(items),
    )


def _interval(
    items: Sequence[Compared],
    key: Callable[[str, ReasoningStep], Key],
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """F1 over all steps, and its percentile bootstrap interval over problems."""
    import numpy as np

    totals: dict[str, list[int]] = {}
    for item in items:
        row = totals.setdefault(item.group, [0, 0])
        row[0] += hits(item, key)
        row[1] += len(item.reference) + len(item.found or ())
    array = np.asarray(list(totals.values()), dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = [array[rng.integers(0, len(array), len(array))].sum(axis=0) for _ in range(resamples)]
    sums = np.asarray(drawn)
    scores = np.where(sums[:, 1] > 0, 2 * sums[:, 0] / np.maximum(sums[:, 1], 1), 1.0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(scores, (tail, 1 - tail))
    matched, counted = array.sum(axis=0)
    mean = 2 * matched / counted if counted else 1.0
    return Interval(mean=float(mean), low=float(low), high=float(high), n=len(array))


def _dependencies(items: Sequence[Compared]) -> tuple[int, int]:
    """Of the steps that are right: how many name the right earlier steps, and how many there are."""
    right = settled = 0
    for item in items:
        reference = {
            step_key(item.path, step): _needs(item.path, item.reference, step) for step in item.reference
        }
        for step in item.found or ():
            wanted = reference.pop(step_key(item.path, step), None)
            if wanted is not None:
                settled += 1
                right += _needs(item.path, item.found or (), step) == wanted
    return right, settled


def _needs(path: str, steps: Sequence[ReasoningStep], step: ReasoningStep) -> frozenset[Key]:
    return frozenset(boundary_key(path, steps[d]) for d in step.depends_on)
