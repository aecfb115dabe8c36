"""The built-in world's exact decomposer, behind the common interface."""

from __future__ import annotations

from collections.abc import Sequence

from rlkd.structure.interfaces import PathItem
from schemas.config.structure import CacheConfig, WorldDecomposerConfig
from schemas.structure import Structure


class WorldDecomposer:
    """Reads paths of the built-in world exactly; the item's domain names the world."""

    name = "world@2"

    async def decompose(self, items: Sequence[PathItem]) -> list[Structure | None]:
        """Decomposes paths, in order.

        Raises:
            WorldError: A domain is no built-in world.
        """
        from rlkd.worlds.registry import get_world

        return [get_world(item.domain).decompose(item.path, item.problem) for item in items]


def build(config: WorldDecomposerConfig, cache: CacheConfig) -> WorldDecomposer:
    """Builds the decomposer; it is exact and needs no cache."""
    return WorldDecomposer()
