"""The quantities that a problem states, in digits or in words."""

from __future__ import annotations

import re
from functools import lru_cache

from rlkd.quantities.numbers import PROSE_NUMBER, parse_number
from rlkd.quantities.signs import plain_signs
from rlkd.quantities.words import WORDED, worded_values

_QUANTITY = re.compile(rf"({PROSE_NUMBER})|{WORDED}", re.IGNORECASE)
_MAX_QUANTITIES = 64

UNIT_CONSTANTS = (1.0, 2.0, 3.0, 4.0, 7.0, 10.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0, 1000.0)
"""Numbers that paths use though no problem states them: days, months, minutes, percent."""


@lru_cache(maxsize=4096)
def problem_quantities(problem: str) -> tuple[float, ...]:
    """The numbers of a problem in order, repeats kept; number words count, at most 64."""
    found: list[float] = []
    for match in _QUANTITY.finditer(plain_signs(problem[:20_000])):
        if match[1] is None:
            found += worded_values(match[0])
        elif (value := parse_number(match[1])) is not None:
            found.append(value)
        if len(found) >= _MAX_QUANTITIES:
            break
    return tuple(found[:_MAX_QUANTITIES])
