"""Scores completions: reads each once, asks every component, and combines the values into one number in [0, 1].

Training, evaluation, replay, the file commands and the functions for other trainers all measure through here; no trainer is
imported. The scorer of structures is asynchronous and batched; outcome, format and length are computed in the calling thread
(the verifier's time-outs need the main one).

``reward = (1 - sum of the other weights) * core + sum of weight * component`` with
``core = alpha * structure + (1 - alpha) * outcome`` (paper, section 3.3: R = alpha R_GSRM + (1 - alpha) R_outcome), the
others being format, length and whatever the configuration adds. Each weight may change over training. Differs from the
paper's code: every component and the result are in [0, 1], and a component that could not be computed makes the reward
*missing*, never zero.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import numbers
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

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
from rlkd.structure.scorer import ScoreItem, path_item
from schemas.alignment import StructureScore
from schemas.config.plugin import PythonObject
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure

log = logging.getLogger("rlkd.rewards")
Components = Mapping[str, RewardComponent]
RIGHT = 0.5
"""Outcome from which a completion counts as right."""


class Scorer(Protocol):
    """Scores student paths against teachers' structures; ``None`` where the score is missing."""

    async def score(self, items: Sequence[ScoreItem]) -> list[StructureScore | None]:
        """Scores in order."""
        ...


@dataclass(frozen=True)
class RewardModel:
    """Everything that scoring a completion needs.

    Attributes:
        rewards: Weights, schedules, and when structure counts.
        student: Output convention and token budget.
        scorer: Scorer of structures.
        problems: Problems by id.
        teachers: Structures of each problem's teacher paths, by problem id.
        components: The reward's components by name; by default those that ``rewards`` names, made here.
        paths: The teacher's paths as text by problem id, for components that compare with them.
    """

    rewards: RewardsConfig
    student: StudentConfig
    scorer: Scorer
    problems: Mapping[str, Problem]
    teachers: Mapping[str, Sequence[Structure]]
    components: Mapping[str, RewardComponent] = field(default_factory=dict)
    paths: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.components:
            object.__setattr__(self, "components", make_components(self.rewards))

    async def score(self, completions: Sequence[Completion], step: int) -> list[RewardRecord]:
        """Scores completions, in order.

        Args:
            completions: Completions; nothing is asked of how they are grouped.
            step: Optimiser step, from 0.

        Returns:
            A record per completion: its group 0 and its advantage ``None`` until whoever knows the groups fills them in.
        """
        read = [read_output(completion.text, self.student.output) for completion in completions]
        structures: list[StructureScore | None] = [None] * len(completions)
        if looks_at_structure(self.rewards, step):
            items = []
            for completion, parsed in zip(completions, read, strict=True):
                problem = self.problems[completion.problem_id]
                student = path_item(problem.question, parsed, problem.domain)
                items.append(ScoreItem(student, tuple(self.teachers[completion.problem_id])))
            structures = await self.scorer.score(items)
        rollouts = [
            read_rollout(
                completion,
                self.problems[completion.problem_id],
                self.student,
                structure,
                parsed,
                self.paths.get(completion.problem_id, ()),
            )
            for completion, structure, parsed in zip(completions, structures, read, strict=True)
        ]
        rows = measure(rollouts, self.components)
        if len(self.components) > len(STANDARD):
            await wait_for_values(rows)
        return [
            self._record(completion, rollout, values, step)
            for completion, rollout, values in zip(completions, rollouts, rows, strict=True)
        ]

    def _record(
        self,
        completion: Completion,
        rollout: Rollout,
        values: dict[str, float | None],
        step: int,
    ) -> RewardRecord:
        structure = rollout.structure
        own_answer = None if structure is None else structure.own_answer
        made = combine(values, self.rewards, step, finished=rollout.finished, own_answer=own_answer)
        start = rollout.text.find(rollout.parsed.path)
        spans = (
            () if structure is None or start < 0 else structure.spans
        )  # none where the path is not in the text as read
        return RewardRecord(
            step=step,
            group=0,
            problem_id=completion.problem_id,
            completion=completion.text,
            tokens=completion.tokens,
            finish_reason=completion.finish_reason,
            steps_found=0 if structure is None else structure.student_steps,
            verdicts=() if structure is None else structure.steps,
            components=values,
            alpha=made.alpha,
            reward=made.reward,
            missing=made.missing,
            undecided=rollout.notes.get("outcome", ""),
            judged=0 if structure is None else structure.judged,
            own_answer=own_answer,
            spans=tuple((start + first, start + last) for first, last in spans),
        )


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


