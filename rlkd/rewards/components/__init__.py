"""The components of the reward, found because their files lie in this folder; those that every ledger has are in ``standard``.

A component looks at one :class:`Rollout` and says a number in [0, 1], or ``None`` where it cannot say one (missing,
never 0). To add one, write one file here::

    @component("brevity")
    def brevity_reward(rollout: Rollout, words: int = 100) -> float | None:
        \"\"\"1 for a path of at most ``words`` words, less for a longer one.\"\"\"
        return min(1.0, words / max(1, len(rollout.parsed.path.split())))

and give it a weight: ``rewards: {components: {brevity: 0.2}}``. A component outside of this project is named by
``{type: python, object: "my_pkg:my_reward", weight: 0.2}`` and needs no decorator.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from rlkd.answers.conventions import OutputFormat, ParsedOutput
from schemas.alignment import StructureScore
from schemas.problem import Problem

Value = float | None
STANDARD = ("structure", "outcome", "format", "length")
"""Components that every ledger has, whatever their weight."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion, read once, with everything that a component may look at.

    Attributes:
        question: The problem's text; may be empty.
        reference: The reference answer; ``None`` where it is not known.
        text: The completion, without the prompt.
        parsed: What was read off it: ``path`` (the reasoning), ``answer``, ``well_formed``.
        output: The convention in which it states its answer (``student.output``); ``None`` for any.
        tokens: Its length in tokens; ``None`` where it is not known.
        max_tokens: The limit (``student.max_completion_tokens``); ``None`` where it is not known.
        finished: Whether the student ended it (not the limit).
        problem: The problem with its source's verifier, where there is one.
        structure: The structure score in full, step by step; ``None`` where it is missing or not looked at.
        teachers: The teacher's paths for the problem, as text; empty where they are not known.
        notes: What a component says about its value, by the component's name: why an outcome is undecided.
    """

    question: str
    reference: str | None
    text: str
    parsed: ParsedOutput
    output: OutputFormat | None = None
    tokens: int | None = None
    max_tokens: int | None = None
    finished: bool = True
    problem: Problem | None = None
    structure: StructureScore | None = None
    teachers: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict, compare=False, repr=False)


@runtime_checkable
class RewardComponent(Protocol):
    """Measures one completion: a number in [0, 1], or ``None`` where it is missing.

    It may be ``async``: all completions of a batch are then waited for together.
    """

    def __call__(self, rollout: Rollout) -> Value | Awaitable[Value]:
        """Measures one completion."""
        ...


Target = TypeVar("Target", bound=Callable[..., object])
_FOUND: dict[str, Callable[..., object]] = {}


def component(name: str) -> Callable[[Target], Target]:
    """Registers a function, or a class whose objects are called, as the component of that name.

    Raises:
        ValueError: Another file has a component of that name.
    """

    def register(target: Target) -> Target:
        known = _FOUND.setdefault(name, target)
        if known.__module__ != target.__module__:
            raise ValueError(f"both {known.__module__} and {target.__module__} define the component {name!r}")
        return target

    return register


@functools.cache
def component_names() -> tuple[str, ...]:
    """The components in this folder, the standard ones first."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return (*STANDARD, *sorted(set(_FOUND) - set(STANDARD)))


def find_component(name: str) -> Callable[..., object]:
    """The function or class of a component in this folder.

    Raises:
        KeyError: There is none of that name.
    """
    component_names()
    return _FOUND[name]
