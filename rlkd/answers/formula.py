r"""Reads a formula wholly, or not at all: ``\frac{2n}{2}``, ``(1+\sqrt{2})^2``, ``1/sqrt(2)``, ``3a b``.

A formula becomes a tree of tuples, whose first item is the kind: ``("num", Fraction)``, ``("sym", "x_1")``, ``("+", a, b)``,
``("*", a, b)``, ``("/", a, b)``, ``("^", a, b)``, ``("-", a)``, ``("fn", name, argument, ...)``, ``("dots", "0.33")`` (a decimal that goes
on). A sign that the grammar does not know ends the reading with :class:`Unreadable`: no letter is dropped, and no rest is
left over.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

from rlkd.answers.tokens import Unreadable, tokens_of

__all__ = ["Tree", "Unreadable", "read_formula"]

Tree = tuple[Any, ...]
MAX_CHARS = 400
MAX_DEPTH = 24
MAX_TOKENS = 240
"""A product of more factors is nested too deeply for Python: ``x x x x ...`` of a student that repeats itself."""


@lru_cache(maxsize=8192)
def read_formula(text: str) -> Tree:
    """Reads a formula.

    Args:
        text: The formula and nothing else, cleaned by :func:`rlkd.answers.clean.clean_answer`.

    Returns:
        Its tree.

    Raises:
        Unreadable: Some part of the text is no part of a formula.
    """
    if not text or len(text) > MAX_CHARS:
        raise Unreadable("no formula, or too long")
    reader = _Reader(text)
    tree = reader.sum()
    if reader.position < len(reader.tokens):
        raise Unreadable(f"cannot read {reader.tokens[reader.position][1]!r}")
    return tree


class _Reader:
    """Recursive descent over the tokens of a formula."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
        if len(self.tokens) > MAX_TOKENS:
            raise Unreadable("too long")
        self.position = 0
        self.depth = 0

    def peek(self) -> tuple[str, Any]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, Any]:
        token = self.peek()
        self.position += 1
        return token

    def sign(self, *signs: str) -> bool:
        """Takes the next token where it is one of the signs."""
        kind, value = self.peek()
        if kind == "sign" and value in signs:
            self.position += 1
            return True
        return False

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")
        tree = self.product()
        while True:
            if self.sign("+"):
                tree = ("+", tree, self.product())
            elif self.sign("-"):
                tree = ("+", tree, ("-", self.product()))
            else:
                self.depth -= 1
                return tree

    def product(self) -> Tree:
        if self.sign("-"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise Unreadable("too deep")
            tree: Tree = ("-", self.product())
            self.depth -= 1
            return tree
        if self.sign("+"):
            return self.product()
        tree = self.power()
        while True:
            kind, value = self.peek()
            if kind == "sign" and value in ("*", "/"):
                self.take()
                negative = self.sign("-")
                factor = self.power()
                tree = (value if value == "/" else "*", tree, ("-", factor) if negative else factor)
                if value == "*":
                    tree = ("*", *tree[1:], "written")
            elif self.begins_atom():
                if kind == "number" and self.tokens[self.position - 1][0] == "number":
                    raise Unreadable("two numbers side by side")
                tree = ("*", tree, self.power())
            else:
                return tree

    def begins_atom(self) -> bool:
        kind, value = self.peek()
        if kind == "sign":
            return value in ("(", "{", "√", "⌊", "⌈")
        return kind in ("number", "symbol", "function", "frac", "binom", "decorated", "dots")

    def power(self) -> Tree:
        tree = self.postfix(self.atom())
        if self.sign("^"):
            negative = self.sign("-")
            exponent = self.script() if self.peek()[1] in ("{",) else self.power()
            tree = ("^", tree, ("-", exponent) if negative else exponent)
            tree = self.postfix(tree)
        return tree

    def postfix(self, tree: Tree) -> Tree:
        while True:
            if self.sign("!"):
                tree = ("fn", "factorial", tree)
            elif self.sign("%"):
                tree = ("/", tree, ("num", Fraction(100)))
            elif self.sign("°"):
                tree = ("*", tree, ("/", ("sym", "pi"), ("num", Fraction(180))))
            else:
                return tree

    def script(self) -> Tree:
        """One argument of a command: a group in braces, or the next single sign."""
        if self.sign("{"):
            tree = self.sum()
            self.close("}")
            return tree
        kind, value = self.peek()
        if kind == "number" and value[1]:  # TeX takes one digit: \frac12
            digits = value[1]
            rest = digits[1:]
            if rest:
                self.tokens[self.position] = ("number", (Fraction(rest), rest))
            else:
                self.position += 1
            return ("num", Fraction(digits[0]))
        return self.atom()

    def close(self, sign: str) -> None:
        if not self.sign(sign):
            raise Unreadable(f"no {sign}")

    def atom(self) -> Tree:
        kind, value = self.take()
        if kind == "number":
            return ("num", value[0] + self.proper_fraction() if value[1] else value[0])
        if kind == "dots":
            return ("dots", value)
        if kind == "symbol":
            return self.symbol(value)
        if kind == "decorated":
            return self.symbol(f"{value}:{self.name()}")
        if kind == "frac":
            return ("/", self.script(), self.script())
        if kind == "binom":
            return ("fn", "binom", self.script(), self.script())
        if kind == "function":
            return self.function(value)
        if kind == "sign" and value == "√":
            return ("fn", "sqrt", self.script() if self.peek()[1] == "{" else self.atom())
        if kind == "sign" and value in ("(", "{", "["):
            tree = self.sum()
            self.close({"(": ")", "{": "}", "[": "]"}[value])
            return tree
        if kind == "sign" and value in ("⌊", "⌈"):
            tree = self.sum()
            self.close("⌋" if value == "⌊" else "⌉")
            return ("fn", "floor" if value == "⌊" else "ceil", tree)
        if kind == "sign" and value == "|":
            tree = self.sum()
            self.close("|")
            return ("fn", "abs", tree)
        raise Unreadable(f"cannot read {value!r}")

    def proper_fraction(self) -> Fraction:
        r"""The fraction of a mixed number: ``3\frac{1}{2}``, ``3 1/2``; else 0, and nothing is taken."""
        start, saved = self.position, list(self.tokens)
        kind, value = self.peek()
        tree: Tree | None = None
        try:
            if kind == "frac":
                self.take()
                tree = ("/", self.script(), self.script())
            elif kind == "number" and value[1] and self.tokens[start + 1 : start + 2] == [("sign", "/")]:
                self.position += 2
                tree = ("/", ("num", value[0]), self.script())
        except Unreadable:
            tree = None
        if tree and all(part[0] == "num" for part in tree[1:]) and 0 < tree[1][1] < tree[2][1]:
            return Fraction(tree[1][1], tree[2][1])
        self.position, self.tokens = start, saved
        return Fraction(0)

    def name(self) -> str:
        """What stands under a decoration or in a subscript, as text."""
        if not self.sign("{", "("):
            kind, value = self.take()
            if kind not in ("symbol", "number"):
                raise Unreadable("no name")
            if kind == "number" and len(value[1]) > 1 and self.tokens[self.position - 2][1] != "_(":
                # TeX takes one digit, people mean all of them: x_12
                return str(value[1])
            return str(value if kind == "symbol" else value[1])
        parts = []
        while not self.sign("}", ")"):
            kind, value = self.take()
            if kind == "end":
                raise Unreadable("no end of a name")
            parts.append(str(value[1] if kind == "number" else value))
        return "".join(parts)

    def symbol(self, name: str) -> Tree:
        if self.sign("_"):
            name = f"{name}_{self.name()}"
        while self.sign("'"):
            name += "'"
        return ("sym", name)

    def function(self, name: str) -> Tree:
        if name == "sqrt":
            index: Tree | None = None
            if self.sign("["):
                index = self.sum()
                self.close("]")
            argument = self.script()
            return ("fn", "sqrt", argument) if index is None else ("fn", "root", argument, index)
        base: Tree | None = None
        exponent: Tree | None = None
        if name == "log" and self.sign("_"):
            base = self.script()
        if self.sign("^"):
            negative = self.sign("-")
            exponent = self.script()
            if negative or exponent == ("-", ("num", Fraction(1))):
                raise Unreadable("an inverse function or a reciprocal")
        argument = self.argument()
        tree: Tree = ("fn", name, argument) if base is None else ("fn", "log", argument, base)
        return tree if exponent is None else ("^", tree, exponent)

    def argument(self) -> Tree:
        r"""``(x)``, ``{x}``, or the product that follows: ``\sin 2x``."""
        kind, value = self.peek()
        if kind == "sign" and value in ("(", "{", "|"):
            return self.power() if value == "|" else self.atom()
        if kind == "sign" and value == "-":
            self.take()
            return ("-", self.argument())
        if not self.begins_atom() or kind == "function":
            if kind == "function":
                return self.power()
            raise Unreadable("a function of nothing")
        tree = self.power()
        while self.begins_atom() and self.peek()[0] in ("number", "symbol", "frac"):
            tree = ("*", tree, self.power())
        return tree
