"""What is measured of completions: reads each once, asks every component, and keeps what failed apart from 0.

Training, evaluation, replay, the file commands and the functions for other trainers all measure through here.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import numbers
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from rlkd.answers.conventions import ParsedOutput, read_output
from rlkd.errors import ConfigError
from rlkd.plugins import make_plugin
from rlkd.rewards.components import (
    STANDARD,
    RewardComponent,
    Rollout,
    Value,
    component_names,
    find_component,
)
from schemas.alignment import StructureScore
from schemas.config.plugin import PythonObject
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion

log = logging.getLogger("rlkd.rewards")
Components = Mapping[str, RewardComponent]


def make_components(config: RewardsConfig) -> dict[str, RewardComponent]:
    """Makes the components of a configuration by name: the standard ones, then its own.

    Raises:
        ConfigError: One of them is not there, or cannot be made.
    """
    made = {name: cast(RewardComponent, find_component(name)) for name in STANDARD}
    made["outcome"] = cast(
        RewardComponent, functools.partial(find_component("outcome"), undecided=config.undecided)
    )
    made["length"] = cast(
        RewardComponent, functools.partial(find_component("length"), free=config.length_free)
    )
    for name, settings in config.further.items():
        own = make_plugin(settings) if isinstance(settings, PythonObject) else _named(name, settings.options)
        made[name] = _Guarded(name, own)
    return made


def _named(name: str, options: Mapping[str, Any]) -> RewardComponent:
    target = check_named(name, options)
    made = target(**options) if isinstance(target, type) else functools.partial(target, **options)
    return cast(RewardComponent, made)


def check_named(name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Finds a component of this project, and whether its options fit.

    Raises:
        ConfigError: There is none of that name, or it does not take these options.
    """
    if name not in component_names():
        raise ConfigError(
            f"there is no such component; choose from {', '.join(component_names())}, or name your own: "
            "{type: python, object: module:name, weight: ...}"
        )
    target = find_component(name)
    try:
        inspect.signature(target).bind(*() if isinstance(target, type) else (None,), **options)
    except TypeError as error:
        raise ConfigError(f"its options do not fit ({error}); mend `options`") from None
    return target


class _Guarded:
    """A component whose faults are missing values, never the end of a run and never 0."""

    def __init__(self, name: str, inner: RewardComponent) -> None:
        self.name, self.inner = name, inner

    def __call__(self, rollout: Rollout) -> Value | Awaitable[Value]:
        try:
            value = self.inner(rollout)
        except Exception as error:
            return self.fault(f"{type(error).__name__}: {error}")
        return self._wait(value) if inspect.isawaitable(value) else self.checked(value)

    async def _wait(self, value: Any) -> Value:
        try:
            return self.checked(await value)
        except Exception as error:
            return self.fault(f"{type(error).__name__}: {error}")

    def checked(self, value: Any) -> Value:
        """A value as it is, if it is one."""
        if value is None:
            return None
        if not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:  # NaN too
            return self.fault(f"{value!r} is no number in [0, 1]")
        return float(value)

    def fault(self, why: str) -> Value:
        """Says why a value is missing."""
        log.warning("reward component %s gave no value: %s", self.name, why)
        return None


def read_rollout(
    completion: Completion,
    problem: Problem,
    student: StudentConfig,
    structure: StructureScore | None = None,
    parsed: ParsedOutput | None = None,
    teachers: Sequence[str] = (),
) -> Rollout:
    """Reads a student's completion once, for all components.

    Args:
        completion: The completion.
        problem: Its problem.
        student: Output convention and token budget.
        structure: Its structure score, where there is one.
        parsed: What was read off it before, where it was.
        teachers: The teacher's paths for the problem.
    """
    return Rollout(
        question=problem.question,
        reference=problem.answer,
        text=completion.text,
        parsed=parsed or read_output(completion.text, student.output),
        output=student.output,
        tokens=completion.tokens,
        max_tokens=student.max_completion_tokens,
        finished=completion.finish_reason == "stop",
        problem=problem,
        structure=structure,
        teachers=tuple(teachers),
    )


def measure(rollouts: Sequence[Rollout], components: Components) -> list[dict[str, Any]]:
    """Asks every component about every completion, in the calling thread (verifiers' time-outs need the main one).

    Returns:
        Values by name for each completion; what an ``async`` component answers still has to be waited for
        (:func:`wait_for_values`).
    """
    return [{name: ask(rollout) for name, ask in components.items()} for rollout in rollouts]


async def wait_for_values(rows: Sequence[dict[str, Any]]) -> None:
    """Waits for the answers of ``async`` components, all together, and writes them in."""
    waiting = [(row, name) for row in rows for name, value in row.items() if isinstance(value, Awaitable)]
    values = await asyncio.gather(*(row[name] for row, name in waiting))
    for (row, name), value in zip(waiting, values, strict=True):
        row[name] = value
