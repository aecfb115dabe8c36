"""The alignments: the default, an order-tolerant matching of two dependency graphs, and the paper's rule, step i against step i.

Both see of a judge its verdicts on pairs of steps. Where the teacher's path calculates, the default matches its calculations with the
student's; else the steps themselves. Which of their calculations belong together is read off the calculations; whether two
steps are the same is for the judge to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.structure.graph import Items, PathGraph, counts, words_of
from rlkd.structure.interfaces import (
    Alignment,
    Comparison,
    Judge,
    PairVerdict,
    Sample,
    StepPair,
    Verdicts,
    Walk,
)
from rlkd.structure.judges.early_stop import prefix_verdicts
from rlkd.structure.judges.rules import OTHER_OPERANDS, judge_calculations
from rlkd.structure.matching.credits import (
    DEFAULT_COSTS,
    Costs,
    Matching,
    credit_merged_steps,
    inputs_of,
    kept_of,
    match_items,
    overlap,
    same_ends,
    step_credit,
    sub_problem_credit,
)
from rlkd.structure.matching.reordering import same_in_another_order
from rlkd.structure.matching.several_teachers import other_walks
from rlkd.structure.reading.words.conclusions import same_conclusion
from rlkd.structure.reading.words.own_answer import UNSTATED
from schemas.alignment import SURE
from schemas.config.structure import Counted

OTHER_PREMISES = 0.5
"""Credit of a calculation that comes to the teacher's result from quantities none of which are the teacher's: ``5 + 4 = 9`` for
``16 - 7 = 9``."""
SHARED_PREMISES = 0.8
"""Credit of such a calculation from which on its shared quantities count: ``20 - 2 = 18`` for ``9 * 2 = 18`` shares one of two."""

ItemVerdicts = dict[tuple[int, int], PairVerdict]
"""Verdicts by (teacher's item, student's item)."""


@dataclass(slots=True)
class Aligned(Comparison):
    """A student path aligned with one reference path.

    Attributes:
        left: What departures leave of 1 that a step of another teacher's path cannot make good.
        matching: How the items are matched.
        calculations: Whether the items are calculations (else steps).
        costly: For each item of the student, whether it has a cost where it is extra; for steps that depends on the reference.
        step: The student's step that each of its items is of.
        cost_extra: What a step that is not the teacher's costs, in halvings.
    """

    left: float
    matching: Matching
    calculations: bool
    costly: list[bool]
    step: Sequence[int]
    cost_extra: float = DEFAULT_COSTS.extra

    def rate(self) -> None:
        """Works the score out, again after a change of the credits: what is left once the extra steps have their cost too."""
        extra = sum(
            [1 - credit for credit, own in zip(self.matching.explained, self.costly, strict=True) if own]
        )
        self.value = float(self.left * 2.0 ** -(self.cost_extra * extra))
        self.credits = [0.0] * len(self.steps)
        for at, credit in zip(self.step, self.matching.explained, strict=True):
            self.credits[at] = max(self.credits[at], credit)


class StructureAlignment(Alignment):
    """Aligns paths through their dependency graphs.

    Args:
        threshold: Probability of the same intent from which two steps may be aligned.
        costs: What each departure costs.
        counts: What a step is compared by; one thing alone takes everything else out of the score that tells of the other.
    """

    def __init__(
        self, threshold: float = 0.5, costs: Costs = DEFAULT_COSTS, counts: Counted = "both"
    ) -> None:
        self.threshold, self.costs, self.counts = threshold, costs, counts

    async def ask(self, judge: Judge, samples: Sequence[Sample]) -> list[list[Verdicts] | None]:
        """Asks about every pair that can count, of all samples in one call; and about same-index pairs, for the paper's rule."""
        keys = [[_pairs(teacher, sample.student) for teacher in sample.teachers] for sample in samples]
        pairs = [
            StepPair(teacher.steps[t], sample.student.steps[s], sample.problem, sample.domain, n)
            for n, (sample, asked) in enumerate(zip(samples, keys, strict=True))
            for teacher, own in zip(sample.teachers, asked, strict=True)
            for t, s in own
        ]
        answers = await judge.judge(pairs) if pairs else []
        found: list[list[Verdicts] | None] = []
        at = 0
        for asked in keys:
            made: list[Verdicts] = []
            start = at
            for own in asked:
                made.append(dict(zip(own, answers[at : at + len(own)], strict=True)))  # type: ignore[arg-type]
                at += len(own)
            found.append(None if None in answers[start:at] else made)
        return found

    def compare(self, teacher: PathGraph, student: PathGraph, verdicts: Verdicts) -> Aligned:
        """Compares two paths: matches their items, credits merged and split ones, and counts what departs."""
        calculations = teacher.calculates
        teacher_items, student_items = teacher.items(calculations), student.items(calculations)
        if calculations:
            own, counted = [True] * len(teacher_items.step), [True] * len(student_items.step)
            costly = counted
            items = _spread(verdicts, teacher, student, self.threshold)
        else:
            own, counted, costly = _counting(teacher, student)
            items = {
                (t, s): v
                for (t, s), v in verdicts.items()
                if own[t] and counted[s] and v.p_intent >= self.threshold
            }
        credits = [(step_credit(v, self.counts), t, s) for (t, s), v in items.items()]
        matching = match_items([found for found in credits if found[0] > 0], teacher_items, student_items)
        if calculations and self.counts != "answer":
            _weigh_premises(matching, items, teacher_items, student_items, self.counts)
        credit_merged_steps(
            matching.pairs, matching.covered, matching.explained, teacher_items, student_items
        )
        if any(node.calculation.symbolic for node in teacher.graph.nodes):
            _explain_solutions(matching, teacher, student)
        steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.steps)
        for t, s in matching.pairs.items():
            known = steps[student_items.step[s]]
            if known is None or items[t, s].p_answer >= known[1].p_answer:
                steps[student_items.step[s]] = teacher_items.step[t], items[t, s]
        taken = {
            student_items.step[s] for s, credit in enumerate(matching.explained) if credit > 0 and counted[s]
        }
        left = kept_of(
            [credit for credit, wanted in zip(matching.covered, own, strict=True) if wanted],
            same_ends(teacher, student) if calculations and self.counts != "sub_problem" else 1.0,
            max(0, student.graph.early - teacher.graph.early),
            same_in_another_order(matching, teacher, student)
            if calculations and min(matching.covered) < 0.5 and min(matching.explained, default=1.0) < 0.5
            else 0.0,  # where nothing is left on a side there is nothing to forgive
            _shared_words(teacher, student, taken)
            if calculations and self.counts != "answer"
            else 1.0,  # else the verdicts are on words already
            self.costs,
            None
            if self.counts == "sub_problem" or (teacher.stated is UNSTATED and student.stated is UNSTATED)
            else _concluded(teacher, student, counted),
        )
        found = Aligned(
            0.0, steps, left, matching, calculations, costly, student_items.step, self.costs.extra
        )
        found.rate()
        return found

    def walks(self, teachers: Sequence[PathGraph]) -> list[Walk]:
        """Returns the walks through the merged graph of several teachers' paths that none of them took."""
        return other_walks(teachers) if len(teachers) > 1 else []

    def combine(self, comparisons: Sequence[Comparison]) -> None:
        """Merges several references into one graph of sub-problems: a step that any of them takes is nothing extra."""
        for calculations in (True, False):  # calculations and steps are counted apart
            same = [c for c in comparisons if isinstance(c, Aligned) and c.calculations == calculations]
            if len(same) < 2:
                continue
            best = [max(credits) for credits in zip(*(c.matching.explained for c in same), strict=True)]
            for comparison in same:
                comparison.matching.explained[:] = best
                comparison.rate()


