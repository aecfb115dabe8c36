"""Built-in worlds: small reasoning problems in plain English with a truly multi-branch structure.

Importing this package registers the three domains; a fourth is one file that calls
:func:`~rlkd.worlds.registry.register`, imported here.
"""

from rlkd.worlds.arithmetic import ARITHMETIC
from rlkd.worlds.domain import Op
from rlkd.worlds.graph import Graph, Node
from rlkd.worlds.logic import LOGIC
from rlkd.worlds.registry import get_world, register, world_names, world_of
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
    "world_names",
    "world_of",
]
