"""Writing paths: the teacher's, and wandering ones for pre-training the base student.

Both plan before they solve (``To find Bob, I need Ann and Eve.``), so that every choice can be made
from what is already written; a path that goes forward from the facts alone would ask for look-ahead.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from rlkd.data.worlds.graph import Graph, Node

if TYPE_CHECKING:
    from rlkd.data.worlds.base import World
    from schemas.config.world import WanderSettings


def plan_line(node: Node) -> str:
    """The meta-reasoning before a step: what is needed to find a quantity."""
    return f"To find {node.name}, I need {' and '.join(node.inputs)}."


def solve_line(world: World, node: Node, values: dict[str, str]) -> str:
    """The step itself: the inputs with their values, worked out."""
    op = world.ops[node.op]
    found = tuple(values[i] for i in node.inputs)
    b, c = (*node.inputs, "", "")[:2]
    x, y = (*found, "", "")[:2]
    working = op.working.format(b=b, c=c, x=x, y=y, k=node.constant)
    return f"So {node.name}: {working} is {node.value}."


def teacher_path(world: World, graph: Graph, rng: random.Random | None) -> str:
    """Plan every needed quantity, from the question down; solve them in the reverse order."""
    nodes = graph.by_name()
    plan = graph.plan(rng)
    if rng is not None and not _solvable(graph, plan):
        plan = graph.plan()
    values = {n.name: n.value for n in graph.nodes}
    lines = [plan_line(nodes[name]) for name in plan]
    lines += [solve_line(world, nodes[name], values) for name in reversed(plan)]
    return "\n".join([*lines, f"The answer is {values[graph.target]}."])


def _solvable(graph: Graph, plan: tuple[str, ...]) -> bool:
    nodes = graph.by_name()
    solved = {n.name for n in graph.nodes if not n.op}
    for name in reversed(plan):
        if not solved.issuperset(nodes[name].inputs):
            return False
        solved.add(name)
    return True


class _Wanderer:
    """The state of one wandering path."""

    def __init__(self, world: World, graph: Graph, rng: random.Random, settings: WanderSettings) -> None:
        self.world = world
        self.graph = graph
        self.rng = rng
        self.settings = settings
        self.nodes = graph.by_name()
        self.values = {n.name: n.value for n in graph.nodes}
        self.focus = rng.uniform(0, settings.focus)
        self.lines: list[str] = []
        self.planned: list[str] = []
        self.queue: list[str] = [graph.target]
        self.solved: list[str] = []
        self.cursor = rng.randrange(len(graph.nodes))

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def stray(self, options: list[str]) -> str:
        """A choice by what the problem states next, or by nothing at all."""
        if not self.chance(self.settings.salience):
            return self.rng.choice(options)
        places = {n.name: i for i, n in enumerate(self.graph.nodes)}
        size = len(self.graph.nodes)
        return min(options, key=lambda name: (places[name] - self.cursor) % size)

    def plan(self, name: str) -> None:
        node = self.nodes[name]
        self.lines.append(plan_line(node))
        self.planned.append(name)
        self.queue += [i for i in node.inputs if self.nodes[i].op and i not in self.queue]
        self._look(name)

    def solve(self, name: str) -> None:
        self.lines.append(solve_line(self.world, self.nodes[name], self.values))
        self.solved.append(name)
        self._look(name)

    def _look(self, name: str) -> None:
        places = [n.name for n in self.graph.nodes]
        self.cursor = (places.index(name) + 1) % len(places)

    def next_planned(self) -> str | None:
        """What the teacher would plan next."""
        return next((name for name in self.queue if name not in self.planned), None)

    def ready(self) -> list[str]:
        """What could be solved now."""
        known = {n.name for n in self.graph.nodes if not n.op} | set(self.solved)
        return [
            n.name for n in self.graph.nodes if n.op and n.name not in known and known.issuperset(n.inputs)
        ]

    def planning(self) -> None:
        self.plan(self.graph.target)
        while True:
            due = self.next_planned()
            if self.chance(self.focus):
                if due is None:
                    return
                self.plan(due)
                continue
            options = [name for name in self.graph.derived() if name not in self.planned]
            if not options or self.chance(self.settings.stop_plan):
                return
            self.plan(self.stray(options))

    def solving(self) -> None:
        """Solve until the target is found or the thread is lost."""
        while True:
            ready = self.ready()
            if self.graph.target in self.solved or not ready:
                return
            if self.chance(self.focus):
                due = [name for name in reversed(self.planned) if name in ready]
                self.solve(due[0] if due else self.stray(ready))
                continue
            if self.chance(self.settings.give_up):
                return
            unplanned = [name for name in self.graph.derived() if name not in self.planned + self.solved]
            if unplanned and self.chance(self.settings.replan):
                self.plan(self.stray(unplanned))
            else:
                self.solve(self.stray(ready))

    def answer(self) -> str:
        target = self.graph.target
        lost = target not in self.solved or self.chance(self.settings.wrong_answer * (1 - self.focus))
        others = [name for name in self.solved if name != target]
        name = (others[-1] if self.chance(0.5) else self.rng.choice(others)) if lost and others else target
        if lost and not others:
            name = self.rng.choice([n.name for n in self.graph.nodes if not n.op])
        return f"The answer is {self.values[name]}."


def wandering_path(world: World, graph: Graph, rng: random.Random, settings: WanderSettings) -> str:
    """A path whose steps are right but whose choices often are not the teacher's."""
    walker = _Wanderer(world, graph, rng, settings)
    walker.planning()
    walker.solving()
    return "\n".join([*walker.lines, walker.answer()])
