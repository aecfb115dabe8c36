"""The graph of a path: which calculation uses the result of which, and what is open at its end.

A *unit* is one calculation. Its operands are either results of earlier units (edges) or base quantities
(from the problem, or brought in). The *frontier* is every result that nothing uses yet: with the quantities
that are left over, it is what the next step can start from.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.calculations import same_value


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
        base: Operands that no earlier unit gave.
    """

    __slots__ = ("step", "value", "operands", "ops", "holds", "percent", "symbolic", "deps", "base", "key")

    def __init__(
        self, step: int, value: float, operands: tuple[float, ...], ops: str, holds: bool = True, percent: bool = False,
        symbolic: bool = False,
    ) -> None:  # fmt: skip
        self.step = step
        self.value = value
        self.operands = operands
        self.ops = ops
        self.holds = holds
        self.percent = percent
        self.symbolic = symbolic
        self.deps: list[int] = []
        self.base: list[float] = []
        self.key = round(value, 6)


class Graph:
    """The units of a path in order, with their uses.

    Attributes:
        units: Distinct units: a repeated calculation is kept once.
        uses: For each unit, the later units that use its value.
        base: Every base quantity that the path used, repeats kept.
        copies: For each dropped unit ``(step, unit that it repeats or -1)``.
    """

    __slots__ = ("units", "uses", "base", "dropped")

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.uses: list[list[int]] = []
        self.base: list[float] = []
        self.dropped: list[tuple[int, int]] = []

    def frontier(self) -> list[float]:
        """Values that no later unit uses."""
        return [u.value for u, used in zip(self.units, self.uses, strict=True) if not used]


def find_value(value: float, values: Sequence[float]) -> int:
    """Index of the last value equal to ``value``, or -1."""
    for i in range(len(values) - 1, -1, -1):
        if same_value(value, values[i]):
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
        repeat = _repeat_of(unit, kept)
        if repeat is not None:
            graph.dropped.append((unit.step, repeat))
            continue
        deps: list[int] = []
        base: list[float] = []
        for operand in unit.operands:
            j = find_value(operand, values)
            if j < 0 and operand != 0 and values:
                j = find_value(-operand, values)
            if j >= 0 and not (graph.uses[j] and find_value(operand, problem) >= 0):
                if j not in deps:
                    deps.append(j)
            else:
                base.append(operand)
        if unit.symbolic:
            if previous_symbolic >= 0 and previous_symbolic not in deps:
                deps.append(previous_symbolic)
            previous_symbolic = len(kept)
        index = len(kept)
        for j in deps:
            graph.uses[j].append(index)
        unit.deps, unit.base = deps, base
        kept.append(unit)
        values.append(unit.value)
        graph.uses.append([])
        graph.base.extend(base)
    return graph


def _repeat_of(unit: Unit, kept: list[Unit]) -> int | None:
    operands = unit.operands
    value = unit.value
    if not unit.symbolic and len(operands) == 2 and unit.ops in "*/+-" and (operands[0] == value or operands[1] == value):
        other = operands[1] if operands[0] == value else operands[0]
        if (unit.ops in "*/" and other == 1) or (unit.ops in "+-" and other == 0):
            return next((j for j, u in enumerate(kept) if u.key == unit.key), -1)
    for j in range(len(kept) - 1, -1, -1):
        earlier = kept[j]
        if earlier.key == unit.key and (
            earlier.operands == operands or (not operands and not unit.symbolic)
            or (earlier.ops == unit.ops and sorted(earlier.operands) == sorted(operands))
        ):  # fmt: skip
            return j
    return None


def left_over(graph: Graph, problem: Sequence[float], other: Graph) -> list[float]:
    """Quantities that a path has not used yet: those of the problem, and those that the other path brought in."""
    pool = list(problem)
    for quantity in other.base:
        if find_value(quantity, pool) < 0:
            pool.append(quantity)
    for quantity in graph.base:
        i = find_value(quantity, pool)
        if i >= 0:
            del pool[i]
    return pool
