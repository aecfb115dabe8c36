"""What two paths share: items matched one to one, merged and split ones credited, and the cost of what departs.

A teacher writes ``3 + 4 = 7`` and ``16 - 7 = 9``, a student ``16 - 3 - 4 = 9``: the student's step took the teacher's
first one too, as it works from the same quantities. A student that writes ``16 - 7 = 9`` alone did not: where its 7 comes
from, it does not say.

``score = 2 ** -cost``: every departure takes a fixed share of what is left, as a step under the paper's rule is halved for
each thing that is wrong with it. An identical path has no departure and keeps 1; a path keeps at most the share of the
teacher's steps that it took. The weights were chosen on questions 1 to 330 of the development solutions.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rlkd.quantities.numbers import same_value
from rlkd.structure.graph import Items, PathGraph, Quantity, find_value
from rlkd.structure.interfaces import PairVerdict
from schemas.config.structure import Counted

WRONG_ANSWER = 0.25
"""Credit of a step that solves the teacher's sub-problem with another result: ``9 * 2 = 19`` for ``9 * 2 = 18``."""
ORDER_BREAK = 0.5
"""What is left of a step's credit when it comes before a step that it depends on."""


@dataclass(slots=True)
class Matching:
    """Which student item follows which teacher item.

    Attributes:
        pairs: Student index by teacher index (only matched ones).
        covered: For each teacher item the credit in [0, 1], matched or (after :func:`credit_merged_steps`) merged into later ones.
        explained: For each student item the credit in [0, 1], matched or split off from later ones.
    """

    pairs: dict[int, int]
    covered: list[float]
    explained: list[float]


def step_credit(verdict: PairVerdict, counts: Counted = "both") -> float:
    """Computes what a student's step earns for being a teacher's, in [0, 1].

    ``(1, 1, 0)``, the same sub-problem with another result, earns 0.25; 1 where sub-problems alone count, and nothing where
    answers alone do.

    Args:
        verdict: A judge's answers about the two.
        counts: What they are compared by.
    """
    if counts == "answer":
        return verdict.p_answer
    answer = 1.0 if counts == "sub_problem" else WRONG_ANSWER + (1 - WRONG_ANSWER) * verdict.p_answer
    return verdict.p_intent * sub_problem_credit(verdict, counts) * answer


def sub_problem_credit(verdict: PairVerdict, counts: Counted = "both") -> float:
    """Computes what the sub-problem is worth of a step's credit: half of it where it is another one, all where it alone counts."""
    return verdict.p_sub_problem if counts == "sub_problem" else (1 + verdict.p_sub_problem) / 2


def match_items(candidates: list[tuple[float, int, int]], teacher: Items, student: Items) -> Matching:
    """Matches items one to one, the strongest candidate first.

    An item that comes before one that it depends on (as the teacher's graph says) keeps half its credit. Equal candidates
    are taken by rank, not by distance: a step added in front must not change which steps are paired.

    Args:
        candidates: ``(credit in (0, 1], teacher index, student index)``; pairs that are not listed do not match.
        teacher: The teacher's items.
        student: The student's items.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    covered = [0.0] * len(teacher.depends)
    explained = [0.0] * len(student.depends)
    for credit, t, s in sorted(candidates, key=lambda c: (-c[0], c[1], c[2])):
        if t not in pairs and s not in taken:
            pairs[t] = s
            taken.add(s)
            covered[t] = explained[s] = credit
    for t, s in pairs.items():
        if any(pairs.get(d, -1) > s for d in teacher.before[t]):
            covered[t] *= ORDER_BREAK
            explained[s] *= ORDER_BREAK
    return Matching(pairs, covered, explained)


def credit_merged_steps(
    pairs: Mapping[int, int], covered: list[float], explained: list[float], teacher: Items, student: Items
) -> None:
    """Gives merged and split items the credit of the matched item that holds them.

    Args:
        pairs: Student item by teacher item, the matched ones.
        covered: Credit of each teacher item; that of merged ones is filled in.
        explained: Credit of each student item; that of split ones is filled in.
        teacher: The teacher's items.
        student: The student's items.
    """
    back = {s: t for t, s in pairs.items()}
    for t, s in pairs.items():
        for d in _inside(t, teacher, pairs, inputs_of(s, student, back)):
            covered[d] = max(covered[d], covered[t])
        for d in _inside(s, student, back, inputs_of(t, teacher, pairs)):
            explained[d] = max(explained[d], explained[s])


def inputs_of(item: int, side: Items, matched: Container[int]) -> list[Quantity]:
    """Returns what an item works from once its unmatched predecessors are written into it."""
    found = list(side.given[item])
    for d in side.depends[item]:
        if d not in matched:
            found += inputs_of(d, side, matched)
        elif (result := side.found[d]) is not None:
            found.append(result)
    return found


def overlap(teacher: Sequence[Quantity], student: Sequence[Quantity]) -> float:
    """Share of quantities in common, repeats counted, in [0, 1]."""
    rest = list(student)
    shared = sum(_take(quantity, rest) for quantity in teacher)
    return shared / max(len(teacher), len(student)) if teacher or student else 0.0


def _inside(item: int, side: Items, matched: Container[int], pool: list[Quantity]) -> list[int]:
    """The unmatched predecessors of an item that the other side's item holds in itself.

    Args:
        item: The item.
        side: Its path.
        matched: Items of that path that have a match.
        pool: What the other side's item works from; what is found there is taken.
    """
    waiting = [d for d in dict.fromkeys(side.depends[item]) if d not in matched]
    if not waiting:
        return []
    for quantity in side.given[item]:
        _take(quantity, pool)
    for d in side.depends[item]:
        result = side.found[d]
        if result is not None and _take(result, pool) and d in waiting:
            waiting.remove(d)  # the other side starts from its result: how it is found is not said there
    inside: list[int] = []
    for d in waiting:
        rest = list(pool)
        held = _held(d, side, matched, rest)
        if held is not None:
            pool = rest
            inside += held
    return inside


def _held(item: int, side: Items, matched: Container[int], pool: list[Quantity]) -> list[int] | None:
    """An item with those behind it, if all that they work from is in the pool (and is taken from there)."""
    if not side.given[item] and not side.depends[item]:
        return None  # works from nothing that could be recognised
    if not all(_take(quantity, pool) for quantity in side.given[item]):
        return None
    held = [item]
    for d in side.depends[item]:
        result = side.found[d]
        if result is not None and _take(result, pool):
            continue
        inner = None if d in matched else _held(d, side, matched, pool)
        if inner is None:
            return None
        held += inner
    return held


def _take(quantity: Quantity, pool: list[Quantity]) -> bool:
    """Takes a quantity from the pool; whether it was there."""
    if quantity in pool:
        pool.remove(quantity)
        return True
    if isinstance(quantity, float) and quantity % 1.0:
        for i, other in enumerate(pool):
            if isinstance(other, float) and other % 1.0 and same_value(quantity, other):
                del pool[i]
                return True
    return False


COST_MISSING = 0.30
"""For each teacher step that the student neither took nor merged into another: one of two missing keeps 0.5, one of six 0.81."""
COST_OPEN = 1.20
"""For a path that ends elsewhere, by the share of the teacher's open results (found and used by nothing) that it does not leave
open: ``9 + 5 = 14`` behind a path that ends at 9 keeps 0.39. It is what tells right from wrong on whole paths: without it the
AUROC of the development half falls from 0.988 to 0.983, with two teachers on other models' solutions from 0.972 to 0.963."""
COST_EXTRA = 0.15
"""For each student step that is neither a teacher's nor split off from one: ``1234 * 2 = 2468`` beside a whole path keeps 0.90."""
FORGIVEN = 0.4
"""Share of the missing steps' cost that is forgiven where the rest is the same calculation in another order: ``3 * 60``, ``180 * 3``
for ``3 * 3``, ``9 * 60``."""
COST_ORDER = 0.15
"""For each result that is used before it is found, beyond those of the teacher's path; not above ``COST_EXTRA``, so that no step added in front pays."""
COST_WORDING = 0.02
"""For other words in the steps that both take; below ``COST_EXTRA``, so that no added step pays through its words."""
COST_CONCLUSION = 2.0
"""For another conclusion in words than the teacher's ("no" for "yes"): a last step with another answer keeps a quarter, as any step."""
SAME_CONCLUSION = 0.1
"""What a path keeps at least, before its extra steps, that comes to the teacher's conclusion in words by steps of its own."""


