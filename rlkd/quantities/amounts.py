"""Amounts: numbers with units, read exactly: ``$1,234.50``, ``1 hour and 30 minutes``, ``18 eggs``, ``35%``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rlkd.quantities.numbers import exact_number, same_value
from rlkd.quantities.units import CURRENCY_SIGNS, Unit, unit_of

MAX_CHARS = 200
_CODES = r"(?:usd|eur|gbp|jpy|inr|cad|aud|chf|cny|rmb|mxn|krw)\b|rs\b\.?|(?:ca?|au?)\$"
_LEADING = re.compile(
    rf"(?P<sign>[-+]?) ?(?:(?P<cent>¢)|(?:us ?)?(?P<money>[{CURRENCY_SIGNS}])|(?P<code>{_CODES})) ?(?P<rest>[-+]?[\d.].*)\Z",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    r"(?P<number>.+?) ?(?:%|\bper ?cents?(?:ages?)?(?: points?)?|\bpct\.?|\bp\.?c\.?(?=\Z))(?: of (?:the |all )?[a-z ]{1,40})?\Z"
)
_JOINED = re.compile(r",? and (?:an? )?|, | (?=\d)")
_OF = re.compile(r" of [A-Za-z ]{1,40}\Z")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as a text states it.

    Attributes:
        value: The number, exactly.
        unit: Its unit, where that is in the table.
        noun: What is counted, where it is no unit: ``eggs``; lower case.
        percent: Whether it is a percentage (``value`` 35 for 35%).
    """

    value: Fraction
    unit: Unit | None = None
    noun: str = ""
    percent: bool = False


@lru_cache(maxsize=8192)
def read_amount(text: str) -> Amount | None:
    """Reads a number with at most a unit.

    Args:
        text: The amount and nothing else, in plain signs (:mod:`rlkd.quantities.signs`).

    Returns:
        The amount; ``None`` where the text says more, or less.
    """
    text = text.strip()
    if not text or len(text) > MAX_CHARS:
        return None
    value = exact_number(text)
    if value is not None:
        return Amount(value)
    percent = _PERCENT.match(text)
    if percent:
        value = exact_number(percent["number"])
        return None if value is None else Amount(value, percent=True)
    return _with_money(text) or _single(text) or _compound(text)


def _with_money(text: str) -> Amount | None:
    """``$5``, ``-€3.50``, ``USD 31``, ``$15 per hour``, ``$3 million``."""
    match = _LEADING.match(text)
    if match is None:
        return None
    sign = match["money"] or match["cent"] or match["code"]
    rest, unit = match["rest"], unit_of(sign.rstrip("."))
    value = exact_number(rest)
    if value is None:
        tail = re.match(
            r"(.*\d(?:k|K|M|B)?) ?(per |/ ?|an? |dollars?\Z|usd\Z|cents?\Z|euros?\Z|pounds?\Z)(.*)\Z",
            rest,
            re.IGNORECASE,
        )
        value = exact_number(tail[1]) if tail else None
        if tail is None or value is None:
            return None
        if tail[3]:
            unit = unit_of(f"{sign}/{tail[3]}")
            if unit is None:
                return Amount(_signed(value, match["sign"]), None, f"{sign} per {tail[3].lower()}")
        elif unit_of(tail[2]) != unit and not (sign == "£" and tail[2].startswith("pound")):
            return None
    return Amount(_signed(value, match["sign"]), unit)


def _signed(value: Fraction, sign: str) -> Fraction:
    return -value if sign == "-" else value


def _single(text: str, among_others: bool = False) -> Amount | None:
    """A number and one unit or noun: ``5 cm``, ``31 €``, ``18 eggs``, ``twenty-five people``; ``1h`` only among others."""
    head = _split(text)
    if head is None:
        return None
    number, unit, apart = head
    value = exact_number(number)
    if value is None:
        return None
    known = unit_of(_OF.sub("", unit))
    if known is not None:
        letter = re.fullmatch(r"[A-Za-z](?:\^?\d)?|rs", unit)  # 6s^2 is a formula
        glued_letter = not apart and not among_others and letter is not None
        return None if glued_letter else Amount(value, known)
    if not apart or not is_noun(unit):
        return None
    return Amount(value, None, unit.lower().rstrip("."))


