"""Decides whether two formulas are the same: exactly where they are rational, else by their values.

A formula is worked out at a few fixed points. Numbers stay fractions as long as that is possible, so that sums, products and
powers of rationals are compared without any rounding, however small (``10^{-20}`` and ``10^{-21}``). What is irrational is worked
out twice, with 40 and with 80 digits: only a difference on which both agree is one. A point where some part is not real (a
root of a negative number) says nothing, unless the formulas speak of ``i``. The work is bounded: see :data:`MAX_BITS`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from fractions import Fraction
from math import comb, factorial
from typing import Any

from rlkd.answers.formula import Tree

MAX_BITS = 40_000
"""Bits of a number that is worked out exactly (twelve thousand digits); what is larger is not worked out."""
_MAX_FACTORIAL = 3000
_DIGITS = (40, 80)
_POINTS = 5


class Undefined(ArithmeticError):
    """The formula has no (real) value at a point."""


class TooLarge(ArithmeticError):
    """The value is too large to be worked out."""


def symbols(tree: Tree) -> frozenset[str]:
    """The unknowns of a formula; ``pi``, ``e``, ``i`` and infinity are none."""
    if tree[0] == "sym":
        return frozenset() if tree[1] in ("pi", "e", "i", "infinity") else frozenset([tree[1]])
    return frozenset().union(*(symbols(part) for part in tree[1:] if isinstance(part, tuple)))


def mentions(tree: Tree, name: str) -> bool:
    """Whether a symbol occurs in a formula."""
    if tree[0] == "sym":
        return bool(tree[1] == name)
    return any(mentions(part, name) for part in tree[1:] if isinstance(part, tuple))


def constant(tree: Tree) -> Fraction | None:
    """The exact value of a formula of rational numbers; ``None`` for any other.

    Raises:
        TooLarge: It is too large to be worked out.
    """
    try:
        value = _Worker({}, 40, False).value(tree)
    except Undefined:
        return None
    return value if isinstance(value, Fraction) else None


def identical(a: Tree, b: Tree) -> bool | None:
    """Whether two formulas are equal for all values of their unknowns.

    Returns:
        The verdict; ``None`` where they could be compared at no point.

    Raises:
        TooLarge: One of them is too large to be worked out.
    """
    if a == b:
        return True
    names = symbols(a) | symbols(b)
    if symbols(a) != symbols(b) and not (names and _may_cancel(a, b)):
        return False
    return _same_everywhere(a, b, names, lambda x, y: x - y)


def proportional(a: Tree, b: Tree) -> bool | None:
    """Whether one formula is a constant times the other: then ``a = 0`` and ``b = 0`` are the same equation."""
    names = symbols(a) | symbols(b)
    ratio: list[Any] = []

    def difference(x: Any, y: Any) -> Any:
        if x == 0 or y == 0:
            raise Undefined("zero")
        if not ratio:
            ratio.append(x / y)
            return x - x
        return x - ratio[0] * y

    found = None
    for digits in _DIGITS:
        ratio.clear()
        found = _verdicts(a, b, names, difference, digits)
        if found is None or found is False:
            return found
    return found


def _may_cancel(a: Tree, b: Tree) -> bool:
    r"""Whether an unknown may fall out: ``\frac{2n}{2n}``; not in a formula that is one unknown or number."""
    return len(a) > 2 or len(b) > 2


def _same_everywhere(
    a: Tree, b: Tree, names: frozenset[str], difference: Callable[[Any, Any], Any]
) -> bool | None:
    return _verdicts(a, b, names, difference, _DIGITS[0])


def _verdicts(
    a: Tree, b: Tree, names: frozenset[str], difference: Callable[[Any, Any], Any], digits: int
) -> bool | None:
    complex_ = mentions(a, "i") or mentions(b, "i")
    compared = False
    for k in range(_POINTS if names else 1):
        point = {name: _coordinate(name, k) for name in names}
        try:
            x, y = _pair(a, b, point, digits, complex_)
            gap = difference(x, y) if isinstance(x, Fraction) else _with_digits(digits + 10, difference, x, y)
        except Undefined:
            continue
        if not (isinstance(gap, Fraction) or _is_real_gap(gap, x, y, digits)):
            compared = True
            continue
        if gap != 0 and (isinstance(gap, Fraction) or _agreed(a, b, point, complex_, gap, digits)):
            return False
        compared = True
    if not compared and not names and _has_value(a, digits, complex_) != _has_value(b, digits, complex_):
        return False
    return True if compared else None


def _has_value(tree: Tree, digits: int, complex_: bool) -> bool:
    try:
        _Worker({}, digits, complex_).value(tree)
    except Undefined:
        return False
    return True


def _with_digits(digits: int, difference: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    import mpmath

    with mpmath.workdps(digits):
        return difference(x, y)


def _is_real_gap(gap: Any, x: Any, y: Any, digits: int) -> bool:
    """Whether a difference is more than what rounding leaves of two equal values."""
    import mpmath

    scale = max(abs(_mp(x)), abs(_mp(y)))
    return bool(abs(gap) > scale * mpmath.mpf(10) ** (8 - digits))


def _agreed(a: Tree, b: Tree, point: dict[str, Fraction], complex_: bool, gap: Any, digits: int) -> bool:
    """Whether the difference is still there with twice the digits."""
    import mpmath

    x, y = _pair(a, b, point, 2 * digits, complex_)
    with mpmath.workdps(2 * digits):
        return bool(abs(x - y) > abs(gap) / 1000)


def _pair(a: Tree, b: Tree, point: dict[str, Fraction], digits: int, complex_: bool) -> tuple[Any, Any]:
    """Both values at a point: two fractions, or two numbers of mpmath."""
    x, y = (_Worker(point, digits, complex_).value(tree) for tree in (a, b))
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x, y
    import mpmath

    with mpmath.workdps(digits):
        return _mp(x), _mp(y)


def _coordinate(name: str, k: int) -> Fraction:
    """A fixed value of an unknown at the k-th point: positive at the first two, negative at the third, then of either sign."""
    seed = zlib.crc32(f"{k}:{name}".encode())
    size = Fraction(101 + seed % 389, 97 + (seed >> 9) % 61)
    return size if k < 2 or (k > 2 and seed >> 20 & 1) else -size


def _mp(value: Any) -> Any:
    import mpmath

    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return value


def _size(value: Any) -> Any:
    """The bits before the point of a number of mpmath."""
    import mpmath

    return mpmath.mag(value)


class _Worker:
    """Works a formula out at one point with one number of digits."""

    def __init__(self, point: dict[str, Fraction], digits: int, complex_: bool) -> None:
        self.point = point
        self.digits = digits
        self.complex = complex_

    def value(self, tree: Tree) -> Any:
        """A fraction where the value is exactly known, else a number of mpmath."""
        if self._exact(tree):
            return self._work(tree)
        import mpmath

        with mpmath.workdps(self.digits):
            return self._work(tree)

    def _exact(self, tree: Tree) -> bool:
        """Whether nothing in a formula needs more than fractions."""
        if tree[0] == "sym":
            return tree[1] in self.point
        if tree[0] in ("fn", "^") and not (
            tree[0] == "^" and tree[2][0] in ("num", "-") and _integer(tree[2])
        ):
            return False
        return tree[0] != "dots" and all(self._exact(part) for part in tree[1:] if isinstance(part, tuple))

    def _work(self, tree: Tree) -> Any:
        kind = tree[0]
        if kind == "num":
            return tree[1]
        if kind == "sym":
            return self._symbol(tree[1])
        if kind == "dots":
            return Fraction(tree[1])
        if kind == "-":
            return -self._work(tree[1])
        if kind == "fn":
            return self._function(tree)
        a, b = self._work(tree[1]), self._work(tree[2])
        if kind == "^":
            return self._power(a, b)
        if isinstance(a, Fraction) is not isinstance(b, Fraction):
            a, b = _mp(a), _mp(b)
        if kind == "+":
            return a + b
        if kind == "*":
            return self._bounded(a * b)
        if b == 0:
            raise Undefined("division by zero")
        return a / b

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, Fraction):
            if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
                raise TooLarge
        elif value != 0 and not _size(value) < MAX_BITS:
            raise TooLarge
        return value

    def _symbol(self, name: str) -> Any:
        import mpmath

        if name in self.point:
            return self.point[name]
        if name == "pi":
            return +mpmath.pi
        if name == "e":
            return +mpmath.e
        if name == "i":
            return mpmath.mpc(0, 1)
        raise Undefined(name)

    def _power(self, a: Any, b: Any) -> Any:
        import mpmath

        if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1:
            if a == 0 and b <= 0:
                raise Undefined("zero to no positive power")
            size = (a.numerator.bit_length() + a.denominator.bit_length()) * abs(b.numerator)
            if size > MAX_BITS and abs(a) != 1:
                raise TooLarge
            return a**b.numerator if abs(a) != 1 else (a if b.numerator % 2 else a * a)
        x, y = _mp(a), _mp(b)
        if x == 0:
            if mpmath.re(y) <= 0:
                raise Undefined("zero to no positive power")
            return Fraction(0)
        if abs(y) > 10_000 or abs(y * mpmath.log(abs(x))) > MAX_BITS:
            raise TooLarge
        if not self.complex and x < 0:
            if isinstance(b, Fraction) and b.denominator % 2:  # the real root: (-8)^{1/3} = -2
                return (-1) ** (b.numerator % 2) * (-x) ** y
            raise Undefined("a power of a negative number")
        return x**y

    def _function(self, tree: Tree) -> Any:
        import mpmath

        name = tree[1]
        values = [self._work(part) for part in tree[2:]]
        if name in ("factorial", "binom", "gcd", "lcm", "min", "max"):
            return _of_integers(name, values)
        x = values[0]
        if name == "abs":
            return abs(x)
        if name in ("floor", "ceil"):
            if not isinstance(x, Fraction) and abs(x) > 10**12:
                raise TooLarge
            return Fraction(math.floor(x) if name == "floor" else math.ceil(x))
        if name == "sqrt":
            return self._power(x, Fraction(1, 2)) if x != 0 else Fraction(0)
        if name == "root":
            if not isinstance(values[1], Fraction) or values[1] == 0:
                raise Undefined("no root")
            return self._power(x, 1 / values[1])
        x = _mp(x)
        if name in ("ln", "log", "lg"):
            if x == 0 or (not self.complex and x < 0):
                raise Undefined("the logarithm of no positive number")
            base = _mp(values[1]) if len(values) > 1 else mpmath.mpf(10)
            if base <= 0 or base == 1:
                raise Undefined("no base")
            return mpmath.log(x) if name == "ln" else mpmath.log(x) / mpmath.log(base)
        if abs(x) > 10**6:
            raise TooLarge
        function = getattr(
            mpmath, str({"arcsin": "asin", "arccos": "acos", "arctan": "atan"}.get(name, name))
        )
        if name in ("arcsin", "arccos") and not self.complex and abs(x) > 1:
            raise Undefined("no angle")
        try:
            return function(x)
        except (ValueError, ZeroDivisionError) as error:
            raise Undefined(name) from error


def _integer(tree: Tree) -> bool:
    inner = tree[1] if tree[0] == "-" else tree
    return bool(inner[0] == "num" and inner[1].denominator == 1)


def _of_integers(name: str, values: list[Any]) -> Fraction:
    if not all(isinstance(value, Fraction) and value.denominator == 1 for value in values):
        raise Undefined(f"{name} of what is no whole number")
    numbers = [value.numerator for value in values]
    if any(abs(number) > _MAX_FACTORIAL for number in numbers):
        raise TooLarge
    if any(number < 0 for number in numbers):
        raise Undefined(name)
    if name == "factorial":
        return Fraction(factorial(numbers[0]))
    if name == "binom":
        return Fraction(comb(*numbers))
    raise Undefined(name)


def approximate(tree: Tree) -> Fraction | None:
    """The value of a formula without unknowns to forty digits; ``None`` where it has no real one."""
    import mpmath

    if symbols(tree):
        return None
    try:
        value = _Worker({}, _DIGITS[0], False).value(tree)
    except Undefined:
        return None
    if isinstance(value, Fraction):
        return value
    if not abs(value) < mpmath.mpf(10) ** 30:
        return None
    with mpmath.workdps(_DIGITS[0]):
        return Fraction(int(mpmath.nint(value * mpmath.mpf(10) ** 38)), 10**38)
