"""The ``rules`` judge: compares values, quantities, operations and wording, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlkd.quantities.amounts import same_measure
from rlkd.quantities.numbers import same_value, stated_number
from rlkd.structure.graphs.graph import Unit
from rlkd.structure.graphs.views import View, view_of
from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.reading.claims import CLAIM_STOP, THEREFORE, likeness, premises_alike
from schemas.config.structure import CacheConfig, RulesJudgeConfig

_WORDING_SAME = 0.85
"""Word overlap from which two texts are the same sub-problem for certain."""


def same_number(a: Unit, b: Unit) -> bool:
    """Whether two results are the same, also where one is a fraction and the other a percentage."""
    if same_value(a.value, b.value):
        return True
    if a.percent != b.percent:
        return same_value(a.value * 100, b.value) or same_value(a.value, b.value * 100)
    return False


def operand_overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Share of operands in common (multisets), in [0, 1]."""
    if not a or not b:
        return 1.0 if not a and not b else 0.0
    rest = list(b)
    shared = 0
    for x in a:
        for k, y in enumerate(rest):
            if x == y or same_value(x, y):
                del rest[k]
                shared += 1
                break
    return shared / max(len(a), len(b))


def judge_units(teacher: Unit, student: Unit) -> tuple[float, float, float] | None:
    """Compares two calculations.

    Returns:
        ``(p_intent, p_sub_problem, p_answer)``, or ``None`` where they have nothing in common: neither the
        result, nor the same operation on the same quantities.
    """
    same = teacher.signature is not None and teacher.signature == student.signature
    if teacher.key == student.key or (
        not (teacher.whole and student.whole) and same_number(teacher, student)
    ):
        overlap = 1.0 if same else operand_overlap(teacher.operands, student.operands)
        return 1.0, 0.6 + 0.4 * overlap, 1.0
    return (1.0, 1.0, 0.0) if same else None


def _names(text: str) -> frozenset[str]:
    return frozenset(m.group() for m in _NAME.finditer(text[1:2_000]))


_NAME = re.compile(r"(?<![.!?] )\b[A-Z][a-z]{1,20}\b|\b[A-Z]\b|\d{1,12}(?:\.\d{1,12})?")


def wording(a: str, b: str) -> float:
    """How alike two texts are in words, in [0, 1].

    Texts that name different people, things or numbers are not alike, nor are a claim and its denial or converse.
    """
    if a == b:
        return 1.0 if a.strip() else 0.0
    score = likeness(a, b, CLAIM_STOP)
    if not score:
        return 0.0
    names_a, names_b = _names(a), _names(b)
    if names_a - names_b and names_b - names_a:
        score *= 0.4
    return score


def judge_views(teacher: View, student: View, symbolic: bool = False) -> PairVerdict:
    """Compares two steps; see :class:`RulesJudge`."""
    if teacher.units and student.units:
        best = (0.0, 0.0, 0.0)
        for t in teacher.units:
            for s in student.units:
                verdict = judge_units(t, s)
                if verdict is not None and sum(verdict) > sum(best):
                    best = verdict
        if best[0] > 0.0:
            return PairVerdict(*best)
        same = 0.8 * wording(teacher.text, student.text)
        return PairVerdict(min(same, 0.45), min(same, 0.45), 0.0)
    answer = _same_answer(teacher, student, symbolic)
    if teacher.quantities or student.quantities:
        sub_problem = _named_sub_problem(teacher, student)
    else:
        sub_problem = wording(teacher.text, student.text)
    intent = 1.0 if teacher.text and teacher.text == student.text else sub_problem
    if teacher.meta and student.meta:
        intent = max(wording(teacher.meta, student.meta), intent)
    return PairVerdict(_sure(intent), _sure(sub_problem), answer)


def _sure(score: float) -> float:
    return 1.0 if score >= _WORDING_SAME else score


def _named_sub_problem(teacher: View, student: View) -> float:
    """Steps whose quantities are named: the question and what it is worked out from decide."""
    text = 1.0 if teacher.text == student.text else wording(teacher.text, student.text)
    if THEREFORE in (teacher.operation, student.operation):
        return text * (0.5 + 0.5 * premises_alike(teacher.quantities, student.quantities, CLAIM_STOP))
    shared = len(set(teacher.quantities) & set(student.quantities))
    total = len(set(teacher.quantities) | set(student.quantities))
    quantities = shared / total if total else 1.0
    return text * quantities if teacher.operation == student.operation else 0.5 * text * quantities


def _same_answer(teacher: View, student: View, symbolic: bool) -> float:
    a, b = teacher.answer.strip().rstrip(".").lower(), student.answer.strip().rstrip(".").lower()
    if not a or not b:
        return 0.5 if not a and not b and teacher.text == student.text else 0.0
    if a == b:
        return 1.0
    measured = same_measure(a, b)
    if measured is not None:
        return 1.0 if measured else 0.0
    x, y = stated_number(a), stated_number(b)
    if x is not None and y is not None:
        return 1.0 if same_value(x, y) else 0.0
    if symbolic:
        from rlkd.answers.equal import answers_equal

        return 1.0 if answers_equal(teacher.answer, student.answer) is True else 0.0
    return _sure(wording(teacher.answer, student.answer)) if x is None and y is None else 0.0


class RulesJudge:
    """Judges steps by rules; never missing.

    Same answer: equal amounts where both have a unit, equal numbers (whole numbers exactly, others up to rounding), else equal text. Same sub-problem:
    the same quantities under the same operation; where quantities are named, the same question, in so far as it is
    worked out from the same ones. Same intent: the same sub-problem or question, or the wording of the
    meta-reasoning.
    """

    name = "rules@3"

    def __init__(self, config: RulesJudgeConfig | None = None) -> None:
        self.config = config or RulesJudgeConfig(type="rules")

    def judge_pair(self, pair: StepPair) -> PairVerdict:
        """Judges one pair of steps."""
        return judge_views(view_of(pair.teacher_step), view_of(pair.student_step), self.config.symbolic)

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order."""
        return [self.judge_pair(pair) for pair in pairs]


def build(config: RulesJudgeConfig, cache: CacheConfig) -> RulesJudge:
    """Builds the judge; asking again is cheaper than a cache."""
    return RulesJudge(config)
