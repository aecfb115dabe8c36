"""Built-in worlds: small reasoning problems in plain English with a truly multi-branch structure.

A further domain is one file in this folder that calls :func:`~rlkd.worlds.registry.register`, or an object of your own that
``data.world.worlds`` names.
"""

from rlkd.worlds.arithmetic import ARITHMETIC
from rlkd.worlds.domain import Op
from rlkd.worlds.graph import Graph, Node
from rlkd.worlds.logic import LOGIC
from rlkd.worlds.registry import get_world, register, register_worlds, world_names, world_of
from rlkd.worlds.relations import RELATIONS
from rlkd.worlds.splits import make_splits
from rlkd.worlds.world import World

__all__ = [
    "ARITHMETIC",
    "LOGIC",
    "RELATIONS",
    "Graph",
    "Node",
    "Op",
    "World",
    "get_world",
    "make_splits",
    "register",
    "register_worlds",
    "world_names",
    "world_of",
]