def _pairs(teacher: PathGraph, student: PathGraph) -> list[tuple[int, int]]:
    """Returns the pairs of steps that can be matched, and the same-index pairs."""
    if teacher.calculates:
        teacher_steps, student_steps = list(teacher.graph.by_step), list(student.graph.by_step)
    else:
        teacher_steps = [i for i, own in enumerate(_counting(teacher, student)[0]) if own]
        student_steps = list(range(len(student.steps)))
    pairs = [(t, s) for t in teacher_steps for s in student_steps]
    known = set(pairs)
    diagonal = [(i, i) for i in range(min(len(teacher.steps), len(student.steps)))]
    return pairs + [pair for pair in diagonal if pair not in known]


def _counting(teacher: PathGraph, student: PathGraph) -> tuple[list[bool], list[bool], list[bool]]:
    """Returns which steps may be matched on either side, and which of the student's have a cost where they are not.

    Where the teacher says nothing of its own, copies of the problem are all there is.
    """
    teacher_counts = teacher.own(drawn=True)
    if any(teacher_counts):
        return teacher_counts, student.own(drawn=True), student.own()
    student_counts = [counts(step) for step in student.steps]
    student_counts = student_counts if any(student_counts) else [True] * len(student_counts)
    return [True] * len(teacher_counts), student_counts, student_counts


