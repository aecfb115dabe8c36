"""Numbers: read from text, written as text, compared as values."""

from __future__ import annotations

import re

MAX_DIGITS = 24


def parse_number(text: str) -> float | None:
    """Reads ``1,234.5``, ``.5``, ``12`` or the hour ``5:00`` as a float.

    Args:
        text: Digits with optional thousands commas and one point.

    Returns:
        The value, or ``None`` where the text is no number or has too many digits to be one.
    """
    if len(text) > MAX_DIGITS:
        return None
    try:
        return float(text)
    except ValueError:  # with commas, blanks or an hour; most have none
        pass
    try:
        return float(text.replace(",", "").replace(" ", "").removesuffix(":00"))
    except ValueError:
        return None


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


_ANSWER_NUMBER = re.compile(r"-?\$?(\d{1,3}(?:,\d{3}){1,6}|\d{1,24})(\.\d{1,20})?(?![\d.])")


def stated_number(text: str) -> float | None:
    """The number that an answer begins with; ``None`` where it does not."""
    match = _ANSWER_NUMBER.match(text)
    if match is None:
        return None
    value = float(match.group(1).replace(",", "") + (match.group(2) or ""))
    return -value if text.startswith("-") else value
