r"""Turns an expression in LaTeX into a flat expression of numbers and operators, with stand-ins for variables."""

from __future__ import annotations

import math
import re
import zlib
from functools import lru_cache

from rlkd.structure.reading.calculation import ExpressionError, Item, evaluate, variable_value

TOKEN = re.compile(
    r"(\d{1,3}(?:(?:,|\{,\}|\\,|\\!,\\!|,\\!)\d{3}){1,5}(?!\d)(?:\.\d{1,20})?|\d{1,24}(?:\.\d{1,20})?|\.\d{1,20})"  # 1
    r"|\\([A-Za-z]{1,20})\*?"  # 2 command
    r"|([A-Za-z](?:_(?:[0-9A-Za-z]|\{[^{}]{1,12}\}))?'{0,3})"  # 3 variable
    r"|(\\\\)|(\\[%$])|\\[,;:! ]|(<=|>=|[-+*/^=(){}\[\]|,;!&<>~:.])"  # 4 new line, 5 sign, 6 operator
)
_SKIP = frozenset([
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle",
    "textstyle", "quad", "qquad", "limits", "nolimits", "hspace", "vspace", "mathrm", "mathbf",
    "mathit", "operatorname", "rm", "bf", "it", "phantom",
])  # fmt: skip
_TEXT = frozenset(["text", "textbf", "textit", "mbox", "textrm", "hbox"])
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "ln",
        "lg",
        "exp",
        "lim",
        "max",
        "min",
        "arg",
        "det",
        "deg",
        "dim",
        "ker",
        "inf",
        "sup",
    ]
)
"""What is worked out of its argument and not by it: ``\\sin(x + y)`` is no product, and not ``\\sin x + \\sin y``."""
_GROUPING = re.compile(r"[\s{}()]")
_ROUNDING = frozenset(["lfloor", "rfloor", "lceil", "rceil"])
_TIMES = frozenset(("cdot", "times", "ast"))
_NUMERIC_FRACTION = re.compile(r"\s?\{?\d{1,6}\}?\s?\{?\d{1,6}\}?")
_SEPARATOR = re.compile(r"[^\d.]")
_SECOND_POINT = 0.7548776662466927
TUPLE = 1.6180339887498949
"""Stands between the members of a pair, so that it is a value of its own."""


class Unreadable(ValueError):
    """The math is no expression that can be read."""


class Worked(float):
    r"""The value of a function of numbers (``5!``, ``\binom{5}{2}``), with what it was worked out from."""

    operands: tuple[float, ...]
    ops: str

    @classmethod
    def of(cls, value: float, operands: tuple[float, ...], ops: str) -> Worked:
        """A value with its operands."""
        made = cls(value)
        made.operands, made.ops = operands, ops
        return made


class Expression:
    """An expression as read.

    Attributes:
        text: Its LaTeX.
        items: The flat expression with the first stand-ins for variables.
        second: The same with the second ones.
        names: Its variables.
        value, second_value: Its values; ``None`` where it cannot be worked out (too large, no complete expression).
    """

    __slots__ = ("found", "items", "names", "second", "second_value", "text", "value")

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        try:
            found = _Translator(text).run() if text.strip() else []
        except Unreadable:
            found = []
        self._take(found)

    def renamed(self, only: str) -> Expression:
        """The same with the equation's only variable called x: under any name it is the same equation."""
        if only in self.names:
            self._take(
                [_variable("x") if isinstance(x, Variable) and x.name == only else x for x in self.found]
            )
            self.names = {only}  # what it is called in the text
        return self

    def _take(self, found: list[Item | Variable]) -> None:
        self.found = found
        self.names = {x.name for x in found if isinstance(x, Variable)}
        self.items: list[Item] = [x.first if isinstance(x, Variable) else x for x in found]
        self.second: list[Item] = (
            [x.second if isinstance(x, Variable) else x for x in found] if self.names else self.items
        )
        try:
            self.value: float | None = float(evaluate(self.items)) if self.items else None
            self.second_value = float(evaluate(self.second)) if self.names else self.value
        except ExpressionError:
            self.value = self.second_value = None

    def worked(self) -> bool:
        """Whether it works something out, and does not only name a number or variable."""
        return len(self.operands()) > 1 or self.of_function() or any(" " in name for name in self.names)

    def of_function(self) -> bool:
        """Whether a function of numbers takes part, which the items do not show."""
        return any(isinstance(x, Worked) for x in self.items)

    def operands(self) -> tuple[float, ...]:
        """The numbers and stand-ins that it is worked out from."""
        found: list[float] = []
        for x in self.items:
            if isinstance(x, Worked):
                found += x.operands
            elif isinstance(x, float):
                found.append(x)
        return tuple(found)

    def operators(self) -> str:
        """Its distinct operators, in order."""
        signs = [x.ops if isinstance(x, Worked) else x if isinstance(x, str) else "" for x in self.items]
        return "".join(dict.fromkeys(x for x in signs if x not in "()"))