def _spread(verdicts: Verdicts, teacher: PathGraph, student: PathGraph, threshold: float) -> ItemVerdicts:
    """Turns verdicts on steps into verdicts on their calculations.

    Where both steps make one calculation, the verdict is theirs. Where they make several, those that share a result or an
    operation belong together, as far as the judge agrees; where none do, the last ones, which give the steps' answers.
    """
    teacher_nodes, student_nodes = teacher.graph.by_step, student.graph.by_step
    found: ItemVerdicts = {}
    for (i, j), verdict in verdicts.items():
        if verdict.p_intent < threshold or i not in teacher_nodes or j not in student_nodes:
            continue
        if len(teacher.steps[i].calculations) == len(student.steps[j].calculations) == 1:
            found[teacher_nodes[i][0], student_nodes[j][0]] = verdict
            continue
        alike = False
        for t in teacher_nodes[i]:
            for s in student_nodes[j]:
                own = judge_calculations(
                    teacher.graph.nodes[t].calculation, student.graph.nodes[s].calculation
                )
                if own is not None:
                    alike = True
                    found[t, s] = PairVerdict(*map(min, own, verdict))
        if not alike and not _share_anything(teacher, i, student, j):
            found[teacher_nodes[i][-1], student_nodes[j][-1]] = verdict
    return found


def _share_anything(teacher: PathGraph, i: int, student: PathGraph, j: int) -> bool:
    """Returns whether any calculations of two steps are alike, repeats of earlier ones included."""
    return any(
        judge_calculations(a, b) is not None
        for a in teacher.steps[i].calculations
        for b in student.steps[j].calculations
    )


def _weigh_premises(
    matching: Matching, verdicts: ItemVerdicts, teacher: Items, student: Items, counts: Counted = "both"
) -> None:
    """Weighs equal results by what they are worked out from, with unmatched steps before them written in.

    So ``16 - 3 - 4 = 9`` is ``16 - 7 = 9`` after ``3 + 4 = 7`` in full, and ``5 + 4 = 9`` is not. Where such a result also
    stands apart, with no other of the teacher's steps before or behind it, it is equal by chance and no match.
    """
    back = {s: t for t, s in matching.pairs.items()}
    used = {d for s in back for d in student.depends[s]}
    for t, s in list(matching.pairs.items()):
        verdict = verdicts[t, s]
        if verdict.p_answer < SURE or verdict.p_sub_problem == 1.0:
            continue
        teacher_inputs, student_inputs = inputs_of(t, teacher, matching.pairs), inputs_of(s, student, back)
        named = (verdict.p_sub_problem - OTHER_OPERANDS) / (1 - OTHER_OPERANDS)
        shared = max(overlap(teacher_inputs, student_inputs), named)
        if not shared > 1e-9 and s not in used and not any(d in back for d in student.depends[s]):
            del matching.pairs[t]
            matching.covered[t] = matching.explained[s] = 0.0
            continue
        credit = SHARED_PREMISES + (1 - SHARED_PREMISES) * shared if shared > 1e-9 else OTHER_PREMISES
        weight = credit / sub_problem_credit(verdict, counts)
        matching.covered[t] *= weight
        matching.explained[s] *= weight


def _explain_solutions(matching: Matching, teacher: PathGraph, student: PathGraph) -> None:
    """Explains a solution (``x = 3``) of an equation that the teacher has: it is nothing extra."""
    known = {
        c.value if c.equation_key is None else c.equation_key
        for c in (node.calculation for node in teacher.graph.nodes)
        if c.symbolic
    }
    for s, node in enumerate(student.graph.nodes):
        if not matching.explained[s] and node.calculation.equation_key in known:
            matching.explained[s] = 1.0


