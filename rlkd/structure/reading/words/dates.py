"""Dates in prose: where they stand, and which days they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rlkd.answers.dates import read_day

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
HAS_DATE = re.compile(
    rf"\d/\d{{1,2}}/\d{{4}}|\d{{4}}-\d\d-\d\d|{_MONTH} \d|\d(?:st|nd|rd|th)?(?: of)? {_MONTH}"
)
"""What a text without a date does not hold."""
_DATE = re.compile(
    rf"(?<![\d/-])(?:\d{{1,2}}/\d{{1,2}}/\d{{4}}|\d{{4}}-\d\d-\d\d)(?![\d/-])|\b{_MONTH} {_NTH}(?:,? \d{{4}})?\b(?!/)"
    rf"|\b{_NTH}(?: of)? {_MONTH}(?:,? \d{{4}})?\b"
)


def find_dates(text: str) -> Iterator[tuple[int, int, str]]:
    """Finds the dates of a text: ``(start, end, "2002-07-28")``, in order; the year is ``0000`` where none is said.

    Example:
        >>> list(find_dates("Today is Jul 28, 2002."))
        [(9, 21, '2002-07-28')]
    """
    for match in _DATE.finditer(text):
        day = read_day(match.group())
        if day is not None:
            yield *match.span(), f"{day.year:04d}-{day.month:02d}-{day.day:02d}"


def mask_dates(text: str) -> str:
    """Writes letters for dates, of the same length: no calculation is read off ``05/03/2021`` or ``June 1, 2021``."""
    for start, end, _ in find_dates(text):
        text = f"{text[:start]}{'d' * (end - start)}{text[end:]}"
    return text


def with_days(text: str) -> str:
    """Writes every date in one form: ``Jul 28, 2002`` and ``7/28/2002`` become ``2002-07-28``."""
    parts, at = [], 0
    for start, end, day in find_dates(text):
        parts += [text[at:start], day]
        at = end
    return "".join([*parts, text[at:]])
