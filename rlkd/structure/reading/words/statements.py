"""Whether two statements say the same: by what they say where they are simple sentences, else by their words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rlkd.structure.reading.words.claims import CLAIM_STOP, OTHER_CLAIM, agreement, likeness, statement_words
from rlkd.structure.reading.words.dates import HAS_DATE, find_dates, in_slashes, with_days
from rlkd.structure.reading.words.propositions import read_proposition, same_proposition

_NAME = re.compile(r"(?<![.!?] )\b[A-Z][a-z]{1,20}\b|\b[A-Z]\b|\d{1,12}(?:\.\d{1,12})?")
SAME_DAY = 0.7
"""Two statements that come to the same date: "today is two days before the deadline, which is 05/30/2021", "today is May 30, 2021"."""


ALIKE = 2.5
"""Factor from the share of words that two statements have in common to the probability that they are about the same thing, less where
it is few words (one: 1/2, three: 3/4). Statements of one thing in other words share few: "frost is common in winter", "December is
in the winter, so there can be frost"."""
KNOWN = 0.25
"""Weight of a word that the problem holds."""
OTHER_NAMES = 0.3
"""What is left of the agreement of statements each of which names people, things or numbers that the other does not."""


def _names(text: str) -> frozenset[str]:
    return frozenset(m.group() for m in _NAME.finditer(text[1:2_000]))


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
        score *= OTHER_CLAIM
    return score


class Likeness(NamedTuple):
    """How two statements compare, each in [0, 1].

    Attributes:
        about: How sure it is that they are about the same thing.
        agrees: How far they agree on it: 0 for a denial, another value or another thing.
    """

    about: float
    agrees: float


@lru_cache(maxsize=50_000)
def compare_statements(a: str, b: str, problem: str = "") -> Likeness:
    """Compares two statements: what they say counts more than in which words.

    Args:
        a: A statement.
        b: Another.
        problem: The problem's text; words that it holds say little, as all that is said about it uses them.

    Example:
        >>> compare_statements("Luke Voit is a baseball player.", "So Luke Voit is a hockey player.").agrees
        0.0
    """
    if a == b:
        return Likeness(1.0, 1.0)
    dated = compare_dates(a, b)
    if dated:  # else "Today is 12-24-1937." says of today another thing than "12/24/1937" does
        a, b = in_slashes(a), in_slashes(b)
    one, other = read_proposition(a), read_proposition(b)
    if one is not None and other is not None:
        found = same_proposition(one, other)
        if found is not None:
            return Likeness(*found)
    if not dated:
        return _by_words(a, b, problem)
    found = _by_words(with_days(a), with_days(b), with_days(problem))
    last_a, last_b = ([day for _, _, day in find_dates(text)][-1:] for text in (a, b))
    return Likeness(max(found.about, SAME_DAY), 1.0) if last_a == last_b else Likeness(found.about, 0.0)


def compare_dates(a: str, b: str) -> bool:
    """Tells whether two statements are compared by their dates, which no other wording changes."""
    return HAS_DATE.search(a) is not None and HAS_DATE.search(b) is not None


def _by_words(a: str, b: str, problem: str) -> Likeness:
    words_a, words_b = statement_words(a), statement_words(b)
    if not words_a or not words_b:
        return Likeness(0.0, 0.0)
    known = statement_words(problem)
    both = words_a & words_b
    shared = 2 * _weight(both, known) / (_weight(words_a, known) + _weight(words_b, known))
    about = min(1.0, ALIKE * shared * len(both) / (len(both) + 1))
    names_a, names_b = _names(a), _names(b)
    agrees = agreement(a, b, CLAIM_STOP)
    if agrees <= OTHER_CLAIM:
        agrees = 0.0
    elif names_a - names_b and names_b - names_a:
        agrees *= OTHER_NAMES
    if names_a and names_b and not names_a & names_b:
        about *= (
            OTHER_NAMES  # "I need Sue and Dan." and "I need Tom and Hal." share a word and are about others
        )
    return Likeness(about, agrees)


def _weight(words: frozenset[str], known: frozenset[str]) -> float:
    return sum(KNOWN if word in known else 1.0 for word in words)
