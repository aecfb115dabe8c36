"""A built-in world: a domain together with everything that can be done in it.

A domain is data (its words and operations); drawing graphs, the teacher's path, wandering paths, reading paths back and
checking them are the same for all and stand in rooms of their own. This class puts them together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from rlkd.worlds import reading
from rlkd.worlds.domain import Domain
from rlkd.worlds.drawing import draw_graph
from rlkd.worlds.graph import Graph
from rlkd.worlds.paths import teacher_path, wandering_path
from schemas.config.world import WanderSettings, WorldSettings
from schemas.problem import Problem
from schemas.structure import Structure


@dataclass(frozen=True)
class World(Domain):
    """One domain of the built-in world; its attributes are those of :class:`~rlkd.worlds.domain.Domain`."""

    def generate(self, rng: random.Random, settings: WorldSettings, steps: int | None = None) -> Graph:
        """Draw a problem's graph; ``steps`` defaults to a draw from ``settings.steps``.

        Raises:
            WorldError: If the settings cannot be met; the message says which to change.
        """
        if steps is None:
            steps = rng.randint(settings.steps.min, settings.steps.max)
        return draw_graph(self, settings, steps, rng)

    # -- paths -------------------------------------------------------------------------------------

    def solve(self, problem: Problem, rng: random.Random | None = None) -> str:
        """The teacher's path: the plan backward from the question, then the steps forward.

        Args:
            problem: A problem of this domain.
            rng: Where given, independent branches are taken up in random order (several traces
                of one problem); otherwise in the order of the statements.
        """
        return teacher_path(self, self.graph_of(problem), rng)

    def wander(self, problem: Problem, rng: random.Random, settings: WanderSettings | None = None) -> str:
        """A wandering path: every step right, the choice of steps often not the teacher's."""
        return wandering_path(self, self.graph_of(problem), rng, settings or WanderSettings())

    def decompose(self, path: str, problem: str = "") -> Structure:
        """The exact structure of a path in this domain's language; what cannot be read is skipped.

        Args:
            path: The path.
            problem: The problem's text, whose question tells what the path finds.
        """
        return reading.decompose(self, path, problem)

    def read_answer(self, path: str) -> str | None:
        """The stated final answer (the last ``The answer is ...``), or ``None``."""
        return reading.read_answer(path)

    def check_steps(self, problem: Problem, path: str) -> tuple[int, int]:
        """How many single steps (plans, solutions, gaps) of a path are right, and how many there are.

        A plan is right if it names what the quantity is derived from; a solution if it also reads
        the right values (as stated, or as found earlier in the path) and works them out rightly; a gap
        (``So Bob: Ann is missing.``) if that input is not known yet. Whether the step was needed does
        not matter here.
        """
        return reading.check_steps(self, self.graph_of(problem), path)
