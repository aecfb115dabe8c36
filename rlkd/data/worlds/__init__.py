"""Built-in worlds: small reasoning problems in plain English with a truly multi-branch structure.

Importing this package registers the three domains; a fourth is one file that calls
:func:`~rlkd.data.worlds.base.register`, imported here.
"""

from rlkd.data.worlds.arithmetic import ARITHMETIC
from rlkd.data.worlds.base import Op, World, get_world, register, world_names, world_of
from rlkd.data.worlds.graph import Graph, Node
from rlkd.data.worlds.logic import LOGIC
from rlkd.data.worlds.relations import RELATIONS
from rlkd.data.worlds.splits import make_splits

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
