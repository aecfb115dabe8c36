"""Where a path stands in the tree of sub-problems: what it has found and not used yet, and what can come next.

The paper's idea is that a written path is one walk through a tree of sub-problems that could come next (section 1). Two
paths that got to the same place by other steps (``3 x 3`` then ``x 60``, or ``3 x 60`` then ``x 3``) have the same
continuations. So the results that are one operation away are listed for both paths, and compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.structure.graphs.graph import Graph, find_value, left_over

MAX_FRONTIER = 6
MAX_LEFT = 8
MAX_FOLD = 6
"""Open quantities that are combined exhaustively; 2 ** (MAX_FOLD - 1) sums at most."""
_LIMIT = 1e12
_KEPT = 32
_CONSTANTS = (2.0, 3.0, 4.0, 7.0, 10.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0)


@dataclass(slots=True)
class Place:
    """How far two paths stand at the same place of the tree; all shares in [0, 1], for identical paths 1, 1, 1 and 0.

    Attributes:
        branches: Of the results that the student could find next, the share that the teacher could find next too.
        overlap: Overlap of the results that nothing uses yet.
        meet: 1 where all that is open on both sides can be combined into one and the same result.
        reordered: How sure it is that what they do not share is the same calculation in another order.
    """

    branches: float
    overlap: float
    meet: float
    reordered: float = 0.0


def compare_places(
    teacher: Graph,
    student: Graph,
    problem: Sequence[float],
    relevant: Sequence[bool],
    families: tuple[str, str] = ("", ""),
) -> Place:
    """Compares where two paths stand.

    Args:
        teacher: The teacher's graph.
        student: The student's graph.
        problem: Quantities of the problem.
        relevant: For each unit of the student whether it counts here.
        families: What the teacher's and the student's units without a match do: ``sum``, ``product``, or else.

    Returns:
        The comparison. Where more than ``MAX_FRONTIER`` results or equations are open, all its shares are the share of
        the teacher's open results that the student found.
    """
    ours, base_t, equations = teacher.whole()
    theirs = student.frontier(relevant)
    if not ours or not theirs:
        return Place(0.0, 0.0, 0.0)
    if (
        len(ours) > MAX_FRONTIER
        or len(theirs) > MAX_FRONTIER
        or equations
        or student.ends_in_algebra(relevant)
    ):
        values = [unit.value for unit, counts in zip(student.units, relevant, strict=True) if counts]
        known = sum(find_value(value, values) >= 0 for value in ours) / len(ours)
        return Place(known, known, known)  # too much is open, or equations are
    base_s = student.base(relevant)
    left_t, left_s = left_over(base_t, problem, base_s), left_over(base_s, problem, base_t)
    if len(ours) == len(theirs) and sorted(ours) == sorted(theirs) and sorted(left_t) == sorted(left_s):
        return Place(1.0, 1.0, 1.0)
    next_t, combined_t = _ahead(teacher, left_t)
    next_s = next_results(theirs, left_s)
    branches = len(next_t & next_s) / len(next_s) if next_s else 0.0
    rest = list(theirs)
    shared = 0
    for value in ours:
        i = find_value(value, rest)
        if i >= 0:
            del rest[i]
            shared += 1
    overlap = shared / (len(ours) + len(theirs) - shared)
    meets = _meeting_kinds(combined_t, combined_results(theirs, left_s))
    left = len(left_t) + len(left_s)
    sure = 0.0
    if 1 <= left <= 3 and _same_kind(families, meets):
        sure = 1.0 if left <= 2 else 0.4  # the more is free to choose, the easier it is to meet by chance
    return Place(branches, overlap, 1.0 if meets else 0.0, sure)


def _ahead(teacher: Graph, left: list[float]) -> tuple[set[float], dict[str, set[float]]]:
    """What the teacher's whole path can go on to; the same for nearly all the students that it is compared with."""
    key = tuple(left)
    known = teacher.continuations.get(key)
    if known is None:
        if len(teacher.continuations) >= _KEPT:
            teacher.continuations.clear()
        frontier = teacher.whole()[0]
        known = teacher.continuations[key] = next_results(frontier, left), combined_results(frontier, left)
    return known


def _meeting_kinds(ours: dict[str, set[float]], theirs: dict[str, set[float]]) -> set[tuple[str, str]]:
    return {(a, b) for a, x in ours.items() for b, y in theirs.items() if not x.isdisjoint(y)}


def _same_kind(families: tuple[str, str], meets: set[tuple[str, str]]) -> bool:
    """Whether two paths meet by what they do: both multiply, both add, or one takes out what the other multiplies out."""
    if families in (("product", "product"), ("sum", "sum")):
        return families in meets
    if set(families) == {"sum", "product"}:
        return bool(meets - {("sum", "sum"), ("product", "product")})
    return False


def next_results(frontier: Sequence[float], left: Sequence[float]) -> set[float]:
    """Results that are one operation away, using everything that is open.

    Args:
        frontier: Results that nothing uses yet.
        left: Quantities not used yet.
    """
    found: set[float] = set()
    f = frontier[-MAX_FRONTIER:]
    r = left[:MAX_LEFT]
    if len(f) == 1:
        a = f[0]
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
    else:
        total = sum(f)
        found.add(total)
        found.update([2 * x - total for x in f])
        for x in r:
            found.update((total + x, x - total, total * x, total - x))
            if x:
                found.add(total / x)
    return {v if v.is_integer() else round(v, 3) for v in found if -_LIMIT < v < _LIMIT}


def _binary(found: set[float], a: float, b: float) -> None:
    found.update((a + b, a - b, b - a, a * b))
    if b:
        found.add(a / b)
    if a:
        found.add(b / a)


def combined_results(frontier: Sequence[float], left: Sequence[float]) -> dict[str, set[float]]:
    """Results that combine everything open: as ``sum`` with signs, ``product`` with quotients, or ``both``."""
    items = [*frontier, *left]
    if len(items) > MAX_FOLD:
        return {}
    products = [items[0]] if not items[0] else [items[0], 1.0 / items[0]]
    for x in items[1:]:
        products = [p * x for p in products] + ([p / x for p in products] if x else [])
    found = {"sum": _rounded(_signed_sums(items)), "product": _rounded(products)}
    both: list[float] = []
    factor = 1.0
    for x in left:
        factor *= x
    if len(frontier) >= 2 and left:
        sums = _signed_sums(frontier)
        both += [s * factor for s in sums] + ([s / factor for s in sums] if factor else [])
    if len(left) >= 2:
        both += _signed_sums([*frontier, factor])
    found["both"] = _rounded(both)
    return found


def _rounded(values: Sequence[float]) -> set[float]:
    return {abs(v) if v.is_integer() else round(abs(v), 3) for v in values if -_LIMIT < v < _LIMIT}


def _signed_sums(items: Sequence[float]) -> list[float]:
    sums = [items[0]]
    for x in items[1:]:
        sums = [s + x for s in sums] + [s - x for s in sums]
    return sums
