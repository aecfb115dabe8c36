"""Compares what two paths conclude, where that is no number."""

from __future__ import annotations

from rlkd.structure.reading.propositions import Proposition, same_proposition

UNSAID = 0.25
"""A path that states no conclusion leaves the teacher's last step out: 1.5 halvings, as one that stops before the last calculation
(0.3 for the step, 1.2 for its open result)."""


def same_conclusion(teacher: str, student: str) -> float:
    """Returns how far a student's conclusion is the teacher's, in [0, 1]; 1 where the teacher states none.

    A date without a year is the same day of any year; of two relations between the same people the one may be said from the
    other's side ("Ann is Bob's mother", "Bob is Ann's son").
    """
    if not teacher or teacher == student:
        return 1.0
    if not student:
        return UNSAID
    if teacher.startswith("relation ") and student.startswith("relation "):
        found = same_proposition(_relation(teacher), _relation(student))
        return found[1] if found else 0.0
    if teacher[:1].isdigit() and student[:1].isdigit():
        return float("0000" in (teacher[:4], student[:4]) and teacher[4:] == student[4:])
    return 0.0


def _relation(said: str) -> Proposition:
    _, how, one, other = said.split(" ", 3)
    return Proposition((one,), (how,), other)
