"""Dates in prose: where they stand, and which days they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rlkd.answers.dates import read_day

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
HAS_DATE = re.compile(
    rf"\d/\d{{1,2}}/\d\d|\d-\d{{1,2}}-\d{{4}}|\d{{4}}-\d\d-\d\d|{_MONTH} \d|\d(?:st|nd|rd|th)?(?: of)? {_MONTH}"
)
"""What a text without a date does not hold."""
_OTHER = (
    r"(?:\d{4}/\d{1,2}/\d{1,2}|\d{1,2}-\d{1,2}-\d{4}"
    r"|(?<![-+*=×÷(] )(?<![(=])\d{1,2}/\d{1,2}/\d\d(?! ?[-+*=×÷)]))(?![\d/-])"
)
"""Dates that are written in slashes first; ``60/12/5`` in a calculation is none."""
_OTHERS = re.compile(rf"(?<![\d/-]){_OTHER}")
_DATE = re.compile(
    rf"(?<![\d/-])(?:\d{{1,2}}/\d{{1,2}}/\d{{4}}(?![\d/-])|\d{{4}}-\d\d-\d\d(?![\d/-])|{_OTHER})|\b{_MONTH} {_NTH}(?:,? \d{{4}})?\b(?!/)"
    rf"|\b{_NTH}(?: of)? {_MONTH}(?:,? \d{{4}})?\b"
)


def find_dates(text: str) -> Iterator[tuple[int, int, str]]:
    """Finds the dates of a text: ``(start, end, "2002-07-28")``, in order; the year is ``0000`` where none is said.

    Example:
        >>> list(find_dates("Today is Jul 28, 2002."))
        [(9, 21, '2002-07-28')]
    """
    for match in _DATE.finditer(text):
        day = read_day(_OTHERS.sub(lambda found: _slashes(found.group(), text), match.group()))
        if day is not None:
            yield *match.span(), f"{day.year:04d}-{day.month:02d}-{day.day:02d}"


def in_slashes(text: str) -> str:
    """Writes ``12-24-1937``, ``1937/12/24`` and ``12/24/37`` as ``12/24/1937``."""
    return _OTHERS.sub(lambda match: _slashes(match.group(), text), text)


def _slashes(date: str, text: str) -> str:
    """One such date; the century of a short year is that of a year in the text, else the nearest (``31`` is 1931, ``30`` is 2030)."""
    parts = date.split("-" if "-" in date else "/")
    if len(parts[0]) == 4:
        parts = [*parts[1:], parts[0]]
    if len(parts[2]) == 2:
        whole = re.search(rf"(?<!\d)(\d\d){parts[2]}(?!\d)", text)
        parts[2] = f"{whole[1] if whole else 19 if int(parts[2]) > 30 else 20}{parts[2]}"
    return "/".join(parts)


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
