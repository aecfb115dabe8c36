"""The built-in domains by name."""

from __future__ import annotations

from rlkd.errors import WorldError
from rlkd.worlds.graph import Graph
from rlkd.worlds.world import World
from schemas.problem import Problem

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
