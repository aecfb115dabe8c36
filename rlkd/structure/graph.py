"""The graph of a path: which calculation uses the result of which, and what is open at its end.

A *node* is one calculation. Its operands are either results of earlier nodes (edges) or base quantities
(from the problem, or brought in). The *frontier* is every result that nothing uses yet: with the quantities
that are left over, it is what the next step can start from. A :class:`PathGraph` is a path made ready for comparison.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rlkd.quantities.numbers import same_value, stated_number
from rlkd.quantities.signs import plain_signs
from rlkd.quantities.stated import UNIT_CONSTANTS, problem_quantities
from rlkd.structure.reading.words.claims import content_words, copies_problem
from rlkd.structure.reading.words.own_answer import UNSTATED, read_stated
from schemas.structure import CHECK, RETRACTED, Calculation, ReasoningStep, Structure

_KEPT = 1024
"""Graphs that wait to be asked for again."""
_BUILT: dict[int, tuple[tuple[ReasoningStep, ...], Sequence[float], Graph]] = {}
_BARE_NUMBER = re.compile(r"\W{0,4}(?:\d|\Z)")
"""A stated number, or nothing stated."""
_SILENT = (CHECK, RETRACTED)
"""Kinds of steps that find nothing."""


@dataclass(slots=True)
class Node:
    """A calculation in the graph of its path.

    Attributes:
        step: Index of the step that makes it.
        calculation: The calculation.
        value: Its value.
        deps: Earlier nodes whose values it uses.
        again: Those of ``deps`` whose values it uses once more, as often as it does: ``60 + 60 * 0.1 = 66``.
        sure: Those of ``deps`` whose values the problem does not state as well.
        ahead: Later nodes whose values it uses already (out of order).
        base: Operands that no node gave.
    """

    step: int
    calculation: Calculation
    value: float
    deps: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    sure: list[int] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    base: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Graph:
    """The calculations of a path in order, with their uses.

    Attributes:
        nodes: Distinct calculations: a repeated one is kept once.
        uses: For each node, the later nodes that use its value.
        dropped: For each dropped calculation ``(step, node that it repeats or -1)``.
        frontier: The values that no node uses.
        ends_in_algebra: Whether an equation in variables is open.
        early: How many results are used before they are found.
        by_step: The nodes of each step that has any, in order.
    """

    nodes: list[Node] = field(default_factory=list)
    uses: list[list[int]] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)
    frontier: list[float] = field(default_factory=list)
    ends_in_algebra: bool = False
    early: int = 0
    by_step: dict[int, list[int]] = field(default_factory=dict)

    def base(self) -> list[float]:
        """Returns the quantities that the nodes use and that none of them found, repeats kept."""
        return [quantity for node in self.nodes for quantity in node.base]


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


def build_graph(calculations: Sequence[tuple[int, Calculation]], problem: Sequence[float]) -> Graph:
    """Links the calculations of a path through the values that they share.

    An operand is the result of the latest earlier calculation with that value, unless the problem states the same
    number and that result is already used. A calculation that repeats an earlier one, or that only restates one of its
    operands (``20 x 1 = 20``), is dropped: it changes nothing.

    Args:
        calculations: Each with the index of its step, in the order of the path; without those of checks and retracted steps.
        problem: Quantities that the problem states.
    """
    graph = Graph()
    kept = graph.nodes
    values: list[float] = []
    previous_symbolic = -1
    for step, calculation in calculations:
        repeat = _repeat_of(calculation, values, kept, problem)
        if repeat is not None:
            graph.dropped.append((step, repeat))
            continue
        node = Node(step, calculation, calculation.value)
        _link_operands(node, graph, values, problem)
        if calculation.symbolic:
            if previous_symbolic >= 0 and previous_symbolic not in node.deps:
                node.deps.append(previous_symbolic)
            previous_symbolic = len(kept)
        for j in node.deps:
            for k, value in enumerate(values):
                if value == values[j]:  # of equal results none stays open, whichever was meant
                    graph.uses[k].append(len(kept))
        graph.by_step.setdefault(step, []).append(len(kept))
        kept.append(node)
        values.append(node.value)
        graph.uses.append([])
    _link_ahead(graph, values, problem)
    graph.early = len({j for node in kept for j in node.ahead})
    for node, used in zip(kept, graph.uses, strict=True):
        if not used:
            graph.frontier.append(node.value)
            equation = node.calculation.symbolic and node.calculation.operation.endswith("=")
            graph.ends_in_algebra = graph.ends_in_algebra or equation
    return graph


def _link_operands(node: Node, graph: Graph, values: list[float], problem: Sequence[float]) -> None:
    """Links each operand of a new node to the earlier node that gives it, or counts it among the base quantities."""
    for operand in node.calculation.operands:
        fraction = operand % 1.0  # whole numbers are found by a look, which is all that most need
        j = find_value(operand, values) if fraction or operand in values else -1
        if j < 0 and operand != 0 and (fraction or -operand in values):
            j = find_value(-operand, values)
        given = j >= 0 and (operand in problem or (fraction > 0 and find_value(operand, problem) >= 0))
        if j >= 0 and not (given and graph.uses[j]):
            if j not in node.deps:
                node.deps.append(j)
            elif not given:
                node.again.append(j)
            if not given and j not in node.sure:
                node.sure.append(j)
        else:
            node.base.append(operand)


def _link_ahead(graph: Graph, values: list[float], problem: Sequence[float]) -> None:
    """Links operands that neither the problem nor an earlier node gives to the later node that does."""
    for i, node in enumerate(graph.nodes):
        for operand in node.base:
            fraction = operand % 1.0
            if operand in UNIT_CONSTANTS or operand in problem or not (fraction or operand in values):
                continue
            if fraction and find_value(operand, problem) >= 0:
                continue
            j = find_value(operand, values[i + 1 :])
            if j >= 0 and i + 1 + j not in node.ahead and not _comes_from(graph, i + 1 + j, i):
                node.ahead.append(i + 1 + j)
                graph.uses[i + 1 + j].append(i)
        if node.ahead:
            given = [values[j] for j in node.ahead]
            node.base = [x for x in node.base if find_value(x, given) < 0]


def _comes_from(graph: Graph, late: int, early: int) -> bool:
    """Returns whether a node uses an earlier one, directly or through others."""
    seen: set[int] = set()
    open_ = [late]
    while open_:
        node = graph.nodes[open_.pop()]
        for d in (*node.deps, *node.ahead):
            if d == early:
                return True
            if d not in seen:
                seen.add(d)
                open_.append(d)
    return False


def _repeat_of(
    new: Calculation, values: Sequence[float], kept: Sequence[Node], problem: Sequence[float]
) -> int | None:
    """Returns the node that a calculation repeats; -1 where it restates a given number, ``None`` where it is new."""
    operands, value, operation = new.operands, new.value, new.operation
    if not new.symbolic and len(operands) == 2 and operation in "*/+-" and value in operands:
        other = operands[1] if operands[0] == value else operands[0]
        if (operation in "*/" and other == 1) or (operation in "+-" and other == 0):
            return values.index(value) if value in values else -1
    if not operands and not new.symbolic and find_value(value, problem) >= 0:
        return values.index(value) if value in values else -1
    if value not in values:
        return None
    for j in range(len(kept) - 1, -1, -1):
        if values[j] != value:
            continue
        earlier = kept[j].calculation
        if (
            earlier.operands == operands
            or (
                new.symbolic and operation[-1:] == earlier.operation[-1:] == "="
            )  # the same equation, transformed
            or (not operands and not new.symbolic)
            or (operation == earlier.operation and same_work(new, earlier))
        ):
            return j
    return None


def same_work(a: Calculation, b: Calculation) -> bool:
    """Returns whether two calculations do the same to the same operands, in any order; never below two operands."""
    return (
        a.operation == b.operation
        and len(a.operands) > 1
        and (a.operands == b.operands or sorted(a.operands) == sorted(b.operands))
    )


def step_dependencies(graph: Graph, steps: int) -> list[list[int]]:
    """Returns for each step the earlier steps whose results it uses, ascending."""
    depends: list[list[int]] = [[] for _ in range(steps)]
    for node in graph.nodes:
        for j in node.deps:
            earlier = graph.nodes[j].step
            if earlier < node.step and earlier not in depends[node.step]:
                depends[node.step].append(earlier)
    for own in depends:
        own.sort()
    return depends


Quantity = float | str
"""A number, or a name or premise in words."""


@dataclass(slots=True)
class Items:
    """The calculations, or the steps, of a path, as far as matching is concerned.

    Attributes:
        depends: For each item the earlier ones whose results it uses, as often as it does.
        given: For each item the quantities that it works from and that no earlier item found, repeats kept.
        found: The result of each item; ``None`` where it states none.
        before: For each item the earlier ones that must come before it: those that it depends on for certain.
        step: The step of each item.
    """

    depends: Sequence[Sequence[int]]
    given: Sequence[Sequence[Quantity]]
    found: Sequence[Quantity | None]
    before: Sequence[Sequence[int]]
    step: Sequence[int]


class PathGraph:
    """The steps of a path and their dependencies; the same for a teacher's path and a student's.

    Attributes:
        steps: The steps.
        problem: The problem's text.
        quantities: The quantities that the problem states.
        graph: The calculations and how they depend on each other.
        depends: For each step, the earlier steps whose answers it uses.
        stated: The answer that it states, in its text or (``answer``) cut off from it.
        calculates: Whether the path makes calculations, in half of its steps at least where it concludes something else than a number;
            if not, its steps are compared as statements.
    """

    __slots__ = ("_items", "calculates", "depends", "graph", "problem", "quantities", "stated", "steps")

    def __init__(self, structure: Structure, problem: str, answer: str | None = None) -> None:
        self.steps: tuple[ReasoningStep, ...] = structure.steps
        self.problem = problem
        self.quantities = problem_quantities(problem)
        self.graph: Graph = graph_of(self.steps, self.quantities)
        if any(step.depends_on for step in self.steps):
            self.depends: Sequence[Sequence[int]] = [step.depends_on for step in self.steps]
        else:
            self.depends = step_dependencies(self.graph, len(self.steps))
        stated = answer or structure.stated
        # Most paths calculate, and a number beside them is not compared: nothing more is read.
        bare = (
            self.graph.nodes
            and not structure.conclusion
            and _BARE_NUMBER.match(stated)
            and "\n" not in problem
        )
        self.stated = UNSTATED if bare else read_stated(structure, answer, problem)
        self.calculates = bool(self.graph.nodes)
        if self.calculates and self.stated.conclusion and not self.stated.conclusion.startswith("("):
            self.calculates = 2 * len(self.graph.by_step) >= sum(map(counts, self.steps))
        self._items: dict[bool, Items] = {}

    def items(self, calculations: bool) -> Items:
        """Returns what is matched: the calculations of the path, or its steps. Made once, since a teacher's path is compared often."""
        known = self._items.get(calculations)
        if known is None:
            nodes = self.graph.nodes
            known = self._items[calculations] = (
                Items(
                    [node.deps + node.again if node.again else node.deps for node in nodes],
                    [node.base for node in nodes],
                    [node.value for node in nodes],
                    [node.sure for node in nodes],
                    [node.step for node in nodes],
                )
                if calculations
                else self._stated()
            )
        return known

    def own(self, drawn: bool = False) -> list[bool]:
        """Returns for each step whether it says something of the path's own.

        Checks, steps that were taken back and sentences that only copy the problem's text do not.

        Args:
            drawn: Count the last step, which is what the path comes to ("Sally is not bony", asked as "True or false: ..."), and
                the copied sentences that a step of its own draws on: which of the given rules are used, and where, is what a
                path in logic chooses.
        """
        prompt = " ".join(plain_signs(self.problem).lower().split())
        own = [counts(step) and not copies_problem(step, prompt) for step in self.steps]
        if not drawn or not any(own):
            return own
        own[-1] = counts(self.steps[-1])
        used = {d for depends, mine in zip(self.depends, own, strict=True) if mine for d in depends}
        return [mine or (i in used and counts(self.steps[i])) for i, mine in enumerate(own)]

    def states_own_answer(self) -> bool | None:
        """Tells whether the stated answer is what the path finds; ``None`` where that cannot be said."""
        if self.graph.nodes:
            return None
        last = next((step.answer for step in reversed(self.steps) if counts(step)), "")
        return self.stated.is_own(last, self.problem)

    def _stated(self) -> Items:
        """Returns the steps as items: a step works from the quantities that it names and no step before it found."""
        found = [_quantity(step.answer) for step in self.steps]
        given: list[list[Quantity]] = []
        for step, depends in zip(self.steps, self.depends, strict=True):
            known = {found[d] for d in depends}
            given.append([q for q in map(_quantity, step.quantities) if q is not None and q not in known])
        return Items(self.depends, given, found, self.depends, list(range(len(self.steps))))


