"""Is a stated answer equal to the reference? The rules, kind by kind; docs/answers.md has them in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rlkd.answers.clean import clean_answer
from rlkd.answers.dates import Clock, Day
from rlkd.answers.formula import Tree
from rlkd.answers.identity import TooLarge, constant, identical
from rlkd.answers.reading import read_values
from rlkd.answers.rules import Undecided, UndecidedKind, equal_values
from rlkd.answers.symbolic import symbolically_equal
from rlkd.answers.values import Quantity, Value
from rlkd.answers.words import Words, verdict_of

MAX_CHARS = 400
"""Longer answers are no short answers: they count as wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right.

    Attributes:
        right: The verdict; ``None`` where it is undecided.
        undecided: Why it is undecided; empty where it is not.
    """

    right: bool | None
    undecided: UndecidedKind = ""


_DIGITS = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_PRIMES = re.compile(r"(\d) ?(\"|'{1,2})(?!['A-Za-z_])")


_IN_FEET = re.compile(r"\d ?(?:ft|feet|foot|in|inch|inches)\Z")
_QUOTED = re.compile(r"(?<!\d)['\"] ?[\w.]")


def _with_feet(text: str) -> str:
    return _PRIMES.sub(lambda match: f"{match[1]} {'ft' if match[2] == chr(39) else 'in'} ", text).strip()


def answers_equal(reference: str, answer: str, timeout_s: float = 5.0) -> bool | None:
    """Whether an answer equals the reference: :func:`judge_answer` without the reason.

    Args:
        reference: The reference answer.
        answer: The stated answer.
        timeout_s: Longest time for computer algebra, in seconds.

    Returns:
        The verdict; ``None`` where it is undecided.

    Raises:
        VerifierError: Computer algebra failed; see :mod:`rlkd.answers.symbolic`.
    """
    return judge_answer(reference, answer, timeout_s).right


def judge_answer(reference: str, answer: str, timeout_s: float = 5.0) -> Verdict:
    """Says whether an answer equals the reference.

    Both are read into values (numbers with units, formulas, intervals, tuples, sets, named values, equations, choices, times, dates,
    words), each of them wholly or not at all, and two values are compared by the rule of their kind. Numbers are compared exactly. An
    answer that is left as a calculation (``3*4`` for 12) or names alternatives (``5 or 7``) is wrong, and so is one that cannot be
    read beside a reference that can. Only where the reference is a formula beyond the grammar (integrals, sums) math-verify is asked,
    and only its yes to two formulas that it has read wholly counts. Time and memory are bounded, whatever the texts.

    Args:
        reference: The reference answer.
        answer: The stated answer.
        timeout_s: Longest time for computer algebra, in seconds.

    Raises:
        VerifierError: Computer algebra failed; see :mod:`rlkd.answers.symbolic`.
    """
    if len(answer) > MAX_CHARS or len(reference) > 10 * MAX_CHARS:
        return Verdict(reference.strip() == answer.strip())
    if _DIGITS.fullmatch(reference) and _DIGITS.fullmatch(answer):  # most pairs; a hundred times as fast
        return Verdict(Fraction(reference) == Fraction(answer))
    wanted, stated = clean_answer(reference), clean_answer(answer)
    if not stated:
        return Verdict(False)
    if wanted == stated:
        return Verdict(True)
    return _judge(wanted, stated, timeout_s)


@lru_cache(maxsize=8192)
def _judge(wanted: str, stated: str, timeout_s: float) -> Verdict:
    feet = _PRIMES.search(wanted) and not _QUOTED.search(wanted)
    if feet or _IN_FEET.search(wanted):  # 5' and 5"; else a prime is a sign that was not read
        wanted, stated = _with_feet(wanted), _with_feet(stated)
    ours, theirs = read_values(wanted), read_values(stated)
    verdict = _compare_readings(ours, theirs, wanted, stated)
    if verdict.right is not None or verdict.undecided:
        return verdict
    if "\\" not in wanted:
        return Verdict(False)
    equal = symbolically_equal(wanted, stated, timeout_s)
    return (
        Verdict(True) if equal else Verdict(None, "time" if equal is None else "formulas that cannot be read")
    )


def _compare_readings(ours: Sequence[Value], theirs: Sequence[Value], wanted: str, stated: str) -> Verdict:
    """Compares all readings of two texts; neither right nor undecided where the reference is a formula that was not read."""
    for kind in (Clock, Day):
        first, other = ours[0], theirs[0]
        if isinstance(first, kind) and isinstance(other, kind):
            return Verdict(equal_values(first, other))
    undecided: UndecidedKind = ""
    both_read = all(any(not isinstance(value, Words) for value in values) for values in (ours, theirs))
    for a in ours:
        for b in theirs:
            if both_read and isinstance(a, Words) and not a.wordy:
                continue  # "12,345" and "12, 345" look alike and are not
            try:
                if equal_values(a, b):
                    return Verdict(True)
            except Undecided as reason:
                undecided = undecided or reason.kind
            except TooLarge:
                undecided = undecided or "too large to work out"
    verdict = verdict_of(stated)
    if verdict and any(isinstance(value, Words) and value.key == verdict for value in ours):
        return Verdict(True)
    if undecided:
        return _settle(undecided, ours)
    if all(isinstance(value, Words) and not value.wordy for value in ours):
        both = all(isinstance(value, Words) and not value.wordy for value in theirs)
        return Verdict(None) if both else Verdict(None, "formulas that cannot be read")
    return Verdict(False)


def _settle(undecided: UndecidedKind, ours: Sequence[Value]) -> Verdict:
    """An answer that is too large to work out is wrong where the reference is not."""
    if undecided == "too large to work out" and not any(
        isinstance(value, Quantity) and _is_too_large(value.tree) for value in ours
    ):
        return Verdict(False)
    return Verdict(None, undecided)


def _is_too_large(tree: Tree) -> bool:
    try:
        identical(tree, ("sym", "?"))
        constant(tree)
    except TooLarge:
        return True
    return False
