"""Numbers: read from text, written as text, compared as values. The only reader of digits."""

from __future__ import annotations

import re
from fractions import Fraction

from rlkd.quantities.words import SCALES, spelled_number

MAX_DIGITS = 24
"""More digits are no number of a calculation."""
_MAX_CHARS = 400
_MAX_EXPONENT = 400

PROSE_NUMBER = r"\d{1,3}(?:[, ]\d{3}){1,6}(?!\d)(?:\.\d{1,20})?|\d{1,24}(?:\.\d{1,20})?(?!\d)|\.\d{1,20}"
"""An unsigned number in prose, as a pattern: thousands commas or blanks, ``.5``."""
WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d)|\d+)"
"""An unsigned whole number, as a pattern: ``70000``, ``70,000``, ``70 000``."""
_NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)\s?
    (?:(?:(?P<mixed>{WHOLE})[ -])?(?P<top>{WHOLE})\s?/\s?(?P<bottom>{WHOLE})
     |(?P<decimal>{WHOLE}(?:\.\d*)?|\.\d+)
      (?:[eE](?P<exp>[-+]?\d{{1,3}})|\s?[*xX]\s?10\s?(?:\^|\*\*)\s?(?:(?P<power>[-+]?\d{{1,3}})|[({{]\s?(?P<braced>[-+]?\d{{1,3}})\s?[)}}]))?
      (?:(?P<short>[kKMB]|bn)|\s?(?P<scale>hundred|thousand|million|billion|trillion|dozen))?
     |(?P<ten>10)\s?(?:\^|\*\*)\s?(?:(?P<tpower>[-+]?\d{{1,3}})|[({{]\s?(?P<tbraced>[-+]?\d{{1,3}})\s?[)}}])
    )\Z""",
    re.VERBOSE,
)
_SHORT = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "bn": 10**9}


def exact_number(text: str) -> Fraction | None:
    """Reads a number exactly.

    Args:
        text: A number and nothing else, in plain signs (:mod:`rlkd.quantities.signs`): ``1,234.5``, ``70 000``, ``.5``,
            ``-3/4``, ``1 3/4``, ``1.6 * 10^2``, ``10^(-2)``, ``6.02e23``, ``70k``, ``3 million``, ``twenty-five``.

    Returns:
        The value; ``None`` where the text is no number (``1,23,456``, ``3/0``, ``4 9``) or is too large to be one.
    """
    if len(text) > _MAX_CHARS:
        return None
    text = text.strip()
    match = _NUMBER.match(text)
    if match is None:
        sign, _, rest = text.partition(" ")
        if sign.lower() in ("minus", "negative", "positive") and rest[:1] in "0123456789.":
            value = exact_number(rest)
            return value if value is None or sign.lower() == "positive" else -value
        return spelled_number(text) if text[:1].isalpha() else None
    value = _value(match)
    return -value if value is not None and match["sign"] == "-" else value


def _value(match: re.Match[str]) -> Fraction | None:
    if match["bottom"]:
        bottom = _whole(match["bottom"])
        whole = _whole(match["mixed"]) if match["mixed"] else 0
        return whole + Fraction(_whole(match["top"]), bottom) if bottom else None
    if match["ten"]:
        return Fraction(10) ** int(match["tpower"] or match["tbraced"])
    digits = match["decimal"].replace(",", "").replace(" ", "")
    exponent = int(match["exp"] or match["power"] or match["braced"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    value = Fraction(digits.rstrip(".") or "0") * Fraction(10) ** exponent
    if match["short"]:
        value *= _SHORT[match["short"]]
    return value * SCALES[match["scale"]] if match["scale"] else value


def _whole(text: str) -> int:
    return int(text.replace(",", "").replace(" ", ""))


def parse_number(text: str) -> float | None:
    """Reads ``1,234.5``, ``.5``, ``12`` or the hour ``5:00`` as a float: :func:`exact_number` for calculations.

    Args:
        text: Digits with optional thousands commas and one point.

    Returns:
        The value, or ``None`` where the text is no number or has too many digits to be one.
    """
    if len(text) > MAX_DIGITS:
        return None
    try:
        return float(text)  # nearly all; exact_number takes fifteen times as long
    except ValueError:
        value = exact_number(text.removesuffix(":00"))
        return None if value is None else float(value)


def canonical(value: float) -> str:
    """The shortest text of a value: ``16``, ``0.2``; at most 10 significant digits."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.10g}"


def same_value(a: float, b: float) -> bool:
    """Whether two stated values are the same number: exact for whole numbers, up to rounding otherwise."""
    if a == b:
        return True
    difference = abs(a - b)
    if difference < 1e-9:
        return True
    if not (a % 1.0 or b % 1.0):
        return False
    return difference <= 2e-3 * max(abs(a), abs(b)) or (difference < 0.0051 and abs(a) > 0.1)


_ANSWER_NUMBER = re.compile(rf"(-?)\$?({WHOLE}(?:\.\d{{1,20}})?|\.\d{{1,20}})(?![\d.])")


def stated_number(text: str) -> float | None:
    """The number that an answer begins with; ``None`` where it does not."""
    match = _ANSWER_NUMBER.match(text)
    value = exact_number(match[2]) if match else None
    if match is None or value is None:
        return None
    return -float(value) if match[1] else float(value)
