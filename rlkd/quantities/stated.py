"""The quantities that a problem states, in digits or in words."""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS = {
    "half": 0.5, "quarter": 0.25, "once": 1.0, "one": 1.0, "twice": 2.0, "double": 2.0, "two": 2.0, "couple": 2.0, "pair": 2.0,
    "three": 3.0, "third": 3.0, "thirds": 3.0, "triple": 3.0, "thrice": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0,
    "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "dozen": 12.0, "thirteen": 13.0, "fourteen": 14.0,
    "fifteen": 15.0, "sixteen": 16.0, "seventeen": 17.0, "eighteen": 18.0, "nineteen": 19.0, "twenty": 20.0, "thirty": 30.0,
    "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0, "ninety": 90.0, "hundred": 100.0,
    "thousand": 1000.0,
}  # fmt: skip
_QUANTITY = re.compile(
    r"\d{1,3}(?:[, ]\d{3}){1,6}(?!\d)(?:\.\d{1,20})?|\d{1,24}(?:\.\d{1,20})?(?!\d)|\.\d{1,20}|[A-Za-z]{3,9}"
)
_MAX_QUANTITIES = 64

_ONES = {word: int(value) for word, value in _WORDS.items() if value >= 1 and value < 20 and word not in (
    "once", "twice", "double", "couple", "pair", "third", "thirds", "triple", "thrice", "dozen",
)}  # fmt: skip
_TENS = {word: int(value) for word, value in _WORDS.items() if 20 <= value <= 90}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000}
_SPELT = re.compile(
    r"\b(?:{0})(?:[- ](?:and )?(?:{0}))*\b".format("|".join([*_ONES, *_TENS, *_SCALES])), re.IGNORECASE
)

UNIT_CONSTANTS = (1.0, 2.0, 3.0, 4.0, 7.0, 10.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0, 1000.0)
"""Numbers that paths use though no problem states them: days, months, minutes, percent."""


@lru_cache(maxsize=4096)
def problem_quantities(problem: str) -> tuple[float, ...]:
    """The numbers of a problem in order, repeats kept; number words count, at most 64."""
    found: list[float] = []
    for match in _QUANTITY.finditer(problem[:20_000]):
        text = match.group()
        if text[0].isalpha():
            value = _WORDS.get(text.lower())
            if value is None:
                continue
        else:
            value = float(text.replace(",", "").replace(" ", ""))
        found.append(value)
        if len(found) >= _MAX_QUANTITIES:
            break
    return tuple(found)


def with_digits(text: str) -> str:
    """The text with its number words in digits: ``twenty-five`` is ``25``, ``two hundred`` ``200``.

    A lone "one" stays a word: it is a pronoun more often than a number.
    """
    return _SPELT.sub(_in_digits, text)


def _in_digits(match: re.Match[str]) -> str:
    words = re.split(r"[- ]", match.group().lower())
    if words == ["one"]:
        return match.group()
    total = part = 0
    for word in words:
        if word in _SCALES:
            part = max(part, 1) * _SCALES[word]
            if word == "thousand":
                total, part = total + part, 0
        elif word != "and":
            part += _ONES.get(word) or _TENS[word]
    return str(total + part)
