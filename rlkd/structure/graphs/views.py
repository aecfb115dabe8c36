"""Turns paths and structures into the light form that judges and alignments work on."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.graphs.graph import Graph, Unit, build_graph
from rlkd.structure.graphs.items import Items
from rlkd.structure.reading.calculation import Calc
from rlkd.structure.reading.claims import CLAIM_STOP, THEREFORE, premises_of
from rlkd.structure.reading.corrections import RETRACTED
from rlkd.structure.reading.inline_arithmetic import find_calculations
from rlkd.structure.reading.latex import find_latex_calculations
from rlkd.structure.reading.path import RawStep, step_texts
from schemas.structure import ReasoningStep, Structure

CHECK = "check"
"""Kind of a step that verifies earlier ones and finds nothing new."""


class View:
    """What a judge needs to know of one step.

    Attributes:
        index: Position in the path.
        units: Its calculations.
        text: The sub-problem (or the whole step) in words.
        meta: Meta-reasoning in words; may be empty.
        answer: The answer as text; may be empty where ``units`` hold it.
        quantities, operation: As in :class:`~schemas.structure.ReasoningStep`, where they are named, not read off ``units``.
        kind: ``step``, ``check`` or ``retracted``; a retracted step has no units.
    """

    __slots__ = ("answer", "index", "kind", "meta", "operation", "quantities", "text", "units", "words")

    def __init__(
        self, index: int, units: list[Unit], text: str, meta: str = "", answer: str = "", quantities: tuple[str, ...] = (),
        operation: str = "", kind: str = "step",
    ) -> None:  # fmt: skip
        self.index = index
        self.units = units
        self.text = text
        self.meta = meta
        self.answer = answer
        self.quantities = quantities
        self.operation = operation
        self.kind = kind
        self.words: frozenset[str] | None = None


class Prepared:
    """A path ready to be compared.

    Attributes:
        views: Its steps.
        graph: Its calculations and how they depend on each other; without those of checks, which neither help nor hurt.
        depends: For each step, the earlier steps whose answers it uses.
        items: The calculations as they are matched; made at the first comparison.
        words: Content words of the steps that calculate; made then too.
    """

    __slots__ = ("depends", "graph", "items", "views", "words")

    def __init__(self, views: list[View], graph: Graph, depends: list[list[int]]) -> None:
        self.views = views
        self.graph = graph
        self.depends = depends
        self.items: Items | None = None
        self.words: frozenset[str] | None = None


def _unit(step: int, calc: Calc) -> Unit:
    unit = Unit(step, calc.value, calc.operands, calc.ops, calc.holds, calc.percent, calc.symbolic)
    unit.alias = calc.alias
    return unit


def prepare_raw(
    path: str, steps: Sequence[RawStep], problem: Sequence[float], problem_text: str = ""
) -> Prepared:
    """Prepares a path read by :func:`rlkd.structure.reading.path.read_path` (the fast way: no pydantic)."""
    views: list[View] = []
    units: list[Unit] = []
    for i, step in enumerate(steps):
        own = [] if step.kind == RETRACTED else [_unit(i, calc) for calc in step.calcs]
        if step.kind != CHECK:
            units += own
        meta, sub_problem, text = step_texts(path, step, problem_text)
        views.append(View(i, own, sub_problem, meta, "" if step.calcs else text, kind=step.kind))
    graph = build_graph(units, problem)
    if not units:
        return Prepared(views, graph, _link_claims(views))
    return Prepared(views, graph, _step_dependencies(graph, len(views)))


def _link_claims(views: list[View]) -> list[list[int]]:
    """Gives claims in words the earlier claims that they follow from."""
    depends = premises_of([view.text for view in views], CLAIM_STOP)
    for view, premises in zip(views, depends, strict=True):
        if premises:
            view.quantities = tuple(views[k].text for k in premises)
            view.operation = THEREFORE
    return depends


def prepare_structure(structure: Structure, problem: Sequence[float]) -> Prepared:
    """Prepares the structure that any decomposer made."""
    views = [view_of(step) for step in structure.steps]
    graph = build_graph([unit for view in views if view.kind != CHECK for unit in view.units], problem)
    if any(step.depends_on for step in structure.steps):
        return Prepared(views, graph, [list(step.depends_on) for step in structure.steps])
    return Prepared(views, graph, _step_dependencies(graph, len(views)))


def view_of(step: ReasoningStep) -> View:
    """The light form of one step."""
    return View(
        step.index,
        _units_of(step),
        step.sub_problem,
        step.meta,
        step.answer,
        step.quantities,
        step.operation,
        step.kind,
    )


def _units_of(step: ReasoningStep) -> list[Unit]:
    found: list[Unit] = []
    if step.kind == RETRACTED:
        return found
    for text in step.calculations:
        find = find_latex_calculations if text.startswith("$") else find_calculations
        found += [_unit(step.index, calc) for calc in find(text)]
    return found


def _step_dependencies(graph: Graph, steps: int) -> list[list[int]]:
    depends: list[list[int]] = [[] for _ in range(steps)]
    for unit in graph.units:
        for j in unit.deps:
            earlier = graph.units[j].step
            if earlier < unit.step and earlier not in depends[unit.step]:
                depends[unit.step].append(earlier)
    for own in depends:
        own.sort()
    return depends
