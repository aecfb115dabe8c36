"""The interface of a built-in world, shared by its domains, and their registry.

A domain is one file: its words, its operations, and a call of :func:`register`. Drawing graphs, the
teacher's path, wandering paths, reading paths back and checking them are the same for all.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from rlkd.errors import WorldError
from rlkd.worlds.graph import Graph, Node
from schemas.config.world import WorldSettings
from schemas.problem import Problem

# fmt: off
NAMES = (
    "Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal",
    "Ida", "Jon", "Kim", "Leo", "Mia", "Ned", "Oda", "Pam",
    "Quin", "Ray", "Sue", "Tom", "Una", "Val", "Wes", "Zoe",
)
# fmt: on
"""The names of all quantities, in every domain: a student learns to look them up once."""

NUMBERS = tuple(str(n) for n in range(31))


@dataclass(frozen=True)
class Op:
    """One operation of a domain.

    Attributes:
        name: Its name in the graph, in :class:`~schemas.structure.ReasoningStep` and in the settings.
        arity: Number of inputs, 1 or 2.
        statement: How a problem states it: ``{a}`` is derived from ``{b}``, ``{c}`` and constant ``{k}``.
        working: How a path works it out: names ``{b}``, ``{c}``, their values ``{x}``, ``{y}``, and ``{k}``.
        compute: Values of the inputs and the constant (as text) to the value, ``None`` where undefined.
        constants: The constants to draw from; empty where it has none.
    """

    name: str
    arity: int
    statement: str
    working: str
    compute: Callable[[tuple[str, ...], str], str | None]
    constants: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What :attr:`working` looks like in a path."""
        text = re.escape(self.working)
        for field in "bxcyk":
            text = text.replace(r"\{" + field + r"\}", rf"(?P<{field}>\w+)")
        return re.compile(text)

    def operands(self, match: re.Match[str]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Names, values and constant of a match of :attr:`pattern`."""
        found = match.groupdict()
        names = tuple(found[f] for f in "bc"[: self.arity])
        values = tuple(found[f] for f in "xy"[: self.arity])
        return names, values, found.get("k") or ""


@dataclass(frozen=True)
class Domain:
    """One domain of the built-in world.

    Attributes:
        name: The domain's name, as in ``Problem.domain``.
        given: How a problem states a given quantity: ``{a}`` and its value ``{v}``.
        question: How a problem asks for ``{a}``.
        ops: Its operations by name.
        values: Every value that a quantity can have, as text.
        numeric: Whether values are numbers (the settings' range applies).
        names: The names of its quantities.
    """

    name: str
    given: str
    question: str
    ops: dict[str, Op]
    values: tuple[str, ...] = NUMBERS
    numeric: bool = True
    names: tuple[str, ...] = NAMES

    # -- drawing -----------------------------------------------------------------------------------

    def chosen_ops(self, settings: WorldSettings) -> tuple[str, ...]:
        """The operations that the settings allow.

        Raises:
            WorldError: If they name one that this domain does not have.
        """
        chosen = settings.operations.get(self.name) or tuple(self.ops)
        unknown = [op for op in chosen if op not in self.ops]
        if unknown:
            raise WorldError(
                f"operations.{self.name}: unknown {', '.join(unknown)}; choose from {', '.join(self.ops)}"
            )
        return tuple(chosen)

    def draw_given(self, rng: random.Random, settings: WorldSettings) -> str:
        """The value of a given quantity."""
        if self.numeric:
            return str(rng.randint(min(1, settings.max_given), settings.max_given))
        return rng.choice(self.values)

    def derive(
        self, name: str, parts: list[Node], ops: Iterable[str], settings: WorldSettings, rng: random.Random
    ) -> Node | None:
        """A quantity derived from ``parts`` by a random operation that fits, or ``None``."""
        orders = [tuple(parts), tuple(reversed(parts))] if len(parts) > 1 else [tuple(parts)]
        fits: dict[str, list[Node]] = {}
        for op in (self.ops[o] for o in ops):
            if op.arity != len(parts):
                continue
            for order in orders:
                for constant in op.constants or ("",):
                    value = op.compute(tuple(p.value for p in order), constant)
                    if value is None or (self.numeric and not 0 <= int(value) <= settings.max_value):
                        continue
                    made = Node(name, value, op.name, tuple(p.name for p in order), constant)
                    fits.setdefault(op.name, []).append(made)
        return rng.choice(fits[rng.choice(sorted(fits))]) if fits else None

    # -- text --------------------------------------------------------------------------------------

    def state(self, node: Node) -> str:
        """The sentence that states a quantity."""
        if not node.op:
            return self.given.format(a=node.name, v=node.value)
        b, c = (*node.inputs, "", "")[:2]
        return self.ops[node.op].statement.format(a=node.name, b=b, c=c, k=node.constant)

    def to_problem(self, graph: Graph, split: str = "train") -> Problem:
        """The problem of a graph, with the graph itself in ``metadata["world"]``."""
        text = " ".join([*(self.state(n) for n in graph.nodes), self.question.format(a=graph.target)])
        digest = hashlib.sha256(graph.key().encode()).hexdigest()[:12]
        return Problem.model_validate(
            {
                "id": f"{self.name}-{digest}",
                "question": text,
                "answer": graph.by_name()[graph.target].value,
                "domain": self.name,
                "difficulty": len(graph.plan()),
                "split": split,
                "source": f"world:{self.name}",
                "metadata": {"world": graph.to_json(), "depth": graph.depth()},
            }
        )

    def graph_of(self, problem: Problem) -> Graph:
        """The graph behind a problem.

        Raises:
            WorldError: If the problem was not made by this domain.
        """
        graph = Graph.from_json(problem.metadata.get("world") or {})
        if graph.domain != self.name:
            raise WorldError(f"problem {problem.id} is of domain {graph.domain}, not {self.name}")
        return graph

    def verify(self, problem: Problem, answer: str | None) -> bool:
        """Whether an answer equals the problem's."""
        return answer is not None and answer.strip().rstrip(".").casefold() == problem.answer.casefold()

    def texts(self) -> tuple[str, ...]:
        """Every template of the domain's language, for building a tokenizer."""
        ops = [t for op in self.ops.values() for t in (op.statement, f"So {{a}}: {op.working} is {{v}}.")]
        return (self.given, self.question, *ops)