class Costs(NamedTuple):
    """What each departure costs, in halvings; the defaults are the constants above, with their reasons."""

    missing: float = COST_MISSING
    extra: float = COST_EXTRA
    open: float = COST_OPEN
    order: float = COST_ORDER
    wording: float = COST_WORDING
    conclusion: float = COST_CONCLUSION


DEFAULT_COSTS = Costs()


def kept_of(
    covered: Sequence[float],
    ends: float,
    early: int,
    reordered: float,
    shared_words: float,
    costs: Costs = DEFAULT_COSTS,
    concluded: float | None = None,
) -> float:
    """Counts the departures of a student's path, but for its extra steps, and returns what they leave of 1.

    Args:
        covered: Credit of each teacher item that counts, at least one.
        ends: Share of the teacher's open results that the student leaves open too.
        early: Results that are used before they are found, beyond those of the teacher's path.
        reordered: How sure it is that what the paths do not share is the same calculation in another order.
        shared_words: Overlap in content words of the steps that both take.
        costs: What each departure costs.
        concluded: How far the student concludes what the teacher does, in words; ``None`` where the teacher concludes nothing in
            words.
    """
    missing = costs.missing * (len(covered) - sum(covered))
    taken = sum(covered) / len(covered) if covered else 0.0
    left = min(taken, 2.0 ** -(missing + costs.open * (1 - ends))) if taken else 0.0
    if reordered:
        left = max(left, 2.0 ** -(missing * (1 - FORGIVEN * reordered)))
    if concluded is not None:
        left *= 2.0 ** -(costs.conclusion * (1 - concluded))
        left = max(left, SAME_CONCLUSION) if concluded == 1.0 else left
    return float(left * 2.0 ** -(costs.order * early + costs.wording * (1 - shared_words)))


def same_ends(teacher: PathGraph, student: PathGraph) -> float:
    """Returns the share of the teacher's open results (found and used by nothing) that the student leaves open too, in [0, 1].

    A share of the teacher's and no overlap: using up a wrong result must not pay. Where either path ends in an equation, what
    the student found at all counts: it may solve the equation that the teacher leaves (``x - 12 = 7``, and ``x = 19``).
    """
    teacher_ends = teacher.graph.frontier
    if teacher.graph.ends_in_algebra or student.graph.ends_in_algebra:
        rest = [node.value for node in student.graph.nodes]
    else:
        rest = list(student.graph.frontier)
    shared = 0
    for value in teacher_ends:
        i = find_value(value, rest)
        if i >= 0:
            del rest[i]
            shared += 1
    return shared / len(teacher_ends) if teacher_ends else 1.0
