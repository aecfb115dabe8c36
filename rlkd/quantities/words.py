"""Number words: ``twenty-five`` is 25, ``one hundred and five`` 105, ``two and a half`` 5/2, ``a dozen`` 12."""

from __future__ import annotations

import re
from fractions import Fraction

ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_PARTS = {
    "half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "twelfth": 12, "hundredth": 100, "thousandth": 1000,
}  # fmt: skip
_COUNTS = {"once": 1, "twice": 2, "thrice": 3, "double": 2, "triple": 3, "couple": 2, "pair": 2, "score": 20}
_LONGEST = 16
"""Words of a number; more are no number."""


def spelled_number(text: str) -> Fraction | None:
    """Reads a number in words.

    Args:
        text: Words, in any case, joined by blanks or hyphens.

    Returns:
        The value; ``None`` where the text is anything else, or the words do not go together (``five twenty``).

    Example:
        >>> spelled_number("one hundred and five"), spelled_number("three quarters")
        (Fraction(105, 1), Fraction(3, 4))
    """
    if len(text) > 200:
        return None
    words = (
        re.sub(r"(?<=and|ion), ", " ", text.lower()).replace("-", " ").split()
    )  # one thousand, two hundred
    if not 0 < len(words) <= _LONGEST:
        return None
    if words[0] in ("minus", "negative"):
        value = _unsigned(words[1:])
        return None if value is None else -value
    return _unsigned(words)


def _unsigned(words: list[str]) -> Fraction | None:
    if len(words) == 3 and words[0] == "half" and words[1] in ("a", "an") and words[2] in SCALES:
        return Fraction(SCALES[words[2]], 2)
    if len(words) == 1 and words[0] in _COUNTS:
        return Fraction(_COUNTS[words[0]])
    if len(words) == 2 and words[0] in ("a", "one") and words[1] in ("couple", "pair", "score"):
        return Fraction(_COUNTS[words[1]])
    bottom = _PARTS.get(words[-1].removesuffix("s")) if words else None
    if bottom is None and words[-1:] == ["halves"]:
        bottom = 2
    if bottom is None:
        whole = _cardinal(words)
        return None if whole is None else Fraction(whole)
    before = words[:-1]
    if "and" in before:  # two and a half, one hundred and two thirds: the last "and" joins the part
        cut = len(before) - 1 - before[::-1].index("and")
        whole, top = _cardinal(before[:cut]), _numerator(before[cut + 1 :])
        if whole is not None and top is not None and top < bottom:
            return whole + Fraction(top, bottom)
    top = _numerator(before)
    return None if top is None else Fraction(top, bottom)


def _numerator(words: list[str]) -> int | None:
    """How many parts: ``a half`` and ``half`` are one."""
    return 1 if words in ([], ["a"], ["an"]) else _cardinal(words)


def _cardinal(words: list[str]) -> int | None:
    """Reads a whole number; ``a`` counts as one before a scale."""
    total = part = 0
    room = 1000
    """What the next word must be smaller than: after ``twenty`` comes less than ten, after ``five`` nothing."""
    said = False
    last_scale = 10**15
    for i, word in enumerate(words):
        if word == "and":
            if not said or i + 1 == len(words) or words[i - 1] not in SCALES:
                return None
        elif word in SCALES:
            size = SCALES[word]
            if i and words[i - 1] == "and":
                return None
            if word == "hundred" and 0 < max(part, 1) < 100:
                part, room = max(part, 1) * size, 100
            elif word == "dozen" and i + 1 == len(words):
                part = max(part, 1) * size
            elif size >= 1000 and size < last_scale:
                total, part, room, last_scale = total + max(part, 1) * size, 0, 1000, size
            else:
                return None
            said = True
        elif word in ("a", "an"):
            if i or len(words) == 1 or words[1] not in SCALES:
                return None
            part, room, said = 1, 1, True
        else:
            value = ONES.get(word, TENS.get(word))
            if value is None or value >= room or (value == 0 and len(words) > 1):
                return None
            part, said = part + value, True
            room = 10 if word in TENS else 0
    return total + part if said else None


_SPELT = re.compile(
    r"\b(?:(?:an? )(?={1}\b))?(?:{0}|{1})(?:[- ](?:and )?(?:{0}|{1}))*\b".format(
        "|".join([*ONES, *TENS]), "|".join(SCALES)
    ),
    re.IGNORECASE,
)
"""A stretch of number words."""
_SINGLE = {
    **{word: float(value) for word, value in _COUNTS.items() if word != "score"},
    "half": 0.5, "quarter": 0.25, "third": 3.0, "thirds": 3.0,
}  # fmt: skip
_WORDY = re.compile(rf"{_SPELT.pattern}|\b(?:{'|'.join(_SINGLE)})\b", re.IGNORECASE)
WORDED = _WORDY.pattern
"""A stretch of words that states a number in prose: what :func:`worded_values` reads."""


def worded_values(text: str) -> list[float]:
    """The numbers that a stretch of words states in prose; words that make no number together count singly."""
    single = _SINGLE.get(text.lower())
    if single is not None:
        return [single]
    value = spelled_number(text)
    if value is not None:
        return [float(value)]
    return [float(known) for word in re.split(r"[- ]", text) if (known := spelled_number(word)) is not None]


def with_digits(text: str) -> str:
    """The text with its number words in digits: ``twenty-five`` is ``25``, ``two hundred`` ``200``.

    A lone "one" stays a word: it is a pronoun more often than a number.
    """
    return _SPELT.sub(_in_digits, text)


def _in_digits(match: re.Match[str]) -> str:
    if match[0].lower() == "one":
        return match[0]
    value = spelled_number(match[0])
    if value is not None:
        return str(value)
    return re.sub(r"[A-Za-z]+", lambda word: str(spelled_number(word[0]) or word[0]), match[0])
