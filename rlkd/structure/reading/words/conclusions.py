"""What a path concludes, where that is no number: yes or no, an option, a date, a relation, a name.

The last calculation of a path says what the path comes to. A path in words says it in its last sentence: "So the answer is
no.", "The answer is (b).", "Final Answer: Ann is Bob's aunt."; or with its first word: "No, hockey is not played on grass."
"""

from __future__ import annotations

import re

from rlkd.structure.reading.words.dates import find_dates
from rlkd.structure.reading.words.propositions import Proposition, read_proposition, same_proposition

_TAIL = 600
"""Characters at the end of a path in which a stated answer is looked for."""
WORDED = re.compile(
    r"(?:nswer(?: is| would be)?:?|####|oxed\{)[\s*(\[\"']{0,4}(?:[A-Za-z]|\d{1,2}/\d{1,2}/|\d{4}-)"
)
"""What stands at the end of a path that states another answer than a number, and of some others."""
_STATED = re.compile(
    r"(?:####|\\boxed\{|\banswer(?:, [a-z]{1,12},| to [^.\n]{1,80}?)?(?: is| would be| must be| should be|\s?[:=]))\s*(?P<said>[^\n]{1,300})",
    re.IGNORECASE,
)
_VERDICT = re.compile(r"[\s*\"'(]{0,4}(?:(?P<yes>yes|true)|(?P<no>no|false))\b", re.IGNORECASE)
_JUDGED = re.compile(
    r"\b(?:statement|sentence|claim|it) is (?:therefore |thus |likely )?(?P<denied>not )?(?:(?P<good>true|plausible|correct)|(?P<bad>false|implausible|incorrect))\b"
)
_OPTION = re.compile(
    r"[^\n]{0,60}?(?:\((?P<one>[A-Ja-j])\)|(?:\A|\s)(?P<other>[A-Ja-j])\)|\A\W{0,3}(?P<bare>[A-J])\b(?!['\u2019-]))"
)
_SHORT = 6
"""Words of an answer that is a name or a thing; a longer one is a sentence."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def read_conclusion(path: str) -> str:
    """Reads what a path concludes.

    Args:
        path: The path.

    Returns:
        ``yes``, ``no``, ``(b)``, ``2002-07-28``, ``relation aunt ann bob``, or the words of a short answer; empty where
        the path states none, or a number.

    Example:
        >>> read_conclusion("Ice hockey is played on ice. So the answer is no.")
        'no'
    """
    stated = [m["said"] for m in _STATED.finditer(path, max(0, len(path) - _TAIL))]
    stated = [said for said in stated if not said.rstrip().endswith("?")]  # "Final answer: Is it plausible?"
    if stated:
        return conclusion_of(stated[-1])
    sentences = [said for said in _SENTENCE.split(path[-4 * _TAIL :].strip()) if said.strip()]
    if not sentences:
        return ""
    for said in (sentences[-1], path.lstrip()[:80]):
        match = _VERDICT.match(said)
        if match and said[match.end() : match.end() + 1] in ("", ",", ".", "!", ";"):
            return "yes" if match["yes"] else "no"
    judged = _JUDGED.search(sentences[-1])
    if judged:
        return "yes" if bool(judged["good"]) != bool(judged["denied"]) else "no"
    return _of_sentence(sentences[-1])


def conclusion_of(said: str) -> str:
    """Reads what a stated answer concludes; empty where it is a number, or longer than a name.

    Example:
        >>> conclusion_of("(B)"), conclusion_of("out"), conclusion_of("18")
        ('(b)', 'out', '')
    """
    match = _VERDICT.match(said)
    if match:
        return "yes" if match["yes"] else "no"
    if found := _of_sentence(said):
        return found
    match = _OPTION.match(said)
    if match:
        return f"({(match['one'] or match['other'] or match['bare']).lower()})"
    words = re.findall(r"[^\W_]+", said.split(". ")[0].split(", ")[0].lower())
    if len(words) > _SHORT or any(char.isdigit() for char in said):
        return ""
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def _of_sentence(said: str) -> str:
    """The relation or the last date that a sentence states."""
    found = read_proposition(said)
    if found is not None and found.other:
        return " ".join(("relation", found.predicate[0], found.subject[0], found.other))
    days = [day for _, _, day in find_dates(said)]
    return days[-1] if days else ""


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
