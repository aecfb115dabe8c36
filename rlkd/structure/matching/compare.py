"""The structure score of a student path against a teacher's: through calculations, or through a judge's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlkd.quantities.numbers import stated_number
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graphs.graph import Graph
from rlkd.structure.graphs.items import Items, Quantity
from rlkd.structure.graphs.views import CHECK, Prepared, View
from rlkd.structure.interfaces import PairVerdict
from rlkd.structure.judges.rules import judge_units
from rlkd.structure.matching.align import Matching, align_structure
from rlkd.structure.matching.costs import COST_EXTRA, kept_of
from rlkd.structure.matching.merged_steps import leaves, overlap, settle
from rlkd.structure.reading.corrections import RETRACTED

WRONG_ANSWER = 0.25
"""Credit of a step that solves the teacher's sub-problem with another result."""
OTHER_PREMISES = 0.5
"""Credit of a calculation that comes to the teacher's result from quantities none of which are the teacher's."""


@dataclass(slots=True)
class Comparison:
    """A student path against one teacher path.

    Attributes:
        matching: At the level of units (calculations), or of steps in words.
        steps: For each student step the teacher's step that it follows with the verdict, or ``None``.
        counted: For each step in words of the student, whether it counts; which ones do depends on the teacher.
        kept: Of 1, what departures leave that a step of another teacher path cannot make good; ``None`` for steps in words.
    """

    matching: Matching
    steps: list[tuple[int, PairVerdict] | None]
    kept: float | None = None
    counted: list[bool] | None = None

    def score(self) -> float:
        """The score in [0, 1]."""
        if self.counted is not None:
            own = [
                credit for credit, counts in zip(self.matching.explained, self.counted, strict=True) if counts
            ]
            return Matching(self.matching.pairs, self.matching.covered, own, 0).f1()
        if self.kept is None:
            return self.matching.f1()
        extra = len(self.matching.explained) - sum(self.matching.explained)
        return float(self.kept * 2.0 ** -(COST_EXTRA * extra))


def merge_explained(comparisons: Sequence[Comparison]) -> None:
    """Merges several teacher paths into one graph of sub-problems: a step that any of them takes is nothing extra."""
    for numeric in (True, False):  # calculations and steps in words are counted apart
        same = [c for c in comparisons if (c.kept is not None) == numeric and c.matching.explained]
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
    if teacher.items is None:  # once: a teacher's path is compared with many
        teacher.items = _calculated(ours)
    mine, yours = teacher.items, _calculated(theirs)
    matching = align_structure(candidates, mine, yours, order=[u.sure for u in ours.units])
    _weigh_premises(matching, verdicts, mine, yours)
    settle(matching.pairs, matching.covered, matching.explained, mine, yours)
    _explain_solutions(matching, ours, theirs)
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        index = theirs.units[s].step
        verdict3 = verdicts[t, s]
        known = steps[index]
        if known is None or verdict3[2] >= known[1].p_answer:
            steps[index] = (ours.units[t].step, PairVerdict(*verdict3))
    if not theirs.units:
        return Comparison(matching, steps, 0.0)
    return Comparison(matching, steps, kept_of(matching, teacher, student, problem_quantities(problem)))


def _weigh_premises(
    matching: Matching,
    verdicts: Mapping[tuple[int, int], tuple[float, float, float]],
    teacher: Items,
    student: Items,
) -> None:
    """Weighs equal results by what they are worked out from, with unmatched steps before them written in.

    So ``16 - 3 - 4 = 9`` is ``16 - 7 = 9`` after ``3 + 4 = 7`` in full, and ``5 + 4 = 9`` is not. Where such a result also
    stands apart, with no other of the teacher's steps before or behind it, it is equal by chance and no match.
    """
    back = {s: t for t, s in matching.pairs.items()}
    used = {d for s in back for d in student.depends[s]}
    for t, s in list(matching.pairs.items()):
        _, sub_problem, answer = verdicts[t, s]
        if not answer or sub_problem == 1.0:
            continue
        ours, theirs = leaves(t, teacher, matching.pairs), leaves(s, student, back)
        shared = max(overlap(ours, theirs), (sub_problem - 0.6) / 0.4)
        if not shared > 1e-9 and s not in used and not any(d in back for d in student.depends[s]):
            del matching.pairs[t]
            matching.covered[t] = matching.explained[s] = 0.0
            continue
        credit = 0.8 + 0.2 * shared if shared > 1e-9 else OTHER_PREMISES
        weight = credit / ((1 + sub_problem) / 2)
        matching.covered[t] *= weight
        matching.explained[s] *= weight


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


def compare_verdicts(
    teacher: Prepared,
    student: Prepared,
    matrix: Sequence[Sequence[PairVerdict]],
    threshold: float,
    problem: str = "",
) -> Comparison:
    """Compares two paths through a judge's verdicts on their steps (any decomposer, any judge).

    Args:
        teacher: The teacher's path.
        student: The student's path.
        matrix: ``matrix[i][j]`` is the verdict on teacher step i and student step j.
        threshold: Probability of the same intent from which two steps may be aligned.
        problem: The problem's text; steps that only copy from it do not count on either side, nor do checks and steps
            that were taken back.
    """
    prompt = " ".join(problem.lower().split())
    ours = [_counts(view) and not _copied(view, prompt) for view in teacher.views]
    theirs = [_counts(view) and not _copied(view, prompt) for view in student.views]
    if not any(ours):  # the teacher says nothing of its own: then copies are all there is
        ours, theirs = [True] * len(ours), [_counts(view) for view in student.views]
    candidates: list[tuple[float, int, int]] = []
    for i, row in enumerate(matrix):
        for j, verdict in enumerate(row):
            if verdict.p_intent >= threshold and ours[i] and theirs[j]:
                credit = verdict.p_intent * (1 + verdict.p_sub_problem) / 2
                credit *= WRONG_ANSWER + (1 - WRONG_ANSWER) * verdict.p_answer
                if credit > 0:
                    candidates.append((credit, i, j))
    mine, yours = _stated(teacher), _stated(student)
    matching = align_structure(candidates, mine, yours)
    settle(matching.pairs, matching.covered, matching.explained, mine, yours)
    steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.views)
    for t, s in matching.pairs.items():
        steps[s] = (t, matrix[t][s])
    matching.covered = [credit for credit, own in zip(matching.covered, ours, strict=True) if own]
    return Comparison(matching, steps, counted=theirs)


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


def _counts(view: View) -> bool:
    return view.kind not in (CHECK, RETRACTED)


def _copied(view: View, prompt: str) -> bool:
    """Whether a step in words only repeats the problem's text."""
    if view.units or (view.answer and view.answer != view.text):
        return False
    text = " ".join(view.text.lower().split()).rstrip(".")
    return len(text) >= 12 and text in prompt
