"""A path made ready for comparison: its steps, what each uses, and which of them say something of the path's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlkd.quantities.numbers import stated_number
from rlkd.quantities.signs import plain_signs
from rlkd.quantities.stated import problem_quantities
from rlkd.structure.graphs.graph import Graph, build_graph, step_dependencies
from rlkd.structure.graphs.items import Items, Quantity
from rlkd.structure.reading.claims import content_words
from schemas.structure import CHECK, RETRACTED, ReasoningStep, Structure


class PathGraph:
    """The steps of a path and their dependencies; the same for a teacher's path and a student's.

    Attributes:
        steps: The steps.
        problem: The problem's text.
        quantities: The quantities that the problem states.
        graph: The calculations and how they depend on each other.
        depends: For each step, the earlier steps whose answers it uses.
        calculates: Whether the path makes any calculation; if not, its steps are compared as statements.
    """

    __slots__ = ("_items", "_words", "calculates", "depends", "graph", "problem", "quantities", "steps")

    def __init__(self, structure: Structure, problem: str) -> None:
        self.steps: tuple[ReasoningStep, ...] = structure.steps
        self.problem = problem
        self.quantities = problem_quantities(problem)
        finding = [(step.index, c) for step in self.steps if counts(step) for c in step.calculations]
        self.graph: Graph = build_graph(finding, self.quantities)
        if any(step.depends_on for step in self.steps):
            self.depends: Sequence[Sequence[int]] = [step.depends_on for step in self.steps]
        else:
            self.depends = step_dependencies(self.graph, len(self.steps))
        self.calculates = bool(self.graph.nodes)
        self._items: dict[bool, Items] = {}
        self._words: frozenset[str] | None = None

    def items(self, calculations: bool) -> Items:
        """Returns what is matched: the calculations of the path, or its steps. Made once, since a teacher's path is compared often."""
        known = self._items.get(calculations)
        if known is None:
            known = self._items[calculations] = self._calculated() if calculations else self._stated()
        return known

    def words(self) -> frozenset[str]:
        """Returns the content words of the steps that calculate."""
        if self._words is None:
            self._words = words_of(self.steps[i] for i in {node.step for node in self.graph.nodes})
        return self._words

    def own(self) -> list[bool]:
        """Returns for each step whether it says something of the path's own.

        Checks, steps that were taken back and sentences that only copy the problem's text do not.
        """
        prompt = " ".join(plain_signs(self.problem).lower().split())
        return [counts(step) and not _copies(step, prompt) for step in self.steps]

    def _calculated(self) -> Items:
        nodes = self.graph.nodes
        return Items(
            [node.deps for node in nodes],
            [node.base for node in nodes],
            [node.value for node in nodes],
            [node.sure for node in nodes],
            [node.step for node in nodes],
        )

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
    return step.kind not in (CHECK, RETRACTED)


def words_of(steps: Iterable[ReasoningStep]) -> frozenset[str]:
    """Returns the content words of steps."""
    return frozenset().union(*(content_words(step.sub_problem) for step in steps))


def _quantity(text: str) -> Quantity | None:
    number = stated_number(text)
    return number if number is not None else text.strip().lower() or None


def _copies(step: ReasoningStep, prompt: str) -> bool:
    """Returns whether a step in words only repeats the problem's text."""
    if step.calculations or (step.answer and step.answer != step.sub_problem):
        return False
    text = " ".join(step.sub_problem.lower().split()).rstrip(".")
    return len(text) >= 12 and text in prompt
