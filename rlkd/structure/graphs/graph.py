"""The graph of a path: which calculation uses the result of which, and what is open at its end.

A *unit* is one calculation. Its operands are either results of earlier units (edges) or base quantities
(from the problem, or brought in). The *frontier* is every result that nothing uses yet: with the quantities
that are left over, it is what the next step can start from.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.quantities.numbers import same_value
from rlkd.quantities.stated import UNIT_CONSTANTS


class Unit:
    """One calculation of a path.

    Attributes:
        step: Index of the step that holds it.
        value: Its stated value.
        operands: The numbers of its expression, signs dropped.
        ops: Its distinct operators.
        holds: Whether its arithmetic is right.
        percent: Whether the value was stated as a percentage.
        symbolic: Whether a variable takes part.
        deps: Earlier units whose values it uses.
        sure: Those of ``deps`` whose values the problem does not state as well.
        ahead: Later units whose values it uses already (out of order).
        base: Operands that no unit gave.
        key: The value, rounded for quick comparison.
        whole: Whether the value is a whole number.
        signature: Operation and sorted operands; ``None`` where there are not at least two.
        alias: For ``x = 3`` the key of that equation; else 0.
    """

    __slots__ = (
        "ahead",
        "alias",
        "base",
        "deps",
        "holds",
        "key",
        "operands",
        "ops",
        "percent",
        "signature",
        "step",
        "sure",
        "symbolic",
        "value",
        "whole",
    )  # fmt: skip

    def __init__(
        self, step: int, value: float, operands: tuple[float, ...], ops: str, holds: bool = True, percent: bool = False,
        symbolic: bool = False,
    ) -> None:  # fmt: skip
        self.step = step
        key = round(value, 6) if value % 1.0 else value
        self.value = value = key if key else value
        self.operands = operands
        self.ops = ops
        self.holds = holds
        self.percent = percent
        self.symbolic = symbolic
        self.deps: list[int] = []
        self.sure: list[int] = []
        self.ahead: list[int] = []
        self.base: list[float] = []
        self.key = key
        self.whole = not value % 1.0
        self.alias = 0.0
        self.signature = (ops, sorted(operands)) if len(operands) > 1 else None


class Graph:
    """The units of a path in order, with their uses.

    Attributes:
        units: Distinct units: a repeated calculation is kept once.
        uses: For each unit, the later units that use its value.
        dropped: For each dropped unit ``(step, unit that it repeats or -1)``.
        continuations: What :mod:`rlkd.structure.matching.next_results` found to be possible next, by the quantities left over.
    """

    __slots__ = ("_whole", "continuations", "dropped", "units", "uses")

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.uses: list[list[int]] = []
        self.dropped: list[tuple[int, int]] = []
        self.continuations: dict[tuple[float, ...], tuple[set[float], dict[str, set[float]]]] = {}
        self._whole: tuple[list[float], list[float], bool] | None = None

    def whole(self) -> tuple[list[float], list[float], bool]:
        """Frontier, base and whether it ends in algebra, of all units; found once, since a teacher's path is compared often."""
        if self._whole is None:
            self._whole = self.frontier(), self.base(), self.ends_in_algebra()
        return self._whole

    def frontier(self, relevant: Sequence[bool] | None = None) -> list[float]:
        """Values that no (relevant) unit uses."""
        if relevant is None:
            return [u.value for u, used in zip(self.units, self.uses, strict=True) if not used]
        return [
            u.value
            for i, (u, used) in enumerate(zip(self.units, self.uses, strict=True))
            if relevant[i] and not any(relevant[j] for j in used)
        ]

    def ends_in_algebra(self, relevant: Sequence[bool] | None = None) -> bool:
        """Whether an equation in variables is open among the (relevant) units."""
        return any(
            unit.symbolic and unit.ops[-1:] == "=" and not used
            for i, (unit, used) in enumerate(zip(self.units, self.uses, strict=True))
            if relevant is None or relevant[i]
        )

    def base(self, relevant: Sequence[bool] | None = None) -> list[float]:
        """Quantities that the (relevant) units use and that none of them found, repeats kept."""
        found: list[float] = []
        for i, unit in enumerate(self.units):
            if relevant is None or relevant[i]:
                found += unit.base
                if relevant is not None:
                    found += [self.units[d].value for d in (*unit.deps, *unit.ahead) if not relevant[d]]
        return found


def find_value(value: float, values: Sequence[float]) -> int:
    """Index of the last value equal to ``value``, or -1; whole numbers exactly, others up to rounding."""
    if value in values:
        for i in range(len(values) - 1, -1, -1):
            if values[i] == value:
                return i
    if value % 1.0:
        for i in range(len(values) - 1, -1, -1):
            if values[i] % 1.0 and same_value(value, values[i]):
                return i
    return -1


