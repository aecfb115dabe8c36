"""Answers with units: ``150 cents`` is ``$1.50``, ``90 minutes`` is ``1.5 hours``, and ``5 km`` is not ``5 miles``."""

from __future__ import annotations

import re

from rlkd.quantities.numbers import parse_number, same_value

_UNITS: dict[str, tuple[tuple[float, tuple[str, ...]], ...]] = {
    "time": (
        (1.0, ("s", "sec", "secs", "second", "seconds")),
        (60.0, ("min", "mins", "minute", "minutes")),
        (3600.0, ("h", "hr", "hrs", "hour", "hours")),
        (86_400.0, ("day", "days")),
        (604_800.0, ("week", "weeks")),
    ),
    "length": (
        (0.001, ("mm", "millimeter", "millimeters", "millimetre", "millimetres")),
        (0.01, ("cm", "centimeter", "centimeters", "centimetre", "centimetres")),
        (1.0, ("m", "meter", "meters", "metre", "metres")),
        (1000.0, ("km", "kilometer", "kilometers", "kilometre", "kilometres")),
        (0.0254, ("inch", "inches")),
        (0.3048, ("ft", "foot", "feet")),
        (0.9144, ("yd", "yard", "yards")),
        (1609.344, ("mi", "mile", "miles")),
    ),
    "mass": (
        (0.001, ("mg", "milligram", "milligrams")),
        (1.0, ("g", "gram", "grams")),
        (1000.0, ("kg", "kilogram", "kilograms")),
        (28.349523125, ("oz", "ounce", "ounces")),
        (453.59237, ("lb", "lbs", "pound", "pounds")),
    ),
    "volume": (
        (0.001, ("ml", "milliliter", "milliliters", "millilitre", "millilitres")),
        (1.0, ("l", "liter", "liters", "litre", "litres")),
    ),
    "money": ((0.01, ("¢", "cent", "cents")), (1.0, ("$", "dollar", "dollars"))),
}
_BY_NAME = {
    name: (kind, factor) for kind, sizes in _UNITS.items() for factor, names in sizes for name in names
}
_MEASURE = re.compile(
    r"(-?)(\$?)(\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,20})?|\d{1,24}(?:\.\d{1,20})?)\s?(¢|[a-z]{1,16}\b)?(?: of [a-z ]{1,40})?[.,;)]?\s{0,4}\Z"
)
"""An amount and nothing more: what follows in ``5 m/s``, ``1 hour 30 minutes`` or ``$1.5 million`` would change it."""


def same_measure(a: str, b: str) -> bool | None:
    """Whether two answers are the same amount of the same thing.

    Args:
        a: An answer in lower case, for example ``1.5 hours``.
        b: The other one.

    Returns:
        The verdict, or ``None`` where one of them is no amount in a unit that is known here.
    """
    one, other = _measure(a), _measure(b)
    if one is None or other is None:
        return None
    if one[0] != other[0]:
        return False
    smaller = min(one[2], other[2])  # in the smaller unit, so that whole numbers are compared as such
    x, y = (round(value * (size / smaller), 9) for _, value, size in (one, other))
    return same_value(x, y)


def _measure(text: str) -> tuple[str, float, float] | None:
    """What kind of amount, how much, and the size of its unit."""
    match = _MEASURE.match(text)
    if match is None:
        return None
    sign, dollar, number, name = match.groups()
    unit = _BY_NAME.get(name or dollar)
    value = parse_number(number)
    if unit is None or value is None or (dollar and name not in (None, "dollar", "dollars")):
        return None
    return unit[0], -value if sign else value, unit[1]
