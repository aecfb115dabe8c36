"""The domains by name: those of this folder, found because their files lie here, and a configuration's own."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from rlkd.errors import WorldError
from rlkd.plugins import make_plugin, objects_of
from rlkd.worlds.graph import Graph
from rlkd.worlds.world import World
from schemas.base import Schema
from schemas.config.world import PythonWorld
from schemas.problem import Problem

_WORLDS: dict[str, World] = {}


def register(world: World) -> World:
    """Adds a domain to the registry (a further domain is one file that calls this).

    Raises:
        WorldError: There is another one of that name.
    """
    if _WORLDS.setdefault(world.name, world) != world:
        raise WorldError(f"there are two domains named {world.name!r}; rename yours")
    return world


def register_worlds(config: Schema) -> None:
    """Adds the domains that a configuration, or a section of one, names as Python objects.

    Raises:
        ConfigError: One of them cannot be had.
        WorldError: There is another one of its name.
    """
    for _, item in objects_of(config):
        if isinstance(item, PythonWorld):
            _discover()
            register(make_plugin(item))


@functools.cache
def _discover() -> None:
    """Imports the files of this folder, of which those with a domain register it."""
    package = importlib.import_module("rlkd.worlds")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"rlkd.worlds.{module.name}")


def world_names() -> tuple[str, ...]:
    """The domains that there are."""
    _discover()
    return tuple(_WORLDS)


def get_world(name: str) -> World:
    """A domain by name.

    Raises:
        WorldError: If there is none of that name.
    """
    _discover()
    if name not in _WORLDS:
        raise WorldError(f"unknown domain {name!r}; choose from {', '.join(_WORLDS)}")
    return _WORLDS[name]


def world_of(problem: Problem) -> World:
    """The domain that made a problem.

    Raises:
        WorldError: If the problem comes from no built-in domain.
    """
    return get_world(Graph.from_json(problem.metadata.get("world") or {}).domain)
