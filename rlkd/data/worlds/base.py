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

from rlkd.data.worlds.graph import Graph, Node, draw_graph
from rlkd.errors import WorldError
from schemas.config.world import WanderSettings, WorldSettings
from schemas.problem import Problem
from schemas.structure import Structure

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
class World:
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

    def generate(self, rng: random.Random, settings: WorldSettings, steps: int | None = None) -> Graph:
        """Draw a problem's graph; ``steps`` defaults to a draw from ``settings.steps``.

        Raises:
            WorldError: If the settings cannot be met; the message says which to change.
        """
        if steps is None:
            steps = rng.randint(settings.steps.min, settings.steps.max)
        return draw_graph(self, settings, steps, rng)

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

    # -- paths -------------------------------------------------------------------------------------

    def solve(self, problem: Problem, rng: random.Random | None = None) -> str:
        """The teacher's path: the plan backward from the question, then the steps forward.

        Args:
            problem: A problem of this domain.
            rng: Where given, independent branches are taken up in random order (several traces
                of one problem); otherwise in the order of the statements.
        """
        from rlkd.data.worlds.paths import teacher_path

        return teacher_path(self, self.graph_of(problem), rng)

    def wander(self, problem: Problem, rng: random.Random, settings: WanderSettings | None = None) -> str:
        """A wandering path: every step right, the choice of steps often not the teacher's."""
        from rlkd.data.worlds.paths import wandering_path

        return wandering_path(self, self.graph_of(problem), rng, settings or WanderSettings())

    def decompose(self, path: str) -> Structure:
        """The exact structure of a path in this domain's language; what cannot be read is skipped."""
        from rlkd.data.worlds.reading import decompose

        return decompose(self, path)

    def read_answer(self, path: str) -> str | None:
        """The stated final answer (the last ``The answer is ...``), or ``None``."""
        from rlkd.data.worlds.reading import read_answer

        return read_answer(path)

    def verify(self, problem: Problem, answer: str | None) -> bool:
        """Whether an answer equals the problem's."""
        return answer is not None and answer.strip().rstrip(".").casefold() == problem.answer.casefold()

    def check_steps(self, problem: Problem, path: str) -> tuple[int, int]:
        """How many single steps (plans, solutions, gaps) of a path are right, and how many there are.

        A plan is right if it names what the quantity is derived from; a solution if it also reads
        the right values (as stated, or as found earlier in the path) and works them out rightly; a gap
        (``So Bob: Ann is missing.``) if that input is not known yet. Whether the step was needed does
        not matter here.
        """
        from rlkd.data.worlds.reading import check_steps

        return check_steps(self, self.graph_of(problem), path)

    def texts(self) -> tuple[str, ...]:
        """Every template of the domain's language, for building a tokenizer."""
        ops = [t for op in self.ops.values() for t in (op.statement, f"So {{a}}: {op.working} is {{v}}.")]
        return (self.given, self.question, *ops)


_WORLDS: dict[str, World] = {}


def register(world: World) -> World:
    """Add a domain to the registry (a fourth domain is one file that calls this)."""
    _WORLDS[world.name] = world
    return world


def world_names() -> tuple[str, ...]:
    """The domains that there are."""
    return tuple(_WORLDS)


def get_world(name: str) -> World:
    """A domain by name.

    Raises:
        WorldError: If there is none of that name.
    """
    if name not in _WORLDS:
        raise WorldError(f"unknown domain {name!r}; choose from {', '.join(_WORLDS)}")
    return _WORLDS[name]


def world_of(problem: Problem) -> World:
    """The domain that made a problem.

    Raises:
        WorldError: If the problem comes from no built-in domain.
    """
    return get_world(Graph.from_json(problem.metadata.get("world") or {}).domain)
