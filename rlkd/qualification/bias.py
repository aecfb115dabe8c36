"""Always-yes bias: what a judge says about steps that are certainly different."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from rlkd.quantities.numbers import same_value
from rlkd.structure.interfaces import Judge, StepPair
from schemas.alignment import SURE
from schemas.qualification import QuestionName, YesBias
from schemas.structure import ReasoningStep, Structure

QUESTIONS: tuple[QuestionName, ...] = ("intent", "sub_problem", "answer")
_TRIES = 40
"""Draws for each pair that is wanted."""
_NUMBER = re.compile(r"\d{1,24}(?:,\d{3})*(?:\.\d+)?")
_CHUNK = 64


def unrelated_pairs(
    read: Sequence[tuple[str, str, Structure]], count: int, rng: random.Random
) -> list[StepPair]:
    """Draws pairs of steps of different problems that have neither wording nor a number nor a premise in common.

    Args:
        read: Problem, domain and structure of teachers' paths.
        count: Pairs that are wanted; there may be fewer.
        rng: The draw.
    """
    steps = [
        (problem, domain, step)
        for problem, domain, structure in read
        for step in structure.steps
        if step.answer
    ]
    found: list[StepPair] = []
    for _ in range(_TRIES * count if steps else 0):
        if len(found) == count:
            break
        (problem, domain, a), (other, other_domain, b) = rng.choice(steps), rng.choice(steps)
        if problem != other and domain == other_domain and certainly_different(a, b):
            found.append(StepPair(a, b, problem, domain))
    return found


def certainly_different(a: ReasoningStep, b: ReasoningStep) -> bool:
    """Tells whether two steps share neither their question, nor their answer, nor a quantity or premise."""
    if _plain(a.sub_problem) == _plain(b.sub_problem) or _plain(a.answer) == _plain(b.answer):
        return False
    if {_plain(q) for q in a.quantities} & {_plain(q) for q in b.quantities}:
        return False
    return not any(same_value(x, y) for x in _numbers(a) for y in _numbers(b))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _numbers(step: ReasoningStep) -> set[float]:
    text = " ".join((step.sub_problem, step.answer, *step.quantities, *(c.text for c in step.calculations)))
    return {float(found.replace(",", "")) for found in _NUMBER.findall(text)}


async def yes_bias(judge: Judge, pairs: Sequence[StepPair]) -> tuple[YesBias, ...]:
    """Computes the mean probability and the share of yes for each question; pairs without a verdict are left out.

    Args:
        judge: The judge, with no question left unasked.
        pairs: Steps that are certainly different: every yes is wrong.
    """
    verdicts = []
    for start in range(0, len(pairs), _CHUNK):
        verdicts += [v for v in await judge.judge(pairs[start : start + _CHUNK]) if v is not None]
    if not verdicts:
        return ()
    found = []
    for name, values in zip(
        QUESTIONS,
        ([v.p_intent for v in verdicts], [v.p_sub_problem for v in verdicts], [v.p_answer for v in verdicts]),
        strict=True,
    ):
        share = sum(value >= SURE for value in values) / len(values)
        found.append(YesBias(question=name, n=len(values), mean=sum(values) / len(values), share=share))
    return tuple(found)
