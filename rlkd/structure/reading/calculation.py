"""Calculations while they are read, and arithmetic expressions: bounded, fast, and never ``eval``.

An expression is a flat list whose items are ``float`` (operands) and ``str`` (``+ - * / % ^ ( )``, ``%`` being the remainder).
Every function is linear in its input and refuses what is too long or too deep, so that no text can make it slow.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rlkd.quantities.numbers import canonical
from schemas.structure import Calculation

MAX_TOKENS = 96
"""Longer expressions are not read."""
MAX_DEPTH = 12
_DO: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}

Item = float | str


class ExpressionError(ValueError):
    """The tokens are no expression, or one that is too large to read."""


def _apply(op: str, a: float, b: float) -> float:
    if op in _DO:
        return _DO[op](a, b)
    if op == "/":
        if b == 0:
            raise ExpressionError("division by zero")
        return a / b
    if op == "%":
        if b == 0:
            raise ExpressionError("division by zero")
        return a % b
    if abs(b) > 64 or (a == 0 and b < 0) or (a < 0 and b != int(b)):
        raise ExpressionError("power out of range")
    try:
        return float(a**b)
    except OverflowError as error:
        raise ExpressionError("power out of range") from error


def evaluate(items: list[Item]) -> float:
    """Evaluates a flat expression with the usual precedence; adjacent operands multiply.

    Args:
        items: Operands and operators, for example ``[16.0, "-", 3.0, "-", 4.0]``.

    Returns:
        The value.

    Raises:
        ExpressionError: The items are no complete expression, too many, too deep, or divide by zero.
    """
    if len(items) > MAX_TOKENS:
        raise ExpressionError("expression too long")
    if (
        len(items) == 3
        and isinstance(items[0], float)
        and isinstance(items[2], float)
        and items[1] in _PRECEDENCE
    ):
        do = _DO.get(str(items[1]))  # "16 - 7", as four of five expressions are
        value = do(items[0], items[2]) if do else _apply(str(items[1]), items[0], items[2])
    else:
        value = _shunt(items)
    if value != value or value in (math.inf, -math.inf):
        raise ExpressionError("value out of range")
    return value


def _shunt(items: list[Item]) -> float:
    """Operator-precedence evaluation with two stacks."""
    values: list[float] = []
    ops: list[str] = []

    def reduce_top() -> None:
        op = ops.pop()
        if op == "~":
            if not values:
                raise ExpressionError("no operand")
            values[-1] = -values[-1]
            return
        if op == "(" or len(values) < 2:
            raise ExpressionError("unbalanced expression")
        b = values.pop()
        values[-1] = _apply(op, values[-1], b)

    operand_before = False
    for item in items:
        if isinstance(item, float):
            if operand_before:  # 2(3), (a)(b), 2x: implicit product
                _push_op("*", ops, reduce_top)
            values.append(item)
            operand_before = True
        elif item == "(":
            if operand_before:
                _push_op("*", ops, reduce_top)
            ops.append("(")
            if len(ops) > 4 * MAX_DEPTH:
                raise ExpressionError("expression too deep")
            operand_before = False
        elif item == ")":
            if not operand_before:
                raise ExpressionError("empty parentheses")
            while ops and ops[-1] != "(":
                reduce_top()
            if not ops:
                raise ExpressionError("unbalanced parentheses")
            ops.pop()
        elif not operand_before:
            if item == "-":
                ops.append("~")
            elif item != "+":
                raise ExpressionError("operator without operand")
        else:
            _push_op(item, ops, reduce_top)
            operand_before = False
    if not operand_before:
        raise ExpressionError("unfinished expression")
    while ops:
        reduce_top()
    if len(values) != 1:
        raise ExpressionError("no single value")
    return values[0]


def _push_op(op: str, ops: list[str], reduce_top: object) -> None:
    rank = _PRECEDENCE[op]
    while ops and ops[-1] != "(":
        top = ops[-1]
        top_rank = 2.5 if top == "~" else _PRECEDENCE[top]
        if top_rank > rank or (top_rank == rank and op != "^"):
            reduce_top()  # type: ignore[operator]
        else:
            break
    ops.append(op)


@dataclass(slots=True)
class Found(Calculation):
    """A calculation in the text that is being read: where it stands, and its expression.

    It does not leave the reading: :meth:`finished` makes the :class:`~schemas.structure.Calculation` of it.

    Attributes:
        start, end: Span in the text, in code points.
        at: Where the equals sign (or mark) stands; a calculation belongs to the sentence that holds it.
        items: The expression.
        computed: The value of the expression.
        stated: Whether a result was stated.
        source: Its LaTeX, where it cannot be written down from ``items``.
    """

    start: int = 0
    end: int = 0
    at: int = 0
    items: list[Item] = field(default_factory=list)
    computed: float = 0.0
    stated: bool = True
    source: str = ""

    def quantities(self) -> list[str]:
        """Its operands as canonical text; variables by name."""
        if self.source and self.symbolic:
            return _SOURCE_QUANTITY.findall(self.source)
        return [written(x, exact=False) for x in self.operands]

    def finished(self) -> Calculation:
        """Returns what was read, as data; its text is how it is shown to people: ``16-3-4=9``."""
        if self.source:
            text = f"${self.source}$"
        else:
            result = f"{canonical(self.value * 100)}%" if self.percent else written(self.value)
            said = "".join([item if isinstance(item, str) else written(item) for item in self.items])
            text = f"{said}={result}" if said else f"x={result}" if self.symbolic else f"${result}$"
        value = round(self.value, 6) if self.value % 1.0 else self.value  # 14.999999999999998 is 15
        return Calculation(
            value if value else self.value,
            self.operands,
            self.operation,
            text,
            self.holds,
            self.percent,
            self.symbolic,
            self.equation_key,
        )


_SOURCE_QUANTITY = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?:_\w)?(?![A-Za-z])|\d+(?:\.\d+)?")


def written(value: float, exact: bool = True) -> str:
    """Returns a number as text, or the name of the variable that it stands in for; exact text reads back as the very same value."""
    if value % 1.0 == 0 and -1e15 < value < 1e15:
        return str(int(value))  # as canonical does, without the way there
    if value in _NAMES:
        return _NAMES[value]
    if not exact or value % 1.0 == 0:
        return canonical(value)
    text = repr(value)
    return f"{value:.20f}".rstrip("0") if "e" in text else text


def variable_value(name: str) -> float:
    """A fixed stand-in for a variable, so that equal expressions have equal values (never a round number)."""
    return 1.0 + (ord(name[0]) * 0.618033988749895 * (1 + 0.001 * len(name))) % 1.0 * 7.3 + 0.0123456


_NAMES = {variable_value(letter): letter for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}
