"""Writing paths: the teacher's, and wandering ones for pre-training the base student.

Both plan before they solve (``To find Bob, I need Ann and Eve.``), so that every choice can be made
from what is already written; a path that goes forward from the facts alone would ask for look-ahead.

A wandering path also runs into what it left out (``So Bob: Ann is missing.``), and then either goes after
it or loses the thread. A teacher's path never does: what to do there can be practised, not copied.
"""

from __future__ import annotations

import random

from rlkd.worlds.domain import Domain
from rlkd.worlds.graph import Graph, Node, plan_is_solvable
from schemas.config.world import WanderSettings

NOTHING = "nothing"
"""What a given quantity needs."""

_GAP = "\0"

_DRAWS = 30
"""Plans that are drawn before the first one is taken: backward, some use a shared quantity before it is solved."""


def plan_line(node: Node) -> str:
    """The meta-reasoning before a step: what is needed to find a quantity."""
    return f"To find {node.name}, I need {' and '.join(node.inputs) or NOTHING}."


def solve_line(world: Domain, node: Node, values: dict[str, str]) -> str:
    """The step itself: the inputs with their values, worked out."""
    op = world.ops[node.op]
    found = tuple(values[i] for i in node.inputs)
    b, c = (*node.inputs, "", "")[:2]
    x, y = (*found, "", "")[:2]
    working = op.working.format(b=b, c=c, x=x, y=y, k=node.constant)
    return f"So {node.name}: {working} is {node.value}."


def gap_line(world: Domain, node: Node, known: dict[str, str]) -> str:
    """A step that cannot be worked out: it stops at the first input that is not known yet."""
    b, c = (*node.inputs, "")[:2]
    x, y = (known.get(i, _GAP) for i in (b, c))
    working = world.ops[node.op].working.format(b=b, c=c, x=x, y=y, k=node.constant)
    return f"So {node.name}: {working.partition(_GAP)[0].rstrip()} is missing."


def teacher_path(world: Domain, graph: Graph, rng: random.Random | None) -> str:
    """Plan every needed quantity, from the question down; solve them in the reverse order.

    With ``rng``, what is open is taken up in random order.
    """
    nodes = graph.by_name()
    drawn = (graph.plan(rng) for _ in range(_DRAWS if rng else 0))
    plan = next((plan for plan in drawn if plan_is_solvable(graph, plan)), graph.plan())
    values = {n.name: n.value for n in graph.nodes}
    lines = [plan_line(nodes[name]) for name in plan]
    lines += [solve_line(world, nodes[name], values) for name in reversed(plan)]
    return "\n".join([*lines, f"The answer is {values[graph.target]}."])


class _Wanderer:
    """The state of one wandering path."""

    def __init__(self, world: Domain, graph: Graph, rng: random.Random, settings: WanderSettings) -> None:
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
        self.blocked: list[str] = []
        self.persists = self.chance(settings.persist)
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
        self.planned = [*(n for n in self.planned if n != name), name]
        self.queue += [i for i in node.inputs if self.nodes[i].op and i not in self.queue]
        self._look(name)

    def solve(self, name: str) -> None:
        self.blocked.clear()
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
            if self.chance(self.settings.ask_given):
                self.lines.append(plan_line(self.rng.choice([n for n in self.graph.nodes if not n.op])))
            else:
                self.plan(self.stray(options))

    def solving(self) -> None:
        """Solve until the target is found or the thread is lost."""
        while self.graph.target not in self.solved:
            name = self.choose()
            if name is None:
                return
            missing = self.missing(name)
            if missing is None:
                self.solve(name)
                continue
            self.lines.append(gap_line(self.world, self.nodes[name], self.known()))
            if self.persists:
                self.plan(missing)
            elif self.chance(self.settings.quit) or not self.ready():
                return
            else:
                self.blocked.append(name)

    def choose(self) -> str | None:
        """What to work out next, whether its inputs are known or not; ``None`` to stop.

        Focused, it is what the teacher would take: the last planned that is not solved.
        """
        if len(self.lines) >= self.settings.max_lines:
            return None
        due = [n for n in reversed(self.planned) if n not in self.solved + self.blocked]
        ready = self.ready()
        if self.chance(self.focus):
            return due[0] if due else (self.stray(ready) if ready else None)
        if self.chance(self.settings.give_up):
            return None
        unplanned = [name for name in self.graph.derived() if name not in self.planned + self.solved]
        if unplanned and self.chance(self.settings.replan):
            self.plan(self.stray(unplanned))
            return self.choose()
        unready = [name for name in due if name not in ready]
        if unready and (not ready or self.chance(self.settings.overreach)):
            return self.rng.choice(unready)
        return self.stray(ready) if ready else None

    def known(self) -> dict[str, str]:
        """The values that the problem states or the path has found."""
        return {n.name: n.value for n in self.graph.nodes if not n.op or n.name in self.solved}

    def missing(self, name: str) -> str | None:
        """The first input of a quantity that is not known yet."""
        return next((i for i in self.nodes[name].inputs if i not in self.known()), None)

    def answer(self) -> str:
        target = self.graph.target
        lost = target not in self.solved or self.chance(self.settings.wrong_answer * (1 - self.focus))
        others = [name for name in self.solved if name != target]
        name = (others[-1] if self.chance(0.5) else self.rng.choice(others)) if lost and others else target
        if lost and not others:
            name = self.rng.choice([n.name for n in self.graph.nodes if not n.op])
        return f"The answer is {self.values[name]}."


def wandering_path(world: Domain, graph: Graph, rng: random.Random, settings: WanderSettings) -> str:
    """A path whose steps are right but whose choices often are not the teacher's."""
    walker = _Wanderer(world, graph, rng, settings)
    walker.planning()
    walker.solving()
    return "\n".join([*walker.lines, walker.answer()])
