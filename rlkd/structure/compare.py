"""The structure score of a student path against its teachers': departures from the teacher's graph, each with its cost.

``score = 2 ** -cost``: every departure takes a fixed share of what is left, as a step under the paper's rule is halved
for each thing that is wrong with it. An identical path has no departure and scores 1. The weights were chosen on
questions 1 to 330 of the development solutions (see docs/structure-reward.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlkd.structure.align import Matching, align_structure
from rlkd.structure.base import PairVerdict
from rlkd.structure.branches import compare_places
from rlkd.structure.graph import Graph, find_value
from rlkd.structure.prepare import Prepared, View
from rlkd.structure.quantities import UNIT_CONSTANTS, problem_quantities
from rlkd.structure.rules_judge import content_words, judge_units, stated_number
from rlkd.structure.settle import Items, Quantity

COST_MISSING = 0.30
"""For each teacher step that the student neither took nor merged into another."""
COST_EXTRA = 0.08
"""For each student step that is neither a teacher's nor split off from one."""
COST_BRANCHES = 0.60
"""For other results being one operation away (see :mod:`rlkd.structure.branches`)."""
COST_OPEN = 0.45
"""For other results being open (found and not used yet)."""
COST_MEET = 0.30
"""For there being no result in which everything that is open on both sides could meet."""
FORGIVEN = 0.4
"""Share of these costs that is forgiven where the rest is the same calculation in another order."""
COST_ORDER = 0.15
"""For each result that a step uses before it is found."""
COST_WORDING = 0.02
"""For other words in the steps that both take; below ``COST_EXTRA``, so that no added step pays through its words."""
WRONG_ANSWER = 0.25
"""Credit of a step that solves the teacher's sub-problem with another result."""


@dataclass(slots=True)
class Comparison:
    """A student path against one teacher path.

    Attributes:
        matching: At the level of units (calculations), or of steps in words.
        steps: For each student step the teacher's step that it follows with the verdict, or ``None``.
        cost: Of the departures that a step of another teacher path cannot make good; ``None`` for steps in words.
        nothing: Whether the two paths have nothing in common.
    """

    matching: Matching
    steps: list[tuple[int, PairVerdict] | None]
    cost: float | None = None
    nothing: bool = False

    def score(self) -> float:
        """The score in [0, 1]."""
        if self.nothing or not self.matching.covered or not self.matching.explained:
            return 0.0
        if self.cost is None:
            return self.matching.f1()
        extra = len(self.matching.explained) - sum(self.matching.explained)
        return float(2.0 ** -(self.cost + COST_EXTRA * extra))


def merge_explained(comparisons: Sequence[Comparison]) -> None:
    """Merges several teacher paths into one graph of sub-problems: a step that any of them takes is nothing extra."""
    for numeric in (True, False):  # calculations and steps in words are counted apart
        same = [c for c in comparisons if (c.cost is not None or c.nothing) == numeric and c.matching.explained]
        if len(same) < 2:
            continue
        best = [max(credits) for credits in zip(*(c.matching.explained for c in same), strict=True)]
        for comparison in same:
            comparison.matching.explained[:] = best


def compare_numeric(teacher: Prepared, student: Prepared, problem: str) -> Comparison:
    """Compares two paths through the calculations that they make, given the problem's text."""
    ours, theirs = teacher.graph, student.graph
    verdicts: dict[tuple[int, int], tuple[float, float, float]] = {}
    candidates: list[tuple[float, int, int]] = []
    for t, a in enumerate(ours.units):
        for s, b in enumerate(theirs.units):
            if a.key != b.key and a.whole and b.whole and (a.signature is None or a.signature != b.signature):
                continue  # nothing in common, said without a call
            verdict = judge_units(a, b)
            if verdict is not None:
                verdicts[t, s] = verdict
                credit = (1.0 + verdict[1]) / 2 if verdict[2] else WRONG_ANSWER
                candidates.append((credit, t, s))
    matching = align_structure(candidates, _calculated(ours), _calculated(theirs), order=[u.sure for u in ours.units])
    _explain_solutions(matching, ours, theirs)
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        index = theirs.units[s].step
        verdict3 = verdicts[t, s]
        known = steps[index]
        if known is None or verdict3[2] >= known[1].p_answer:
            steps[index] = (ours.units[t].step, PairVerdict(*verdict3))
    nothing = not matching.pairs and not _share_numbers(ours, theirs, _relevant(matching, ours, theirs, problem_quantities(problem)))
    if nothing or not matching.covered or not matching.explained:
        return Comparison(matching, steps, nothing=True)
    return Comparison(matching, steps, _cost(matching, teacher, student, problem))


def _calculated(graph: Graph) -> Items:
    return Items([u.deps for u in graph.units], [u.base for u in graph.units], [u.value for u in graph.units])


def _explain_solutions(matching: Matching, teacher: Graph, student: Graph) -> None:
    """A solution (``x = 3``) of an equation that the teacher has is nothing extra."""
    known: set[float] | None = None
    for s, unit in enumerate(student.units):
        if unit.alias and not matching.explained[s]:
            if known is None:
                known = {u.alias or u.key for u in teacher.units if u.symbolic}
            if unit.alias in known:
                matching.explained[s] = 1.0


