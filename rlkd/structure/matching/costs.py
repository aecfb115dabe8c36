"""What a student's path keeps of a teacher's: every departure has its cost, and nothing but the teacher's steps earns.

``kept = 2 ** -cost``: every departure takes a fixed share of what is left, as a step under the paper's rule is halved
for each thing that is wrong with it. An identical path has no departure and keeps 1. What is kept is at most the share of
the teacher's steps that the student took. A step that is nobody's takes away: where it stands apart it costs
itself, and where it leads on from the teacher's steps the path stands where it leads, if that is worse. (Holes are known, in
which numbers meet by chance: see docs/structure-reward.md.) The weights were chosen
on questions 1 to 330 of the development solutions (see docs/structure-reward.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlkd.quantities.stated import UNIT_CONSTANTS
from rlkd.structure.graphs.graph import Graph, find_value
from rlkd.structure.graphs.views import Prepared
from rlkd.structure.matching.align import Matching
from rlkd.structure.matching.next_results import Place, compare_places
from rlkd.structure.reading.claims import content_words

COST_MISSING = 0.30
"""For each teacher step that the student neither took nor merged into another."""
COST_EXTRA = 0.15
"""For each student step that is neither a teacher's nor split off from one."""
COST_BRANCHES = 0.60
"""For other results being one operation away (see :mod:`rlkd.structure.matching.next_results`)."""
COST_OPEN = 0.45
"""For other results being open (found and not used yet)."""
COST_MEET = 0.30
"""For there being no result in which everything that is open on both sides could meet."""
FORGIVEN = 0.4
"""Share of these costs that is forgiven where the rest is the same calculation in another order."""
COST_ORDER = 0.15
"""For each result that an extra step uses before it is found; not above ``COST_EXTRA``, so that no step added in front pays."""
COST_WORDING = 0.02
"""For other words in the steps that both take; below ``COST_EXTRA``, so that no added step pays through its words."""
MAX_EXTRA = 8
"""Extra steps that are followed; a path with more of them stands nowhere."""
_NOWHERE = COST_BRANCHES + COST_OPEN + COST_MEET


def kept_of(matching: Matching, teacher: Prepared, student: Prepared, problem: Sequence[float]) -> float:
    """What is left of 1 after all departures, but for the extra steps themselves.

    Args:
        matching: How the calculations are matched, settled.
        teacher: The teacher's path.
        student: The student's path.
        problem: Quantities of the problem.
    """
    missing = COST_MISSING * (len(matching.covered) - sum(matching.covered))
    taken = sum(matching.covered) / len(matching.covered)
    kept = 0.0
    if taken:
        kept = min(taken, 2.0 ** -(missing + _place_cost(matching, teacher.graph, student.graph, problem)))
    kept = max(kept, _reordered(matching, missing, teacher.graph, student.graph, problem))
    if not kept:
        return 0.0
    early = {
        j
        for u, credit in zip(student.graph.units, matching.explained, strict=True)
        if not credit
        for j in u.ahead
    }
    return float(
        kept
        * 2.0 ** -(COST_ORDER * len(early) + COST_WORDING * (1 - _shared_wording(matching, teacher, student)))
    )


def _place_cost(matching: Matching, teacher: Graph, student: Graph, problem: Sequence[float]) -> float:
    """Cost of standing elsewhere: the worst of where the explained steps lead, and where any extra step leads on from there.

    Each extra step is looked at by itself and with the extra ones that it works from, so that one more makes the
    worst worse, also one in front that passes for the origin of a number (but not always one behind several others).
    """
    own = [credit > 0 for credit in matching.explained]
    worst = _cost(compare_places(teacher, student, problem, own))
    extras = [i for i, explained in enumerate(own) if not explained]
    if len(extras) > MAX_EXTRA:
        return _NOWHERE
    for i in extras:
        chain = _behind(i, student, own)
        for followed in ({i}, chain) if len(chain) > 1 else (chain,):
            if any(own[d] for j in followed for d in student.units[j].deps):
                with_them = [explained or j in followed for j, explained in enumerate(own)]
                worst = max(worst, _cost(compare_places(teacher, student, problem, with_them)))
    return worst


def _cost(place: Place) -> float:
    return (
        COST_BRANCHES * (1 - place.branches) + COST_OPEN * (1 - place.overlap) + COST_MEET * (1 - place.meet)
    )


def _behind(unit: int, graph: Graph, own: Sequence[bool]) -> set[int]:
    """An extra unit and the extra ones that it works from."""
    found = {unit}
    waiting = [unit]
    while waiting:
        for d in graph.units[waiting.pop()].deps:
            if not own[d] and d not in found:
                found.add(d)
                waiting.append(d)
    return found


def _reordered(
    matching: Matching, missing: float, teacher: Graph, student: Graph, problem: Sequence[float]
) -> float:
    """What is kept where all that both paths do not share is the same calculation in another order; else 0.

    All steps of the student take part: one that does not belong leaves nothing to be forgiven.
    """
    if not _from_the_problem(student, problem):
        return 0.0
    families = (
        _family(u.ops for u, credit in zip(teacher.units, matching.covered, strict=True) if credit < 0.5),
        _family(u.ops for u, credit in zip(student.units, matching.explained, strict=True) if credit < 0.5),
    )
    if not all(families):
        return 0.0
    place = compare_places(teacher, student, problem, [True] * len(student.units), families)
    if not place.reordered:
        return 0.0
    return float(2.0 ** -((missing + _cost(place)) * (1 - FORGIVEN * place.reordered)))


def _from_the_problem(graph: Graph, problem: Sequence[float]) -> bool:
    """Whether a path works from what the problem gives, each quantity used once, and from at most one unit constant."""
    pool = list(problem)
    brought = []
    for quantity in graph.base():
        i = find_value(quantity, pool)
        if i >= 0:
            del pool[i]
        else:
            brought.append(quantity)
    return not brought or (len(brought) == 1 and brought[0] in UNIT_CONSTANTS)


def _family(ops: Iterable[str]) -> str:
    """What calculations do: ``sum``, ``product``, or ``mixed``; empty where there are none."""
    found = {
        "product" if set(op) <= {"*", "/"} else "sum" if set(op) <= {"+", "-"} else "mixed" for op in ops
    }
    return found.pop() if len(found) == 1 else "mixed" if found else ""


def _shared_wording(matching: Matching, teacher: Prepared, student: Prepared) -> float:
    """Overlap in content words between the teacher's path and the student's steps that follow it."""
    if teacher.words is None:
        teacher.words = frozenset().union(
            *(content_words(teacher.views[step].text) for step in {u.step for u in teacher.graph.units})
        )
    ours = teacher.words
    theirs: set[str] = set()
    units = student.graph.units
    for step in {units[s].step for s, credit in enumerate(matching.explained) if credit > 0}:
        theirs |= content_words(student.views[step].text)
    return 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 1.0