def _seed(name: str) -> int:
    return sum(ord(c) * (31**i) for i, c in enumerate(name))


class Variable:
    """A variable with its two stand-ins."""

    __slots__ = ("first", "name", "second")

    def __init__(self, name: str) -> None:
        seed = zlib.crc32(name.encode("utf-8", "surrogatepass")) if len(name) > 8 else _seed(name)
        self.name = name
        self.first = (
            variable_value(name)
            if len(name) == 1
            else 1.0 + (seed * 0.618033988749895) % 1.0 * 7.3 + 0.0234567
        )
        self.second = 2.0 + (seed * _SECOND_POINT) % 1.0 * 5.1 + 0.0345678


@lru_cache(maxsize=256)
def _variable(name: str) -> Variable:
    return Variable(name)


class _Translator:
    """One pass over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self.tokens = list(TOKEN.finditer(text))
        self.text = text
        self.items: list[Item | Variable] = []
        self.at = 0
        if len(self.tokens) > 160:
            raise Unreadable

    def run(self) -> list[Item | Variable]:
        while self.at < len(self.tokens):
            self.token()
        while self.items and isinstance(self.items[-1], str) and self.items[-1] != ")":
            self.items.pop()
        return self.items

    def token(self) -> None:
        match = self.tokens[self.at]
        self.at += 1
        kind, said = match.lastindex, match.group()
        if kind == 1:
            number = said
            if self.text.startswith("_", match.end()):  # 8_{10} is not 8 times 10, nor 8
                raise Unreadable
            self.items.append(float(number) if number.isdigit() else float(_SEPARATOR.sub("", number)))
        elif kind == 3:
            self.items.append(_variable(said))
        elif kind == 2:
            self.command(match.group(2))
        elif kind == 5 and said == "\\%":
            self.items += ["/", 100.0]
        elif kind == 6:
            if said in ")}]" and self.text.startswith("_", match.end()):  # (1011)_2
                raise Unreadable
            self.sign(said)

    def sign(self, sign: str) -> None:
        if sign in "([{":
            self.items.append("(")
        elif sign in ")]}":
            if self.items and self.items[-1] == "(":
                self.items.pop()
            else:
                self.items.append(")")
        elif sign in "+-*/^":
            self.items.append(sign)
        elif sign == ",":
            self.items += ["+", TUPLE, "*"]
        elif sign == "!":
            self.factorial()
        elif sign in "|<>:":
            raise Unreadable

    def factorial(self) -> None:
        last = self.items[-1] if self.items else None
        if not isinstance(last, float) or last != int(last) or not 0 <= last <= 20:
            raise Unreadable
        self.items[-1] = Worked.of(math.factorial(int(last)), (float(last),), "!")

    def command(self, name: str) -> None:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            if self.mixed():
                self.items.append("+")
            self.items.append("(")
            self.argument()
            self.items.append("/")
            self.argument()
            self.items.append(")")
        elif name in ("binom", "dbinom", "tbinom"):
            self.binomial()
        elif name == "sqrt":
            self.root()
        elif name in _TIMES:
            self.items.append("*")
        elif name == "div":
            self.items.append("/")
        elif name in ("bmod", "mod"):
            self.items.append("%")
        elif name in ("lbrace", "langle"):
            self.items.append("(")
        elif name in ("rbrace", "rangle"):
            self.sign(")")
        elif name in _ROUNDING:  # \lfloor 7/2 \rfloor is not 7/2
            raise Unreadable
        elif name in _FUNCTIONS:
            self.function(name)
        elif name == "pi":
            self.items.append(Variable("pi"))
        elif name in _TEXT:
            self.skip_group()
        elif name in ("circ", "degree", "ldots", "dots", "cdots"):
            if name.endswith("dots"):
                raise Unreadable
            if self.items and self.items[-1] == "^":
                self.items.pop()
            elif len(self.items) > 1 and self.items[-2:] == ["^", "("]:
                del self.items[-2:]
                self.at += 1
        elif name in ("boxed", "fbox"):
            pass
        elif name not in _SKIP:
            self.items.append(Variable(name))

    def function(self, name: str) -> None:
        r"""A function of something: an unknown that is named by all of it, as ``\\ln 2`` or ``\\sin^2(x + y)``."""
        begin = self.at
        while self.at < len(self.tokens) and self.tokens[self.at].group(6) == "^":
            self.at += 1
            self.skip_argument()
        self.skip_argument()
        said = (
            self.text[self.tokens[begin].start() : self.tokens[self.at - 1].end()] if self.at > begin else ""
        )
        self.items.append(_variable(f"{name} {_GROUPING.sub('', said)}"))

    def skip_argument(self) -> None:
        """Passes over a group, or over the numbers, letters and commands that stand together."""
        depth = 0
        while self.at < len(self.tokens):
            match = self.tokens[self.at]
            sign = match.group(6) or ""
            if sign in ("(", "{", "["):
                depth += 1
            elif sign in (")", "}", "]"):
                if not depth:
                    return
                depth -= 1
            elif not depth and (sign or match.group(2) in _TIMES or match.lastindex == 4):
                return
            self.at += 1
            if not depth and sign:
                return

    def mixed(self) -> bool:
        r"""Whether the fraction belongs to a mixed number: ``2\\frac{1}{3}``, which is not a product."""
        match = self.tokens[self.at - 1]
        before = self.tokens[self.at - 2] if self.at > 1 else None
        glued = before is not None and before.group(1) is not None and before.end() == match.start()
        alone = len(self.items) < 2 or self.items[-2] in ("(", "+")
        return glued and alone and _NUMERIC_FRACTION.match(self.text, match.end()) is not None

    def argument(self) -> None:
        """One argument of a command, in parentheses: a group, a digit, a letter or a command."""
        if self.at >= len(self.tokens):
            raise Unreadable
        match = self.tokens[self.at]
        number = match.group(1)
        opening = match.group(6)
        if opening == "{" or opening == "(":  # sqrt(9), as in plain text
            closing = "}" if opening == "{" else ")"
            self.at += 1
            self.items.append("(")
            depth = 1
            while self.at < len(self.tokens):
                sign = self.tokens[self.at].group(6)
                depth += (sign == opening) - (sign == closing)
                if depth == 0:
                    break
                self.token()
            self.at += 1
            if self.items[-1] == "(":
                raise Unreadable
            self.items.append(")")
        elif number is not None and len(number) > 1 and number.isdigit():
            self.items.append(float(number[0]))  # \frac12
            rest = TOKEN.match(number[1:])
            if rest is None:
                raise Unreadable
            self.tokens[self.at] = rest
        else:
            self.token()

    def binomial(self) -> None:
        begin = len(self.items)
        self.argument()
        top = self.items[begin:]
        del self.items[begin:]
        self.argument()
        bottom = self.items[begin:]
        del self.items[begin:]
        numbers = [[x for x in part if not isinstance(x, str)] for part in (top, bottom)]
        if any(len(part) != 1 or not isinstance(part[0], float) for part in numbers):
            raise Unreadable
        n, k = (int(part[0]) for part in numbers)  # type: ignore[arg-type]
        if not 0 <= k <= n <= 1000:
            raise Unreadable
        self.items.append(Worked.of(math.comb(n, k), (float(n), float(k)), "C"))

    def root(self) -> None:
        degree = 2.0
        if self.at + 2 < len(self.tokens) and self.tokens[self.at].group(6) == "[":
            number = self.tokens[self.at + 1].group(1)
            if number is None or self.tokens[self.at + 2].group(6) != "]":
                raise Unreadable
            degree = float(number)
            self.at += 3
        self.items.append("(")
        self.argument()
        self.items += ["^", "(", 1.0, "/", degree, ")", ")"]

    def skip_group(self) -> None:
        if self.at < len(self.tokens) and self.tokens[self.at].group(6) == "{":
            end = self.tokens[self.at].end()
            closing = self.text.find("}", end)
            while self.at < len(self.tokens) and self.tokens[self.at].start() <= closing:
                self.at += 1