def _cost(matching: Matching, teacher: Prepared, student: Prepared, problem: str) -> float:
    """Cost of all departures except extra steps."""
    ours, theirs = teacher.graph, student.graph
    quantities = problem_quantities(problem)
    relevant = _relevant(matching, ours, theirs, quantities)
    families = (
        _family(u.ops for u, credit in zip(ours.units, matching.covered, strict=True) if credit < 0.5),
        _family(u.ops for u, credit, r in zip(theirs.units, matching.explained, relevant, strict=True) if r and credit < 0.5),
    )
    place = compare_places(ours, theirs, quantities, relevant, families)
    cost = COST_MISSING * (len(matching.covered) - sum(matching.covered))
    cost += COST_BRANCHES * (1 - place.branches) + COST_OPEN * (1 - place.overlap) + COST_MEET * (1 - place.meet)
    cost *= 1 - FORGIVEN * place.reordered
    cost += COST_ORDER * sum(len(u.ahead) for s, u in enumerate(theirs.units) if not matching.explained[s])
    return cost + COST_WORDING * (1 - _shared_wording(matching, teacher, student))


def _family(ops: Iterable[str]) -> str:
    """What calculations do: ``sum``, ``product``, or ``mixed``; empty where there are none."""
    found = {"product" if set(op) <= {"*", "/"} else "sum" if set(op) <= {"+", "-"} else "mixed" for op in ops}
    return found.pop() if len(found) == 1 else "mixed" if found else ""


def _relevant(matching: Matching, teacher: Graph, student: Graph, problem: Sequence[float]) -> list[bool]:
    """Which student units have to do with the problem: explained ones, and those on known quantities only."""
    known = [*problem, *UNIT_CONSTANTS, *(x for u in teacher.units for x in (*u.base, u.value))]
    relevant: list[bool] = []
    for credit, unit in zip(matching.explained, student.units, strict=True):
        relevant.append(credit > 0 or (all(relevant[d] for d in unit.deps) and all(find_value(x, known) >= 0 for x in unit.base)))
    return relevant


def _shared_wording(matching: Matching, teacher: Prepared, student: Prepared) -> float:
    """Overlap in content words between the teacher's path and the student's steps that follow it."""
    ours: set[str] = set()
    for step in {unit.step for unit in teacher.graph.units}:
        ours |= content_words(teacher.views[step].text)
    theirs: set[str] = set()
    units = student.graph.units
    for step in {units[s].step for s, credit in enumerate(matching.explained) if credit > 0}:
        theirs |= content_words(student.views[step].text)
    return 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 1.0


def _share_numbers(teacher: Graph, student: Graph, relevant: Sequence[bool]) -> bool:
    """Whether any step that has to do with the problem works with a number of the teacher's."""
    numbers = {round(x, 4) for u in teacher.units for x in u.operands}
    return any(round(x, 4) in numbers for u, r in zip(student.units, relevant, strict=True) if r for x in u.operands)


def compare_verdicts(
    teacher: Prepared, student: Prepared, matrix: Sequence[Sequence[PairVerdict]], threshold: float, problem: str = ""
) -> Comparison:
    """Compares two paths through a judge's verdicts on their steps (any decomposer, any judge).

    Args:
        teacher: The teacher's path.
        student: The student's path.
        matrix: ``matrix[i][j]`` is the verdict on teacher step i and student step j.
        threshold: Probability of the same intent from which two steps may be aligned.
        problem: The problem's text; steps that only copy from it do not count on either side.
    """
    prompt = " ".join(problem.lower().split())
    ours = [not _copied(view, prompt) for view in teacher.views]
    theirs = [not _copied(view, prompt) for view in student.views]
    if not any(ours):  # the teacher says nothing of its own: then copies are all there is
        ours, theirs = [True] * len(ours), [True] * len(theirs)
    candidates: list[tuple[float, int, int]] = []
    for i, row in enumerate(matrix):
        for j, verdict in enumerate(row):
            if verdict.p_intent >= threshold and ours[i] and theirs[j]:
                credit = verdict.p_intent * (1 + verdict.p_sub_problem) / 2
                credit *= WRONG_ANSWER + (1 - WRONG_ANSWER) * verdict.p_answer
                if credit > 0:
                    candidates.append((credit, i, j))
    matching = align_structure(candidates, _stated(teacher), _stated(student))
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        steps[s] = (t, matrix[t][s])
    matching.covered = [credit for credit, own in zip(matching.covered, ours, strict=True) if own]
    matching.explained = [credit for credit, own in zip(matching.explained, theirs, strict=True) if own]
    return Comparison(matching, steps)


def _stated(path: Prepared) -> Items:
    """The steps of a path with what each says that it works from."""
    found = [_quantity(view.answer) for view in path.views]
    given: list[list[Quantity]] = []
    for view, depends in zip(path.views, path.depends, strict=True):
        known = {found[d] for d in depends}
        given.append([q for q in map(_quantity, view.quantities) if q is not None and q not in known])
    return Items(path.depends, given, found)


def _quantity(text: str) -> Quantity | None:
    number = stated_number(text)
    return number if number is not None else text.strip().lower() or None


def _copied(view: View, prompt: str) -> bool:
    """Whether a step in words only repeats the problem's text."""
    if view.units or (view.answer and view.answer != view.text):
        return False
    text = " ".join(view.text.lower().split()).rstrip(".")
    return len(text) >= 12 and text in prompt
