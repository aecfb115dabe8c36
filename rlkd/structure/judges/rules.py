"""The ``rules`` judge: compares values, quantities, operations and wording, without a model."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.quantities.amounts import same_measure
from rlkd.quantities.numbers import same_value, stated_number
from rlkd.structure.graph import same_work
from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.reading.words.claims import CLAIM_STOP, THEREFORE, premises_alike
from rlkd.structure.reading.words.statements import compare_statements, wording
from schemas.config.structure import CacheConfig, RulesJudgeConfig
from schemas.structure import RETRACTED, Calculation, ReasoningStep

_ANSWER_COUNTS = 0.3
"""Probability of the same intent below which answers are not compared: under no threshold in use would they count."""
_WORDING_SAME = 0.85
"""Word overlap from which two texts are the same sub-problem for certain."""


def same_number(a: Calculation, b: Calculation) -> bool:
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
            if x == y or ((x % 1.0 or y % 1.0) and same_value(x, y)):
                del rest[k]
                shared += 1
                break
    return shared / max(len(a), len(b))


_THE_SAME = PairVerdict(1.0, 1.0, 1.0)
_OTHER_RESULT = PairVerdict(1.0, 1.0, 0.0)
_NOTHING_SHARED = PairVerdict(0.0, 0.0, 0.0)
OTHER_OPERANDS = 0.6
"""Same result from quantities none of which are shared (``9 * 2 = 18`` and ``10 + 8 = 18``): likely the same sub-problem."""


def judge_calculations(teacher: Calculation, student: Calculation) -> PairVerdict | None:
    """Compares two calculations.

    Returns:
        The verdict, or ``None`` where they have nothing in common: neither the result, nor the same operation on the
        same quantities.
    """
    value, other = teacher.value, student.value
    alike = teacher.operation == student.operation and same_work(teacher, student)
    if value == other or ((value % 1.0 or other % 1.0) and same_number(teacher, student)):
        if alike:
            return _THE_SAME
        overlap = operand_overlap(teacher.operands, student.operands)
        return PairVerdict(1.0, OTHER_OPERANDS + (1 - OTHER_OPERANDS) * overlap, 1.0)
    return _OTHER_RESULT if alike else None


def judge_steps(
    teacher: ReasoningStep, student: ReasoningStep, symbolic: bool = False, problem: str = ""
) -> PairVerdict:
    """Compares two steps of paths on a problem; see :class:`RulesJudge`."""
    teacher_work, student_work = teacher.calculations, student.calculations
    if teacher_work and student_work and teacher.kind != RETRACTED != student.kind:
        if len(teacher_work) == len(student_work) == 1:
            return judge_calculations(teacher_work[0], student_work[0]) or _NOTHING_SHARED
        # Words make no two steps alike that share neither result nor operation.
        return max(
            (judge_calculations(a, b) or _NOTHING_SHARED for a in teacher_work for b in student_work), key=sum
        )
    if any(step.quantities and not step.calculations for step in (teacher, student)):
        sub_problem = _named_sub_problem(teacher, student)
    else:
        sub_problem = wording(teacher.sub_problem, student.sub_problem)
    intent = 1.0 if teacher.sub_problem and teacher.sub_problem == student.sub_problem else sub_problem
    if teacher.meta and student.meta:
        intent = max(wording(teacher.meta, student.meta), intent)
    if states(teacher) and states(student):
        said = compare_statements(teacher.answer, student.answer, problem)
        agrees = min(said.about, said.agrees)
        return PairVerdict(max(intent, said.about), max(sub_problem, said.about), agrees)
    answer = same_answer(teacher, student, intent, symbolic)
    return PairVerdict(_sure(intent), _sure(sub_problem), answer)


def states(step: ReasoningStep) -> bool:
    """Tells whether a step in words states something: its answer is a sentence, not a value."""
    return not step.calculations and step.answer.count(" ") >= 2


def _sure(score: float) -> float:
    return 1.0 if score >= _WORDING_SAME else score


def _named_sub_problem(teacher: ReasoningStep, student: ReasoningStep) -> float:
    """Steps whose quantities are named: the question and what it is worked out from decide."""
    same = teacher.sub_problem == student.sub_problem
    text = 1.0 if same else wording(teacher.sub_problem, student.sub_problem)
    if THEREFORE in (teacher.operation, student.operation):
        return text * (0.5 + 0.5 * premises_alike(teacher.quantities, student.quantities, CLAIM_STOP))
    shared = len(set(teacher.quantities) & set(student.quantities))
    total = len(set(teacher.quantities) | set(student.quantities))
    quantities = shared / total if total else 1.0
    return text * quantities if teacher.operation == student.operation else 0.5 * text * quantities


def same_answer(
    teacher: ReasoningStep, student: ReasoningStep, intent: float, symbolic: bool = False
) -> float:
    """Compares the answers of two steps, in [0, 1]; they count only where the intent may be the same."""
    if intent < _ANSWER_COUNTS:
        return 0.0
    a, b = teacher.answer.strip().rstrip(".").lower(), student.answer.strip().rstrip(".").lower()
    if not a or not b:
        return 1.0 if not a and not b and teacher.sub_problem == student.sub_problem else 0.0
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
    worked out from the same ones. Statements in words are compared by what they say (:mod:`rlkd.structure.reading.words.statements`). Same intent: the same sub-problem or question, or the wording of the
    meta-reasoning.
    """

    name = "rules@5"

    def __init__(self, config: RulesJudgeConfig | None = None) -> None:
        self.config = config or RulesJudgeConfig()

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order."""
        symbolic = self.config.symbolic
        return [judge_steps(pair.teacher_step, pair.student_step, symbolic, pair.problem) for pair in pairs]


def build(config: RulesJudgeConfig, cache: CacheConfig) -> RulesJudge:
    """Builds the judge; asking again is cheaper than a cache."""
    return RulesJudge(config)