def counts(step: ReasoningStep) -> bool:
    """Returns whether a step finds something and is not taken back."""
    return step.kind not in _SILENT


def graph_of(steps: Sequence[ReasoningStep], problem: Sequence[float]) -> Graph:
    """Returns the graph of the calculations of the steps that count.

    A path that is read and then scored asks for it twice: it is kept until the second time.

    Args:
        steps: The steps of a path.
        problem: Quantities that the problem states.
    """
    key = id(steps[0]) if steps else 0
    known = _BUILT.pop(key, None)
    same = known is not None and known[1] == problem and len(known[0]) == len(steps)
    if known is not None and same and all(map(operator.is_, known[0], steps)):
        return known[2]
    finding = [(step.index, made) for step in steps if step.kind not in _SILENT for made in step.calculations]
    graph = build_graph(finding, problem)
    if len(_BUILT) >= _KEPT:
        _BUILT.clear()
    _BUILT[key] = tuple(steps), problem, graph
    return graph


def words_of(steps: Iterable[ReasoningStep]) -> frozenset[str]:
    """Returns the content words of steps."""
    return frozenset().union(*(content_words(step.sub_problem) for step in steps))


def _quantity(text: str) -> Quantity | None:
    number = stated_number(text)
    return number if number is not None else text.strip().lower() or None
