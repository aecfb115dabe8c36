"""What an answer can be: a quantity, an interval, named values, a choice, a time, words."""

from __future__ import annotations

from dataclasses import dataclass

from rlkd.answers.dates import Clock, Day
from rlkd.answers.formula import Tree
from rlkd.answers.words import Choice, Words
from rlkd.quantities.units import Unit


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or formula, with what it counts or measures.

    Attributes:
        tree: The formula; of ``35%`` that of 35.
        unit: Its unit, where that is known.
        noun: What is counted, where that is no unit.
        percent: Whether it is a percentage.
        finished: Whether it is a number as one writes it, no formula: ``18``, ``1 3/4``, ``1.6 * 10^2``.
    """

    tree: Tree
    unit: Unit | None = None
    noun: str = ""
    percent: bool = False
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    r"""Several values: ``list`` (``3, 4``), ``set`` (``\{3, 4\}``), ``tuple`` (``(3, 4)``), ``array`` (``[3, 4]``) or ``matrix``
    (rows are tuples).
    """

    kind: str
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers between two ends; ``name`` is the unknown of an inequality."""

    low: Tree
    high: Tree
    low_closed: bool
    high_closed: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class Union:
    """Several intervals together."""

    parts: tuple[Interval | Group, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """An equation or inequality: ``left sign right``."""

    sign: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Named:
    """A value with its name: ``x = 4``, ``A = lw``, ``gcd = 6``."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Ratio:
    """``3:4`` or ``2 to 1``."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a base: ``2431_5``; ``base`` 0 where none is said."""

    digits: str
    base: int


INFINITY: Tree = ("sym", "infinity")
Value = Quantity | Group | Interval | Union | Relation | Named | Ratio | Based | Clock | Day | Choice | Words
