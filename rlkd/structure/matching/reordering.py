"""The same calculation in another order: ``3 * 60 = 180``, ``180 * 3 = 540`` for ``3 * 3 = 9``, ``9 * 60 = 540``.

The paper's idea is that a written path is one walk through a tree of sub-problems (section 1). Two paths that multiply (or
add) the same quantities share no intermediate result, and yet do the same. Whether they do is read off what they leave
open: if everything that is open on either side, combined, comes to one and the same result, they are on their way to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlkd.quantities.stated import UNIT_CONSTANTS
from rlkd.structure.graph import Graph, PathGraph, find_value
from rlkd.structure.matching.credits import Matching

MAX_FRONTIER = 6
"""Open results beyond which nothing is said."""
MAX_FOLD = 6
"""Open quantities that are combined exhaustively; 2 ** (MAX_FOLD - 1) sums at most."""
_UNSURE = 0.4
"""How sure it is where three quantities are left: the more is free to choose, the easier it is to meet by chance."""
_LIMIT = 1e12


def same_in_another_order(matching: Matching, teacher: PathGraph, student: PathGraph) -> float:
    """Returns how sure it is that all that two paths do not share is the same calculation in another order.

    All calculations of the student take part, work from what the problem gives, and are of one kind on each side (sums, or
    products); one that does not belong leaves nothing to be forgiven.

    Args:
        matching: How their calculations are matched, merged ones credited.
        teacher: The teacher's path.
        student: The student's path.
    """
    if not _from_the_problem(student.graph, student.quantities):
        return 0.0
    kinds = (
        _kind(
            teacher.graph.nodes[t].calculation.operation for t, c in enumerate(matching.covered) if c < 0.5
        ),
        _kind(
            student.graph.nodes[s].calculation.operation for s, c in enumerate(matching.explained) if c < 0.5
        ),
    )
    if not all(kinds) or "mixed" in kinds:
        return 0.0
    teacher_ends, student_ends = teacher.graph.frontier, student.graph.frontier
    if not teacher_ends or not student_ends or max(len(teacher_ends), len(student_ends)) > MAX_FRONTIER:
        return 0.0
    if teacher.graph.ends_in_algebra or student.graph.ends_in_algebra:
        return 0.0
    base_t, base_s = teacher.graph.base(), student.graph.base()
    left_t = left_over(base_t, student.quantities, base_s)
    left_s = left_over(base_s, student.quantities, base_t)
    left = len(left_t) + len(left_s)
    if not 1 <= left <= 3 or (
        sorted(teacher_ends) == sorted(student_ends) and sorted(left_t) == sorted(left_s)
    ):
        return 0.0
    one, other = combined_results(teacher_ends, left_t), combined_results(student_ends, left_s)
    meets = {(a, b) for a, x in one.items() for b, y in other.items() if not x.isdisjoint(y)}
    if not _alike(kinds, meets):
        return 0.0
    return 1.0 if left <= 2 else _UNSURE


def _from_the_problem(graph: Graph, problem: Sequence[float]) -> bool:
    """Returns whether a path works from what the problem gives, each quantity used once, and from at most one unit constant."""
    pool = list(problem)
    brought = []
    for quantity in graph.base():
        i = find_value(quantity, pool)
        if i >= 0:
            del pool[i]
        else:
            brought.append(quantity)
    return not brought or (len(brought) == 1 and brought[0] in UNIT_CONSTANTS)


def _kind(operations: Iterable[str]) -> str:
    """Returns what calculations do: ``sum``, ``product``, or ``mixed``; empty where there are none."""
    found = {
        "product" if set(op) <= {"*", "/"} else "sum" if set(op) <= {"+", "-"} else "mixed"
        for op in operations
    }
    return found.pop() if len(found) == 1 else "mixed" if found else ""


def _alike(kinds: tuple[str, str], meets: set[tuple[str, str]]) -> bool:
    """Returns whether two paths meet by what they do: both multiply, both add, or one takes out what the other multiplies out."""
    if kinds in (("product", "product"), ("sum", "sum")):
        return kinds in meets
    return bool(meets - {("sum", "sum"), ("product", "product")})


def combined_results(frontier: Sequence[float], left: Sequence[float]) -> dict[str, set[float]]:
    """Returns results that combine everything open: as ``sum`` with signs, ``product`` with quotients, or ``both``.

    Args:
        frontier: Results that nothing uses yet.
        left: Quantities not used yet.
    """
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


def left_over(base: Sequence[float], problem: Sequence[float], other: Sequence[float]) -> list[float]:
    """Quantities that a path has not used yet: those of the problem, and those that the other path brought in.

    Args:
        base: Base quantities that the path used.
        problem: Quantities of the problem.
        other: Base quantities that the other path used.
    """
    pool = list(problem)
    for quantity in other:
        if quantity not in pool and find_value(quantity, pool) < 0:
            pool.append(quantity)
    pool.reverse()  # so that of equal ones the last goes
    for quantity in base:
        if quantity in pool:
            pool.remove(quantity)
        elif (i := find_value(quantity, pool[::-1])) >= 0:
            del pool[len(pool) - 1 - i]
    pool.reverse()
    return pool
