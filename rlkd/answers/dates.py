"""Times of day and dates in answers: ``3:30 p.m.`` is ``15:30``, ``April 30, 2021`` is ``04/30/2021``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day.

    Attributes:
        minutes: Minutes after midnight.
        half_known: Whether it says which half of the day it is in.
    """

    minutes: int
    half_known: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A date; ``year`` 0 where none is said."""

    year: int
    month: int
    day: int


_HALF = re.compile(
    r"(\d{1,2})(?:[:.]([0-5]\d))?(?::00)? ?(?:o'clock )?(?:in the )?([ap]\.? ?m\b\.?|morning|afternoon|evening|noon|midnight)\Z",
    re.IGNORECASE,
)
_HOURS = re.compile(r"(\d{1,2}):([0-5]\d)(?: ?(?:hours|hrs|h|o'clock))?\Z|(\d{1,2}) o'clock\Z", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = r"(?:(?P<weekday>mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|r|ur)?(?:day)?\.?,? )?"
_YEAR = r"(?P<year>\d{4}|(?<=[-/])\d\d)"
_DAYS = (
    re.compile(
        rf"{_WEEKDAY}{_MONTH}[ -](?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:(?:,? |-){_YEAR})?\Z", re.IGNORECASE
    ),
    re.compile(
        rf"{_WEEKDAY}(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ /-]{_MONTH}(?:(?:,? |[/-]){_YEAR})?\Z",
        re.IGNORECASE,
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<month>\d{{1,2}})(?P<sign>[/.-])(?P<day>\d{{1,2}})(?P=sign)(?P<year>\d{{4}}|(?<![.])\d\d)\Z",
        re.IGNORECASE,
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<year>\d{{4}})(?P<sign>[/.-])(?P<month>\d{{1,2}})(?P=sign)(?P<day>\d{{1,2}})\Z",
        re.IGNORECASE,
    ),
)
_CENTURY = 69
"""``5/30/21`` is of 2021, ``5/30/99`` of 1999, as computers read two digits."""


def read_clock(text: str) -> Clock | None:
    """Reads a time of day: ``6 pm``, ``3:30 p.m.``, ``15:30``, ``noon``, ``5 o'clock``; ``None`` for anything else."""
    text = re.sub(r"\Aat (?=\S)", "", text, flags=re.IGNORECASE)
    lower = text.lower()
    if lower in ("noon", "midday", "midnight"):
        return Clock(0 if lower == "midnight" else 720, True)
    match = _HALF.match(text)
    if match:
        hour, minute, half = int(match[1]), int(match[2] or 0), match[3].lower()
        if not 1 <= hour <= 12:
            return Clock(60 * hour + minute, True) if 12 < hour < 24 and half[0] != "a" else None
        morning = (half[0] == "a" and half != "afternoon") or half in ("morning", "midnight")
        return Clock(60 * (hour % 12) + minute + (0 if morning else 720), True)
    match = _HOURS.match(text)
    if match is None:
        return None
    hour, minute = int(match[1] or match[3]), int(match[2] or 0)
    return Clock(60 * hour + minute, hour > 12 or hour == 0) if hour < 24 else None


def read_day(text: str) -> Day | None:
    """Reads a date: ``04/30/2021``, ``April 30, 2021``, ``30th of April``, ``2021-04-30``; ``None`` for anything else.

    Of numbers the month is first, but where that is no month: ``30/05/2021`` has one reading, ``03/04/2021`` is the fourth of March.
    A weekday that does not fit makes it no date.
    """
    text = re.sub(r"\Aon (?:the )?(?=\S)", "", text, flags=re.IGNORECASE)
    for form in _DAYS:
        match = form.match(text)
        if match:
            return _day_of(match.groupdict(), match.groups())
    return None


def _day_of(named: dict[str, str | None], groups: tuple[str | None, ...]) -> Day | None:
    day, year = int(named["day"] or 0), int(named["year"] or 0)
    if named["year"] and len(named["year"]) == 2:
        year += 2000 if year < _CENTURY else 1900
    if "month" in named:
        month = int(named["month"] or 0)
        if month > 12 and named["year"] and groups[-1] == named["year"]:
            month, day = day, month
    else:
        names = (group.lower() for group in groups if group and group != named["weekday"])
        month = next(_MONTHS.index(name) for name in names if name in _MONTHS) + 1
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    weekday = named.get("weekday")
    if weekday and year:
        try:
            fits = date(year, month, day).weekday() == _WEEKDAYS.index(weekday.lower())
        except ValueError:  # June 31
            return None
        return Day(year, month, day) if fits else None
    return Day(year, month, day)


def same_clock(a: Clock, b: Clock) -> bool:
    """Whether two times are the same; ``3:30`` may be either half of the day."""
    if a.half_known and b.half_known:
        return a.minutes == b.minutes
    return a.minutes % 720 == b.minutes % 720


def same_day(a: Day, b: Day) -> bool:
    """Whether two dates are the same; a missing year contradicts none."""
    return (a.month, a.day) == (b.month, b.day) and (a.year == b.year or not (a.year and b.year))