@dataclass(frozen=True, slots=True)
class Combined:
    """The combination.

    Attributes:
        reward: In [0, 1]; ``None`` where a component that it needs is missing.
        alpha: Weight of structure at that step.
        missing: Names of the missing components that it needed.
    """

    reward: float | None
    alpha: float
    missing: tuple[str, ...]


def combine(
    values: Mapping[str, float | None],
    config: RewardsConfig,
    step: int,
    *,
    finished: bool = True,
    own_answer: bool | None = None,
) -> Combined:
    """Combines what was measured of one completion.

    Only components that carry weight are needed: with ``alpha`` 0, or where ``structure_gate`` leaves structure
    out, a missing structure score harms nothing; unless ``guessed`` is below 1: then nobody knows what the outcome pays (a guess was
    paid in full where the judge was down). Where structure is left out the outcome takes its weight, so that a right answer is
    never paid less than a wrong one for being right.

    Args:
        values: Each component in [0, 1] by name; ``None`` or absent where it is missing.
        config: Weights, and when structure counts.
        step: Optimiser step, from 0, for the schedules of the weights.
        finished: Whether the student ended the completion; if not, its structure counts ``rewards.unfinished`` of it.
        own_answer: Whether its answer is what its path finds; if not, its outcome pays ``rewards.guessed`` of it.
    """
    alpha, terms = config.alpha_at(step), config.weights_at(step)
    structure, outcome = values.get("structure"), values.get("outcome")
    if not finished:
        structure = paid_structure(structure, config, finished=False)
    share: float | None = alpha
    if config.structure_gate != "always" and alpha > 0:
        if outcome is None:
            share = None  # whether structure counts is not known either
        elif (outcome >= RIGHT) != (config.structure_gate == "right"):
            share = 0.0
    missing = []
    if structure is None and share is not None and (share > 0 or config.guessed < 1):
        missing.append("structure")
    if outcome is None and (share is None or share < 1):
        missing.append("outcome")
    missing += [name for name, weight in terms.items() if weight > 0 and values.get(name) is None]
    if missing:
        return Combined(None, alpha, tuple(missing))
    paid = outcome or 0.0
    if own_answer is False:
        paid = paid_outcome(paid, config, own_answer)
    core = (share or 0.0) * (structure or 0.0) + (1 - (share or 0.0)) * paid
    rest = 1.0
    for weight in terms.values():
        rest -= weight
    total = rest * core
    for name, weight in terms.items():
        total += weight * (values.get(name) or 0.0)
    return Combined(min(1.0, max(0.0, total)), alpha, ())


def combine_rollout(
    values: Mapping[str, float | None], rollout: Rollout, config: RewardsConfig, step: int
) -> Combined:
    """Combines what was measured of a completion that was read; see :func:`combine`, which RL calls itself: it records ``own_answer`` too."""
    own_answer = None if rollout.structure is None else rollout.structure.own_answer
    return combine(values, config, step, finished=rollout.finished, own_answer=own_answer)


def looks_at_structure(config: RewardsConfig, step: int) -> bool:
    """Whether structure is scored at a step: for its weight, for the ledger, or to know which answers are guessed."""
    return config.observe_structure or config.alpha_at(step) > 0 or config.guessed < 1


def paid_structure(structure: float | None, config: RewardsConfig, *, finished: bool) -> float | None:
    """Computes what a structure score is paid: less where the completion was cut off at the length limit.

    Differs from the paper where ``rewards.unfinished`` is below 1. Without it a path that never ends loses nothing, and
    one that repeats itself up to the limit little: on the sparse world greedy completions at the limit came to 85%.
    """
    return None if structure is None else structure * (1.0 if finished else config.unfinished)


def paid_outcome(outcome: float, config: RewardsConfig, own_answer: bool | None) -> float:
    """Computes what an outcome is paid: less where the answer is known not to be what the completion's own path finds.

    Differs from the paper where ``rewards.guessed`` is below 1. With two answers to choose from a path that never comes to the
    question is right half of the time, and that luck spreads in a group twice as wide as the structure score (0.39 and 0.18, logic, first 10 steps).
    """
    return outcome * config.guessed if own_answer is False else outcome


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
