"""Dependency graphs: what a world's problem is made of, and how one is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rlkd.errors import WorldError
from schemas.config.world import WorldSettings

if TYPE_CHECKING:
    from rlkd.data.worlds.base import World

_ATTEMPTS = 400


@dataclass(frozen=True)
class Node:
    """One quantity of a problem.

    Attributes:
        name: Its name, unique in the problem.
        value: Its value as text.
        op: The operation that derives it; empty for a given quantity.
        inputs: Names of what it is derived from, in the order of the statement.
        constant: The operation's own number as text; empty where it has none.
    """

    name: str
    value: str
    op: str = ""
    inputs: tuple[str, ...] = ()
    constant: str = ""


@dataclass(frozen=True)
class Graph:
    """A problem of a world: quantities in the order of their statements, and the one asked for."""

    domain: str
    target: str
    nodes: tuple[Node, ...]

    def by_name(self) -> dict[str, Node]:
        """The quantities by name."""
        return {node.name: node for node in self.nodes}

    def derived(self) -> tuple[str, ...]:
        """Names of the derived quantities, in the order of their statements."""
        return tuple(node.name for node in self.nodes if node.op)

    def plan(self, rng: random.Random | None = None) -> tuple[str, ...]:
        """The needed derived quantities as the teacher plans them: the target, then breadth first.

        Args:
            rng: Where given, any of those that are open is taken up next, not the one that has been open longest.
        """
        nodes = self.by_name()
        order: list[str] = []
        queue = [self.target]
        while queue:
            name = queue.pop(rng.randrange(len(queue)) if rng else 0)
            order.append(name)
            queue += [i for i in nodes[name].inputs if nodes[i].op and i not in order + queue]
        return tuple(order)

    def depth(self) -> int:
        """Steps on the longest chain from a given quantity to the target."""
        nodes = self.by_name()
        depths: dict[str, int] = {}

        def of(name: str) -> int:
            if name not in depths:
                depths[name] = 1 + max(of(i) for i in nodes[name].inputs) if nodes[name].op else 0
            return depths[name]

        return of(self.target)

    def key(self) -> str:
        """Canonical text of the graph, whatever the order of its statements."""
        facts = sorted(f"{n.name}={n.value}:{n.op}:{n.constant}:{','.join(n.inputs)}" for n in self.nodes)
        return f"{self.domain}|{self.target}|" + ";".join(facts)

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON values, for ``Problem.metadata["world"]``."""
        return {
            "domain": self.domain,
            "target": self.target,
            "nodes": [
                {
                    "name": n.name,
                    "value": n.value,
                    "op": n.op,
                    "inputs": list(n.inputs),
                    "constant": n.constant,
                }
                for n in self.nodes
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Graph:
        """Read what :meth:`to_json` wrote.

        Raises:
            WorldError: If it is not such a graph.
        """
        try:
            nodes = tuple(
                Node(
                    name=str(n["name"]),
                    value=str(n["value"]),
                    op=str(n.get("op", "")),
                    inputs=tuple(str(i) for i in n.get("inputs", ())),
                    constant=str(n.get("constant", "")),
                )
                for n in value["nodes"]
            )
            graph = cls(domain=str(value["domain"]), target=str(value["target"]), nodes=nodes)
        except (KeyError, TypeError, AttributeError) as error:
            raise WorldError(
                f'metadata["world"] is no graph of a built-in world ({error!r}); '
                "make the problem with rlkd.data.worlds"
            ) from error
        known = graph.by_name()
        missing = {i for n in nodes for i in n.inputs if i not in known} | ({graph.target} - set(known))
        if missing:
            raise WorldError(f'metadata["world"] names unknown quantities: {", ".join(sorted(missing))}')
        return graph


def draw_graph(world: World, settings: WorldSettings, steps: int, rng: random.Random) -> Graph:
    """Draw one graph in which the target needs exactly ``steps`` derived quantities.

    Args:
        world: The domain: its operations, names and values.
        settings: Distractors, overlap, sharing, value range.
        steps: Needed derived quantities, the target included.
        rng: The only source of randomness.

    Raises:
        WorldError: If no such graph was found: too many quantities for the names, or no operation
            whose result stays in the value range.
    """
    least = steps + 1 + settings.distractors + settings.spare_facts
    if least > len(world.names):
        raise WorldError(
            f"{world.name}: {steps} steps, {settings.distractors} distractors and {settings.spare_facts} spare "
            f"facts need at least {least} names and there are {len(world.names)}; lower one of them"
        )
    ops = world.chosen_ops(settings)
    for _ in range(_ATTEMPTS):
        shape = _draw_shape(settings, steps, sorted({world.ops[o].arity for o in ops}), rng)
        if len(shape) > len(world.names):
            continue
        graph = _fill(world, settings, shape, ops, rng)
        if graph is not None and plan_is_solvable(graph, graph.plan()):
            return graph
    raise WorldError(
        f"{world.name}: no problem with {steps} steps was found in {_ATTEMPTS} attempts with values from 0 to "
        f"{settings.max_value}, given values up to {settings.max_given} and operations {', '.join(ops)}; "
        "raise max_value, lower max_given or steps, or allow more operations"
    )


def plan_is_solvable(graph: Graph, plan: tuple[str, ...]) -> bool:
    """Whether a plan, read backward, never uses a quantity before it is solved."""
    nodes = graph.by_name()
    solved = {n.name for n in graph.nodes if not n.op}
    for name in reversed(plan):
        if not solved.issuperset(nodes[name].inputs):
            return False
        solved.add(name)
    return True


def _draw_shape(
    settings: WorldSettings, steps: int, arities: list[int], rng: random.Random
) -> list[list[int]]:
    """Inputs of each quantity by index: needed ones first (0 is the target); a given one has none."""
    slots = [rng.choice(arities) for _ in range(steps)]
    inputs: list[list[int]] = [[] for _ in range(steps)]
    for child in range(1, steps):
        free = [j for j in range(child) if len(inputs[j]) < slots[j]]
        newest = free[-1]
        inputs[newest if rng.random() < settings.depth_bias else rng.choice(free)].append(child)
    for j in range(steps):
        while len(inputs[j]) < slots[j]:
            shared = [k for k in range(j + 1, len(inputs)) if k not in inputs[j]]
            if shared and rng.random() < settings.sharing:
                inputs[j].append(rng.choice(shared))
            else:
                inputs.append([])
                inputs[j].append(len(inputs) - 1)
        rng.shuffle(inputs[j])
    needed = list(range(len(inputs)))
    other = list(range(len(inputs), len(inputs) + settings.spare_facts))
    inputs += [[] for _ in other]
    for _ in range(settings.distractors):
        mine: list[int] = []
        for _ in range(rng.choice(arities)):
            pool = needed if not other or rng.random() < settings.overlap else other
            mine.append(
                rng.choice([k for k in pool if k not in mine] or [k for k in needed if k not in mine])
            )
        other.append(len(inputs))
        inputs.append(mine)
    return inputs


def _fill(
    world: World, settings: WorldSettings, shape: list[list[int]], ops: tuple[str, ...], rng: random.Random
) -> Graph | None:
    """Give names, values and operations to a shape; ``None`` where no operation fits."""
    names = rng.sample(world.names, len(shape))
    nodes: dict[int, Node] = {}

    def node(i: int) -> Node | None:
        if i in nodes:
            return nodes[i]
        if not shape[i]:
            made = Node(names[i], world.draw_given(rng, settings))
        else:
            parts = [node(k) for k in shape[i]]
            known = [p for p in parts if p is not None]
            derived = world.derive(names[i], known, ops, settings, rng) if len(known) == len(parts) else None
            if derived is None:
                return None
            made = derived
        nodes[i] = made
        return made

    for i in range(len(shape)):
        if node(i) is None:
            return None
    order = [nodes[i] for i in range(len(shape))]
    rng.shuffle(order)
    return Graph(domain=world.name, target=names[0], nodes=tuple(replace(n) for n in order))