def _concluded(teacher: PathGraph, student: PathGraph, counted: Sequence[bool]) -> float | None:
    """Returns how far the student concludes what the teacher does; ``None`` where that is a number, which is not compared.

    A bare answer, with no step of its own, concludes nothing. One that is not what the student's own path finds ("So Wes: ... is in.
    The answer is out.") is another conclusion, be it right or not; unless the teacher's path does that too. Where no step comes to Wes
    the missing steps are cost enough: with the conclusion's on top a path of half the steps was worth nothing beside a whole one.
    """
    if student.stated.is_guess and not teacher.stated.is_guess:
        return None
    if student.states_own_answer() is False and teacher.states_own_answer() is not False:
        return 0.0
    if not teacher.stated.conclusion:
        return None
    return same_conclusion(teacher.stated.conclusion, student.stated.conclusion if any(counted) else "")


def _shared_words(teacher: PathGraph, student: PathGraph, taken: set[int]) -> float:
    """Returns the overlap in content words between the teacher's path and the student's steps that follow it."""
    teacher_words = words_of(teacher.steps[i] for i in teacher.graph.by_step)
    student_words = words_of(student.steps[i] for i in taken)
    words = len(teacher_words) + len(student_words)
    return 2 * len(teacher_words & student_words) / words if words else 1.0


def prefix_credit(verdict: PairVerdict, threshold: float = 0.5, counts: Counted = "both") -> float:
    """Returns the credit of one step: 1, halved for another sub-problem, halved again for another answer; 0 for another intent."""
    if verdict.p_intent < threshold:
        return 0.0
    credit = 1.0
    if verdict.p_sub_problem < threshold and counts != "answer":
        credit /= 2
    if verdict.p_answer < threshold and counts != "sub_problem":
        credit /= 2
    return credit


class PrefixAlignment(Alignment):
    """Compares paths by the paper's rule.

    Verdicts ``(1, 1, 1)``, ``(1, 1, 0)``, ``(1, 0, 0)``, ``(0, 1, 1)``, ``(1, 1, 1)`` on five steps earn 1 + 1/2 + 1/4, and with the
    fourth the branch is left: 1.75 of 5.

    Args:
        threshold: Probability from which a verdict is yes.
        normalize: Divide by the teacher's steps (differs from the paper's code, whose sum is unbounded).
        counts: What halves a step's credit: another sub-problem, another answer, or both.
    """

    stops_early = True

    def __init__(self, threshold: float = 0.5, normalize: bool = True, counts: Counted = "both") -> None:
        self.threshold = threshold
        self.normalize = normalize
        self.counts = counts

    async def ask(self, judge: Judge, samples: Sequence[Sample]) -> list[list[Verdicts] | None]:
        """Asks about same-index pairs, no further than to the first with another intent where the judge can stop."""
        diagonals = [
            [
                StepPair(teacher_step, student_step, sample.problem, sample.domain, n)
                for teacher_step, student_step in zip(teacher.steps, sample.student.steps, strict=False)
            ]
            for n, sample in enumerate(samples)
            for teacher in sample.teachers
        ]
        answers = iter(await prefix_verdicts(judge, diagonals, self.threshold))
        found: list[list[Verdicts] | None] = []
        for sample in samples:
            own = [next(answers) for _ in sample.teachers]
            whole = all(verdict is not None for diagonal in own for verdict in diagonal)
            found.append([_by_index(diagonal) for diagonal in own] if whole else None)
        return found

    def compare(self, teacher: PathGraph, student: PathGraph, verdicts: Verdicts) -> Comparison:
        """Sums the credits of the steps up to the first with another intent."""
        steps: list[tuple[int, PairVerdict] | None] = [None] * len(student.steps)
        total = 0.0
        for i in range(min(len(teacher.steps), len(student.steps))):
            verdict = verdicts.get((i, i))
            credit = prefix_credit(verdict, self.threshold, self.counts) if verdict is not None else 0.0
            if verdict is None or not credit:
                break
            total += credit
            steps[i] = i, verdict
        if self.normalize:
            total = total / len(teacher.steps) if teacher.steps else 0.0
        return Comparison(total, steps)

    def combine(self, comparisons: Sequence[Comparison]) -> None:
        """Leaves comparisons as they are: the paper's rule knows single paths only."""


def _by_index(diagonal: Sequence[PairVerdict | None]) -> Verdicts:
    return {(i, i): verdict for i, verdict in enumerate(diagonal) if verdict is not None}
