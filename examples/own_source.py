"""A source of your own: ``data: {type: python, object: "own_source:SumSource", options: {count: 50}}``.

It gets the run's seed and gives problems by split; a split that it leaves out is taken from ``train``.
"""

from __future__ import annotations

import random

from rlkd.data.sources import Loaded
from schemas.problem import Problem


class SumSource:
    """Sums of three numbers.

    Args:
        count: How many problems.
        largest: The largest number in them.
    """

    def __init__(self, count: int = 50, largest: int = 999) -> None:
        self.count, self.largest = count, largest

    def load(self, seed: int) -> Loaded:
        """Draws the problems; the same seed draws the same ones."""
        rng = random.Random(seed)
        loaded = Loaded(rows=self.count)
        draws = [[rng.randint(1, self.largest) for _ in range(3)] for _ in range(self.count)]
        loaded.splits["train"] = [
            Problem(
                id=f"sum-{i}",
                question=f"What is {a} plus {b} plus {c}?",
                answer=str(a + b + c),
                source="sums",
            )
            for i, (a, b, c) in enumerate(draws)
        ]
        loaded.where["train"] = [f"sum {i}" for i in range(self.count)]
        return loaded
