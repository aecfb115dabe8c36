"""One calculation while it is being read, and the names of variables."""

from __future__ import annotations

import re

from rlkd.quantities.numbers import canonical
from rlkd.structure.reading.expression import Item
from schemas.structure import Calculation


class Calc:
    """A calculation while it is being read: where it stands, its expression, and the value that the text states for it.

    It does not leave the reading: :meth:`finished` makes the :class:`~schemas.structure.Calculation` of it.

    Attributes:
        start, end: Span in the text, in code points.
        value: The stated value (computed where none is stated).
        operands: The numbers (and stand-ins for variables) of the expression, signs dropped.
        ops: The distinct operators in order of appearance, e.g. ``"*-"``.
        holds: Whether the stated value is the value of the expression.
        computed: The value of the expression.
        stated: Whether a result was stated.
        percent: Whether the result was stated as a percentage (the value is then the fraction).
        symbolic: Whether a variable takes part.
        eq: Where the equals sign (or mark) stands; a calculation belongs to the sentence that holds it.
        items: The expression.
        source: Its LaTeX, where it cannot be written down from ``items``.
        equation_key: For ``x = 3`` the fingerprint of that equation, which equivalent equations share; else ``None``.
    """

    __slots__ = (
        "computed",
        "end",
        "eq",
        "equation_key",
        "holds",
        "items",
        "operands",
        "ops",
        "percent",
        "source",
        "start",
        "stated",
        "symbolic",
        "value",
    )  # fmt: skip

    def __init__(self, start: int, end: int, value: float, operands: tuple[float, ...], ops: str) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.operands = operands
        self.ops = ops
        self.holds = True
        self.computed = value
        self.stated = True
        self.percent = False
        self.symbolic = False
        self.eq = start
        self.items: list[Item] = []
        self.source = ""
        self.equation_key: float | None = None

    def __repr__(self) -> str:
        return f"Calc({self.operands}{self.ops}={self.value}{'' if self.holds else ' FALSE'})"

    def quantities(self) -> list[str]:
        """Its operands as canonical text; variables by name."""
        if self.source and self.symbolic:
            return _SOURCE_QUANTITY.findall(self.source)
        return [_symbol(x) for x in self.operands]

    def finished(self) -> Calculation:
        """Returns what was read, as data."""
        value = round(self.value, 6) if self.value % 1.0 else self.value  # 14.999999999999998 is 15
        return Calculation(
            value=value if value else self.value,
            operands=self.operands,
            operation=self.ops,
            text=self.render(),
            holds=self.holds,
            percent=self.percent,
            symbolic=self.symbolic,
            equation_key=self.equation_key,
        )

    def render(self) -> str:
        """Returns how the calculation is shown to people: ``16-3-4=9``."""
        if self.source:
            return f"${self.source}$"
        value = f"{canonical(self.value * 100)}%" if self.percent else _exact(self.value)
        if not self.items:
            return f"x={value}" if self.symbolic else f"${value}$"
        return f"{''.join(_exact(i) if isinstance(i, float) else i for i in self.items)}={value}"


_SOURCE_QUANTITY = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?:_\w)?(?![A-Za-z])|\d+(?:\.\d+)?")


def _symbol(value: float) -> str:
    return _NAMES.get(value) or canonical(value)


def _exact(value: float) -> str:
    """Text that reads back as the very same value."""
    if value in _NAMES or value == int(value):
        return _symbol(value)
    text = repr(value)
    return f"{value:.20f}".rstrip("0") if "e" in text else text


def variable_value(name: str) -> float:
    """A fixed stand-in for a variable, so that equal expressions have equal values (never a round number)."""
    return 1.0 + (ord(name[0]) * 0.618033988749895 * (1 + 0.001 * len(name))) % 1.0 * 7.3 + 0.0123456


_NAMES = {variable_value(letter): letter for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}
