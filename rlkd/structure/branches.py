"""Open branches: what a path could find next, from what it has found and has not used yet.

The paper's idea is that a written path is one walk through a tree of sub-problems that could come next. Two paths
that got to the same place by other steps (``3 x 3`` then ``x 60``, or ``3 x 60`` then ``x 3``) have the same
continuations. So the results that are one operation away are listed for both, and compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.graph import Graph, left_over

MAX_FRONTIER = 6
MAX_LEFT = 8
_LIMIT = 1e12
_CONSTANTS = (2.0, 7.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0, 4.0, 3.0, 10.0)


def open_results(frontier: Sequence[float], left: Sequence[float], stop: bool) -> set[float]:
    """Results that are one operation away, using everything that is open.

    Args:
        frontier: Results that nothing uses yet.
        left: Quantities not used yet.
        stop: Whether a single open result counts as a result itself (the path may be over).
    """
    found: set[float] = set()
    f = list(frontier[-MAX_FRONTIER:])
    r = list(left[:MAX_LEFT])
    if len(f) == 1:
        a = f[0]
        if stop:
            found.add(a)
        for x in r:
            _binary(found, a, x)
        for x in _CONSTANTS:
            found.add(a * x)
            found.add(a / x)
        for i, x in enumerate(r):
            for y in r[i + 1 :]:
                found.update((a - x - y, a + x + y, x - a - y, y - a - x, a + x - y, a - x + y, a * x * y))
    elif len(f) == 2:
        a, b = f
        _binary(found, a, b)
        for x in r:
            found.update((a + b + x, x - a - b, a + b - x, (a + b) * x, abs(a - b) * x))
            if x:
                found.update(((a + b) / x, abs(a - b) / x))
    elif f:
        total = sum(f)
        found.add(total)
        found.update(2 * x - total for x in f)
        for x in r:
            found.update((total + x, x - total, total * x, total - x))
            if x:
                found.add(total / x)
    return {round(v, 3) for v in found if -_LIMIT < v < _LIMIT}


def _binary(found: set[float], a: float, b: float) -> None:
    found.update((a + b, a - b, b - a, a * b))
    if b:
        found.add(a / b)
    if a:
        found.add(b / a)


def branch_agreement(teacher: Graph, student: Graph, problem: Sequence[float]) -> tuple[float, float]:
    """How far two paths stand at the same place of the tree.

    Returns:
        Shares of the teacher's and of the student's open results that the other has too, each in [0, 1].
    """
    ours = open_results(teacher.frontier(), left_over(teacher, problem, student), stop=False)
    theirs = open_results(student.frontier(), left_over(student, problem, teacher), stop=False)
    if not ours or not theirs:
        return 0.0, 0.0
    shared = len(ours & theirs)
    return shared / len(ours), shared / len(theirs)


def frontier_agreement(teacher: Graph, student: Graph) -> float:
    """Jaccard overlap of the two frontiers."""
    from rlkd.structure.rules_judge import operand_overlap

    a, b = teacher.frontier(), student.frontier()
    if not a or not b:
        return 0.0
    shared = operand_overlap(a, b) * max(len(a), len(b))
    return shared / (len(a) + len(b) - shared)
