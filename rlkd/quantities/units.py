"""The unit table: what a unit measures and how large it is. The only one.

A unit is a product of powers of base units with an exact factor, so that ``km/h`` and ``m/s`` can be compared, and
``1 foot`` is ``30.48 cm``. Temperatures have an offset beside the factor: ``20 °C`` is ``68 °F``, never ``20 °F``. Currencies
measure different things: nobody can say at which rate they would be equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure.

    Attributes:
        measures: What it measures, as powers of base dimensions: ``(("length", 1), ("time", -1))`` for a speed.
        factor: Its size in base units (metre, second, gram, month, one of a currency).
        offset: Added after the factor; of temperatures only.
    """

    measures: tuple[tuple[str, int], ...]
    factor: Fraction
    offset: Fraction = Fraction(0)

    def base(self, value: Fraction) -> Fraction:
        """A value in this unit, in base units."""
        return value * self.factor + self.offset


_INCH = Fraction("0.0254")
_POUND = Fraction("453.59237")
_GALLON = 231 * _INCH**3
_LITRE = Fraction(1, 1000)
_KELVIN = Fraction("273.15")
_TABLE: tuple[tuple[str, int, Fraction, str], ...] = (
    # (dimension, power, size, names; a plural "s" need not be named)
    ("time", 1, Fraction(1, 1000), "ms millisecond"),
    ("time", 1, Fraction(1), "s sec second"),
    ("time", 1, Fraction(60), "min minute"),
    ("time", 1, Fraction(3600), "h hr hour"),
    ("time", 1, Fraction(86_400), "day"),
    ("time", 1, Fraction(604_800), "week wk"),
    ("months", 1, Fraction(1), "month"),
    ("months", 1, Fraction(12), "year yr"),
    ("months", 1, Fraction(120), "decade"),
    ("months", 1, Fraction(1200), "century centuries"),
    ("length", 1, Fraction(1, 10**9), "nm nanometer nanometre"),
    ("length", 1, Fraction(1, 10**6), "μm micrometer micrometre micron"),
    ("length", 1, Fraction(1, 1000), "mm millimeter millimetre"),
    ("length", 1, Fraction(1, 100), "cm centimeter centimetre"),
    ("length", 1, Fraction(1, 10), "dm decimeter decimetre"),
    ("length", 1, Fraction(1), "m meter metre"),
    ("length", 1, Fraction(1000), "km kilometer kilometre"),
    ("length", 1, _INCH, "in inch inches"),
    ("length", 1, 12 * _INCH, "ft foot feet"),
    ("length", 1, 36 * _INCH, "yd yard"),
    ("length", 1, 63_360 * _INCH, "mi mile"),
    ("length", 2, Fraction(10_000), "ha hectare"),
    ("length", 2, 43_560 * (12 * _INCH) ** 2, "acre"),
    ("mass", 1, Fraction(1, 1000), "mg milligram"),
    ("mass", 1, Fraction(1), "g gram gramme"),
    ("mass", 1, Fraction(1000), "kg kilogram kilo"),
    ("mass", 1, Fraction(10**6), "tonne"),
    ("mass", 1, _POUND / 16, "oz ounce"),
    ("mass", 1, _POUND, "lb pound"),
    ("mass", 1, 2000 * _POUND, "ton"),
    ("length", 3, _LITRE / 1000, "ml milliliter millilitre cc"),
    ("length", 3, _LITRE / 100, "cl centiliter centilitre"),
    ("length", 3, _LITRE / 10, "dl deciliter decilitre"),
    ("length", 3, _LITRE, "l liter litre"),
    ("length", 3, _GALLON, "gal gallon"),
    ("length", 3, _GALLON / 4, "qt quart"),
    ("length", 3, _GALLON / 8, "pt pint"),
    ("length", 3, _GALLON / 16, "cup"),
    ("length", 3, _GALLON / 256, "tbsp tablespoon"),
    ("length", 3, _GALLON / 768, "tsp teaspoon"),
    ("dollars", 1, Fraction(1), "$ dollar usd buck us$"),
    ("dollars", 1, Fraction(1, 100), "¢ cent"),
    ("dollars", 1, Fraction(1, 4), "quarters"),
    ("dollars", 1, Fraction(1, 10), "dime"),
    ("dollars", 1, Fraction(1, 20), "nickel"),
    ("euros", 1, Fraction(1), "€ euro eur"),
    ("sterling", 1, Fraction(1), "£ gbp quid"),
    ("sterling", 1, Fraction(1, 100), "pence"),
    ("yen", 1, Fraction(1), "¥ yen jpy"),
    ("rupees", 1, Fraction(1), "₹ rupee inr rs"),
    ("won", 1, Fraction(1), "₩ won krw"),
    ("yuan", 1, Fraction(1), "yuan cny rmb"),
    ("francs", 1, Fraction(1), "chf franc"),
    ("pesos", 1, Fraction(1), "peso mxn"),
    ("canadian dollars", 1, Fraction(1), "cad c$ ca$"),
    ("australian dollars", 1, Fraction(1), "aud a$ au$"),
    ("angle", 1, Fraction(1), "° degree deg"),
    ("energy", 1, Fraction(1), "joule"),
    ("energy", 1, Fraction("4.184"), "calorie"),
    ("energy", 1, Fraction(3_600_000), "kwh"),
    ("force", 1, Fraction(1), "newton"),
    ("power", 1, Fraction(1), "watt"),
    ("power", 1, Fraction(1000), "kilowatt"),
    ("voltage", 1, Fraction(1), "volt"),
    ("resistance", 1, Fraction(1), "ohm ω"),
    ("current", 1, Fraction(1), "ampere amp"),
    ("frequency", 1, Fraction(1), "hertz hz"),
    ("pressure", 1, Fraction(1), "pascal"),
    ("substance", 1, Fraction(1), "mol mole"),
)
_TEMPERATURES = (
    ("°c celsius centigrade|degree celsius|degrees celsius|degrees c|degree c", Fraction(1), _KELVIN),
    ("°f fahrenheit|degree fahrenheit|degrees fahrenheit|degrees f|degree f", Fraction(5, 9), _KELVIN - 32 * Fraction(5, 9)),
    ("kelvin", Fraction(1), Fraction(0)),
)  # fmt: skip
_BY_NAME = {
    name: Unit(((dimension, power),), size)
    for dimension, power, size, names in _TABLE
    for name in names.split()
}
_BY_NAME["mph"] = Unit((("length", 1), ("time", -1)), 63_360 * _INCH / 3600)
_BY_NAME["kph"] = _BY_NAME["kmh"] = Unit((("length", 1), ("time", -1)), Fraction(1000, 3600))
_TEMPERATURE = {
    name: Unit((("temperature", 1),), factor, offset)
    for names, factor, offset in _TEMPERATURES
    for group in names.split("|")
    for name in ([group] if group.startswith("degree") else group.split())
}
_SYMBOLS = {
    f"{prefix}{symbol}": Unit(_BY_NAME[name].measures, _BY_NAME[name].factor * size)
    for symbol, name in (
        ("J", "joule"),
        ("N", "newton"),
        ("W", "watt"),
        ("V", "volt"),
        ("Hz", "hertz"),
        ("Pa", "pascal"),
        ("cal", "calorie"),
    )
    for prefix, size in (("", 1), ("k", 1000), ("M", 10**6))
} | {"K": _TEMPERATURE["kelvin"]}
"""Symbols whose case matters: ``kJ``, ``MHz``."""
CURRENCY_SIGNS = "$€£¥₹₩"
_TERM = re.compile(
    r"(?:(?P<before>square|sq\.?|cubic|cu\.?) ?)?(?P<name>[$€£¥₹₩¢°]|(?:us|ca?|au?)\$|[a-zμ]+)\.?(?: ?\^ ?[({]?(?P<power>-?[1-9])[)}]?|(?P<glued>[23])| (?P<after>squared|cubed))?"
)
_JOINT = re.compile(r" ?/ ?| per | an? (?=[a-z])| ?[*·] ?|[ -]")
_BEFORE = {"sq": 2, "square": 2, "cu": 3, "cubic": 3}
_AFTER = {"squared": 2, "cubed": 3}


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit that a text names.

    Args:
        text: ``cm``, ``Hours``, ``km/h``, ``miles per hour``, ``square feet``, ``m^2``, ``°C``, ``$``.

    Returns:
        The unit, or ``None`` where some part of the text is no unit of the table.
    """
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    text = " ".join(text.lower().split())
    if len(text) > 60:
        return None
    if text in _TEMPERATURE:
        return _TEMPERATURE[text]
    measures: dict[str, int] = {}
    factor = Fraction(1)
    position, sign = 0, 1
    while True:
        term = _TERM.match(text, position)
        unit = _named(term["name"]) if term else None
        if term is None or unit is None:
            return None
        power = int(term["power"] or term["glued"] or 1) * _BEFORE.get((term["before"] or "").rstrip("."), 1)
        power *= sign * _AFTER.get(term["after"] or "", 1)
        for dimension, own in unit.measures:
            measures[dimension] = measures.get(dimension, 0) + own * power
        factor *= unit.factor**power
        if term.end() == len(text):
            break
        joint = _JOINT.match(text, term.end())
        if joint is None:
            return None
        if joint[0].strip() in ("/", "per", "a", "an"):
            sign = -1
        position = joint.end()
    return Unit(tuple(sorted((name, power) for name, power in measures.items() if power)), factor)


def _named(name: str) -> Unit | None:
    return _BY_NAME.get(name) or (_BY_NAME.get(name[:-1]) if len(name) > 2 and name.endswith("s") else None)