_NUMBER_HEAD = re.compile(
    r"[-+]? ?(?:\d[\d,]*(?: \d{3}(?!\d))*(?:\.\d+)?|\.\d+)(?: ?[*x] ?10\^?(?:\([-+]?\d{1,3}\)|[-+]?\d{1,3})|[eE][-+]?\d{1,3}(?![a-z]))?(?:(?: |(?<=\d)-)\d+/\d+|/\d+)?"
    r"(?:[kKMB](?![A-Za-z])| ?(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
)


def _split(text: str) -> tuple[str, str, bool] | None:
    """The number that a text begins with, the rest, and whether a blank stands between them."""
    match = _NUMBER_HEAD.match(text)
    if match:
        rest = text[match.end() :]
        unit = rest.lstrip(" -")
        return (match[0], unit, len(unit) < len(rest)) if unit else None
    words = text.split(" ")
    for cut in range(len(words) - 1, 0, -1):
        if exact_number(" ".join(words[:cut])) is not None:
            return " ".join(words[:cut]), " ".join(words[cut:]), True
    return None


_NOUN = re.compile(r"[A-Za-z]{2,24}(?:(?:[ /-]| per )[A-Za-z]{1,24}){0,5}\.?")
_NO_NOUNS = frozenset(
    [
        "or",
        "and",
        "not",
        "maybe",
        "perhaps",
        "either",
        "if",
        "than",
        "wrong",
        "nor",
        "but",
        "minus",
        "plus",
        "times",
        "divided",
        "squared",
        "cubed",
        "over",
        "pi",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "mod",
        "infinity",
        "right",
        "incorrect",
        "to",
        "from",
        "no",
        "root",
        "am",
        "pm",
        "o",
        "so",
        "approximately",
        "about",
        "because",
        "since",
        "which",
        "half",
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
        "choose",
        "is",
        "are",
        "e",
        "i",
    ]
)


def is_noun(text: str) -> bool:
    """Whether what follows a number is what is counted: ``18 eggs``, but not ``2 pi``, ``5 or 7``."""
    return bool(_NOUN.fullmatch(text)) and not _NO_NOUNS.intersection(re.split(r"[^a-z]+", text.lower()))


def _compound(text: str) -> Amount | None:
    """Amounts of one dimension, one after the other: ``1 hour 30 minutes``, ``31 dollars and 50 cents``, ``5 ft 3 in``."""
    parts = [part for part in _JOINED.split(text) if part]
    if not 2 <= len(parts) <= 4:
        return None
    total, first, size = Fraction(0), None, None
    for part in parts:
        amount = _with_money(part) or _single(part, among_others=True)
        if amount is None or amount.unit is None:
            return None
        if first is not None and (
            amount.unit.measures != first.measures or amount.unit.factor >= (size or 0)
        ):
            return None
        first, size = first or amount.unit, amount.unit.factor
        total += amount.value * amount.unit.factor
    return None if first is None else Amount(total / first.factor, first)


def same_measure(a: str, b: str) -> bool | None:
    """Whether two answers are the same amount of the same thing, up to the rounding of steps.

    Args:
        a: An answer, for example ``1.5 hours``.
        b: The other one.

    Returns:
        The verdict, or ``None`` where one of them is no amount in a unit that is known.
    """
    one, other = (read_amount(text.rstrip(" .,;)")) for text in (a, b))
    if one is None or other is None or one.unit is None or other.unit is None:
        return None
    if one.unit.measures != other.unit.measures:
        return False
    smaller = min(one.unit.factor, other.unit.factor)  # so that whole numbers are compared as such
    x, y = (float(amount.unit.base(amount.value) / smaller) for amount in (one, other) if amount.unit)
    return same_value(round(x, 9), round(y, 9))
