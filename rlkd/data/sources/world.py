"""The built-in world as a source."""

from __future__ import annotations

from rlkd.data.sources.base import Loaded
from schemas.config.data import WorldData


class WorldSource:
    """Problems drawn from the built-in world; no graph occurs twice, within a split or across."""

    def __init__(self, config: WorldData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Draws every split.

        Raises:
            WorldError: The world's settings cannot be met.
        """
        from rlkd.worlds import make_splits

        splits = make_splits(self.config.world, seed)
        where = {split: [problem.source for problem in problems] for split, problems in splits.items()}
        return Loaded(splits, [], sum(map(len, splits.values())), where, disjoint=True)


def build(config: WorldData) -> WorldSource:
    """Builds the source of ``type: world``."""
    return WorldSource(config)