def build_graph(units: Sequence[Unit], problem: Sequence[float]) -> Graph:
    """Links units through the values that they share.

    An operand is the result of the latest earlier unit with that value, unless the problem states the same
    number and that result is already used. A unit that repeats an earlier one, or that only restates one of its
    operands (``20 x 1 = 20``), is dropped: it changes nothing.

    Args:
        units: In the order of the path.
        problem: Quantities that the problem states.
    """
    graph = Graph()
    kept = graph.units
    values: list[float] = []
    previous_symbolic = -1
    for unit in units:
        repeat = _repeat_of(unit, kept, problem)
        if repeat is not None:
            graph.dropped.append((unit.step, repeat))
            continue
        deps: list[int] = []
        sure: list[int] = []
        base: list[float] = []
        for operand in unit.operands:
            j = find_value(operand, values) if values else -1
            if j < 0 and operand != 0 and values:
                j = find_value(-operand, values)
            given = j >= 0 and find_value(operand, problem) >= 0
            if j >= 0 and not (given and graph.uses[j]):
                if j not in deps:
                    deps.append(j)
                if not given and j not in sure:
                    sure.append(j)
            else:
                base.append(operand)
        if unit.symbolic:
            if previous_symbolic >= 0 and previous_symbolic not in deps:
                deps.append(previous_symbolic)
            previous_symbolic = len(kept)
        index = len(kept)
        for j in deps:
            for k, value in enumerate(values):
                if value == values[j]:  # of equal results none stays open, whichever was meant
                    graph.uses[k].append(index)
        unit.deps, unit.sure, unit.base = deps, sure, base
        kept.append(unit)
        values.append(unit.value)
        graph.uses.append([])
    _link_ahead(graph, values, problem)
    return graph


def _link_ahead(graph: Graph, values: list[float], problem: Sequence[float]) -> None:
    """Links operands that neither the problem nor an earlier unit gives to the later unit that does."""
    for i, unit in enumerate(graph.units):
        for operand in unit.base:
            if operand in UNIT_CONSTANTS or find_value(operand, problem) >= 0:
                continue
            j = find_value(operand, values[i + 1 :])
            if j >= 0 and i + 1 + j not in unit.ahead and not _comes_from(graph, i + 1 + j, i):
                unit.ahead.append(i + 1 + j)
                graph.uses[i + 1 + j].append(i)
        if unit.ahead:
            given = [values[j] for j in unit.ahead]
            unit.base = [x for x in unit.base if find_value(x, given) < 0]


def _comes_from(graph: Graph, late: int, early: int) -> bool:
    """Whether a unit uses an earlier one, directly or through others."""
    seen: set[int] = set()
    open_ = [late]
    while open_:
        unit = graph.units[open_.pop()]
        for d in (*unit.deps, *unit.ahead):
            if d == early:
                return True
            if d not in seen:
                seen.add(d)
                open_.append(d)
    return False


def _repeat_of(unit: Unit, kept: list[Unit], problem: Sequence[float]) -> int | None:
    """The unit that one repeats; -1 where it restates a given number, ``None`` where it is new."""
    operands = unit.operands
    value = unit.value
    if (
        not unit.symbolic
        and len(operands) == 2
        and unit.ops in "*/+-"
        and (operands[0] == value or operands[1] == value)
    ):
        other = operands[1] if operands[0] == value else operands[0]
        if (unit.ops in "*/" and other == 1) or (unit.ops in "+-" and other == 0):
            return next((j for j, u in enumerate(kept) if u.key == unit.key), -1)
    if not operands and not unit.symbolic and find_value(value, problem) >= 0:
        return next((j for j, u in enumerate(kept) if u.key == unit.key), -1)
    for j in range(len(kept) - 1, -1, -1):
        earlier = kept[j]
        if earlier.key == unit.key and (
            earlier.operands == operands
            or (unit.symbolic and unit.ops[-1:] == earlier.ops[-1:] == "=")  # the same equation, transformed
            or (not operands and not unit.symbolic)
            or (unit.signature is not None and earlier.signature == unit.signature)
        ):
            return j
    return None


def left_over(base: Sequence[float], problem: Sequence[float], other: Sequence[float]) -> list[float]:
    """Quantities that a path has not used yet: those of the problem, and those that the other path brought in.

    Args:
        base: Base quantities that the path used.
        problem: Quantities of the problem.
        other: Base quantities that the other path used.
    """
    pool = list(problem)
    for quantity in other:
        if quantity not in pool and find_value(quantity, pool) < 0:
            pool.append(quantity)
    pool.reverse()  # so that of equal ones the last goes
    for quantity in base:
        if quantity in pool:
            pool.remove(quantity)
        elif (i := find_value(quantity, pool[::-1])) >= 0:
            del pool[len(pool) - 1 - i]
    pool.reverse()
    return pool
