"""Dependency graphs: what a world's problem is made of, and how one is drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlkd.errors import WorldError

if TYPE_CHECKING:
    pass


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
                "make the problem with rlkd.worlds"
            ) from error
        known = graph.by_name()
        missing = {i for n in nodes for i in n.inputs if i not in known} | ({graph.target} - set(known))
        if missing:
            raise WorldError(f'metadata["world"] names unknown quantities: {", ".join(sorted(missing))}')
        return graph


def plan_is_solvable(graph: Graph, plan: tuple[str, ...]) -> bool:
    """Whether a plan, read backward, never uses a quantity before it is solved."""
    nodes = graph.by_name()
    solved = {n.name for n in graph.nodes if not n.op}
    for name in reversed(plan):
        if not solved.issuperset(nodes[name].inputs):
            return False
        solved.add(name)
    return True
