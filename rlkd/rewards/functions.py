"""The reward as a plain Python function, for trainers other than this project's.

* :func:`make_reward_function` makes an entry for TRL's ``reward_funcs`` (``examples/trl_reward.py``).
* :func:`compute_score` is a custom reward for verl (``examples/verl_reward.py``).

Neither imports torch, and with the default settings (rules) neither needs a model.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rlkd.answers.conventions import OutputFormat, read_output_or_any
from rlkd.errors import ConfigError, DataError, MissingScoreError
from rlkd.rewards.breaker import CircuitBreaker
from rlkd.rewards.components import STANDARD, Rollout
from rlkd.rewards.scoring import Combined, combine_rollout, make_components, measure, wait_for_values
from rlkd.rewards.texts import TextSample, TextScorer
from rlkd.structure.backends.cached import last_fault
from rlkd.structure.factory import make_scorer
from rlkd.structure.scorer import path_item
from schemas.alignment import StructureScore
from schemas.config.rewards import RewardsConfig, ever_weighs
from schemas.config.structure import StructuresConfig

Result = TypeVar("Result")
DEFAULT_REWARDS = RewardsConfig(format=0.0)
"""Half structure, half outcome, no format term (which needs to know the convention)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A completion's components and their combination.

    Attributes:
        values: What was measured, by name; ``None`` where it is missing.
        combined: The reward; ``None`` in it where a component that it needs is missing.
        structure: The structure score in full; ``None`` where it is missing.
        undecided: Why nobody can say whether the answer is right; empty where that is known.
    """

    values: Mapping[str, float | None]
    combined: Combined
    structure: StructureScore | None
    undecided: str = ""


class RewardFunction:
    """Scores completions against teacher paths; call it as TRL calls its ``reward_funcs``.

    Made by :func:`make_reward_function`. Thread-safe; runs its own event loop in a thread of its own, so that it can be
    called from anywhere, also where an event loop is already running.

    Attributes:
        breaker: Counts missing rewards, and stops the run when there are too many.
    """

    def __init__(
        self,
        structures: StructuresConfig,
        rewards: RewardsConfig,
        output: OutputFormat | None,
        max_completion_tokens: int | None,
        max_missing_share: float,
        columns: tuple[str, str, str | None],
    ) -> None:
        if ever_weighs(rewards, "format") and output is None:
            raise ConfigError(
                "rewards.format is above 0, so `output` must say the form that is asked for; name one or set rewards.format to 0"
            )
        if ever_weighs(rewards, "length") and max_completion_tokens is None:
            raise ConfigError(
                "rewards.length is above 0, so `max_completion_tokens` must be given; give it or set rewards.length to 0"
            )
        self.__name__ = "rlkd"
        self.rewards = rewards
        self.output = output
        self.max_completion_tokens = max_completion_tokens
        self.breaker = CircuitBreaker(max_missing_share)
        self.components = make_components(rewards)
        self._columns = columns
        self._scorer = TextScorer(make_scorer(structures))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """Rewards of a batch, in order; ``None`` where the reward is missing (TRL then masks the completion).

        Args:
            prompts: Texts or conversations, one per completion.
            completions: Texts or conversations (the last message counts).
            columns: The dataset's columns, one value per completion: teacher paths, reference answers, and if there are
                any ``problem`` and ``domain``; and what TRL adds (``completion_ids``, ``trainer_state``, ``log_metric``).

        Raises:
            DataError: A column is missing or does not fit.
            MissingScoreError: More rewards are missing than is allowed.
        """
        scored = self.score(prompts, completions, **columns)
        log = columns.get("log_metric")
        if callable(log):
            for name in self.components:
                known = [value for s in scored if (value := s.values.get(name)) is not None]
                if known:
                    log(f"rlkd/{name}", sum(known) / len(known))
            log("rlkd/missing", sum(s.combined.reward is None for s in scored) / max(1, len(scored)))
            log("rlkd/undecided", sum(bool(s.undecided) for s in scored) / max(1, len(scored)))
        lost = Counter(name for s in scored for name in s.combined.missing)
        why = ", ".join(filter(None, [*lost, last_fault(self._scorer) if lost else ""]))
        self.breaker.record([s.combined.reward is not None for s in scored], why)
        return [s.combined.reward for s in scored]

    def score(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Scored]:
        """The components and rewards of a batch, in order; see :meth:`__call__`."""
        texts = [_text(completion) for completion in completions]
        rollouts = self._rollouts(prompts, texts, columns)
        samples = self._samples(rollouts, columns)
        scores = self._run(self._scorer.score(samples))
        rollouts = [
            replace(rollout, structure=score, teachers=sample.teachers)
            for rollout, score, sample in zip(rollouts, scores, samples, strict=True)
        ]
        rows = measure(rollouts, self.components)
        if len(self.components) > len(STANDARD):
            self._run(wait_for_values(rows))
        step = int(getattr(columns.get("trainer_state"), "global_step", 0) or 0)
        return [
            Scored(
                values,
                combine_rollout(values, rollout, self.rewards, step),
                score,
                rollout.notes.get("outcome", ""),
            )
            for values, score, rollout in zip(rows, scores, rollouts, strict=True)
        ]

    def _rollouts(
        self, prompts: Sequence[Any], texts: Sequence[str], columns: Mapping[str, Any]
    ) -> list[Rollout]:
        """Reads each completion once."""
        _, answer_column, problem_column = self._columns
        answers: Sequence[Any] = [None] * len(texts)
        if answer_column in columns or self.rewards.alpha < 1 or self.rewards.alpha_schedule is not None:
            answers = _column(columns, answer_column, len(texts), "the reference answer of each problem")
        problems = prompts
        if problem_column is not None:
            problems = _column(columns, problem_column, len(texts), "the text of each problem")
        limit = self.max_completion_tokens
        lengths = [
            None if ids is None else len(ids) for ids in columns.get("completion_ids") or [None] * len(texts)
        ]
        return [
            Rollout(
                question=_text(problem),
                reference=None if answer is None else str(answer),
                text=text,
                parsed=read_output_or_any(text, self.output),
                output=self.output,
                tokens=tokens,
                max_tokens=limit,
                finished=limit is None or tokens is None or tokens < limit,
            )
            for problem, answer, text, tokens in zip(problems, answers, texts, lengths, strict=True)
        ]

    def _samples(self, rollouts: Sequence[Rollout], columns: Mapping[str, Any]) -> list[TextSample]:
        name = self._columns[0]
        teachers = _column(columns, name, len(rollouts), "the teacher's path or paths of each problem")
        domains = columns.get("domain") or ["math"] * len(rollouts)
        samples = []
        for i, (rollout, given, domain) in enumerate(zip(rollouts, teachers, domains, strict=True)):
            paths = (given,) if isinstance(given, str) else tuple(given or ())
            if not all(isinstance(path, str) for path in paths):
                raise DataError(f"column {name!r}, row {i}: must be a path or a list of paths, each a text")
            samples.append(TextSample(path_item(rollout.question, rollout.parsed, str(domain)), paths))
        return samples

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine in the loop of this function's own thread, which is started when first needed."""
        with self._lock:
            if (
                self._loop is None or self._owner != os.getpid()
            ):  # a forked worker has the object, not the thread
                self._loop, self._owner = asyncio.new_event_loop(), os.getpid()
                threading.Thread(target=self._loop.run_forever, name="rlkd-reward", daemon=True).start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def make_reward_function(
    structures: StructuresConfig | None = None,
    rewards: RewardsConfig | None = None,
    *,
    output: OutputFormat | None = None,
    max_completion_tokens: int | None = None,
    max_missing_share: float = 0.1,
    teacher_column: str = "teacher",
    answer_column: str = "answer",
    problem_column: str | None = None,
) -> RewardFunction:
    """Makes a reward function for TRL: ``GRPOTrainer(..., reward_funcs=make_reward_function())``.

    One function combines all components: TRL sums several functions with ``nansum``, in which a missing component
    would count as 0.

    Args:
        structures: Decomposer, judge and alignment; by default rules (no model) and our alignment.
        rewards: Weights; by default half structure, half outcome.
        output: How a completion should state its answer (``answer_line``, ``gsm8k``, ``boxed``, ``think_boxed``); ``None``
            reads any of them and knows no format term.
        max_completion_tokens: The trainer's limit, for the length term and to know cut-off completions.
        max_missing_share: Share of missing rewards past which a :class:`~rlkd.errors.MissingScoreError` stops the run.
        teacher_column: Column with the teacher's path, or a list of paths.
        answer_column: Column with the reference answer.
        problem_column: Column with the problem's text; ``None`` takes the prompt.

    Raises:
        ConfigError: The settings contradict each other.
    """
    return RewardFunction(
        structures or StructuresConfig(),
        rewards or DEFAULT_REWARDS,
        output,
        max_completion_tokens,
        max_missing_share,
        (teacher_column, answer_column, problem_column),
    )


@functools.cache
def _from_file(config: str | None, output: OutputFormat | None) -> RewardFunction:
    """One function per settings and process. verl calls for each completion, so missing scores raise there."""
    if config is None:
        return make_reward_function(output=output, max_missing_share=1.0)
    from rlkd.config.sections import load_score_config

    structures, rewards = load_score_config(Path(config))
    return make_reward_function(structures, rewards, output=output, max_missing_share=1.0)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    config: str | None = None,
    output: OutputFormat | None = None,
    **_: Any,
) -> dict[str, float]:
    """A custom reward for verl: ``custom_reward_function.path=<this file> .name=compute_score``.

    Args:
        data_source: Named in errors.
        solution_str: The completion.
        ground_truth: The reference answer.
        extra_info: The row's ``extra_info``: ``teacher`` (a path or a list of paths), and if there are any ``problem`` (or
            verl's usual ``question``) and ``domain``.
        config: YAML file with the sections ``structures`` and ``rewards`` (``custom_reward_function.reward_kwargs.config``).
        output: As in :func:`make_reward_function`.

    Returns:
        ``score`` (the reward, in [0, 1]) and its components ``structure``, ``prefix``, ``outcome`` and what
        ``rewards.components`` adds (NaN where one is not known and carries no weight).

    Raises:
        DataError: The row has no teacher path.
        MissingScoreError: The reward is missing: a part that it needs is. verl has no way to leave one completion out, and a made-up number would
            train the student.
    """
    info = dict(extra_info or {})
    if not info.get("teacher"):
        raise DataError(
            f"{data_source}: extra_info has no `teacher`; add the teacher's path (or a list of paths) to each row"
        )
    function = _from_file(config, output)
    teacher = info["teacher"]
    [scored] = function.score(
        [str(info.get("problem") or info.get("question") or "")],
        [solution_str],
        teacher=[teacher if isinstance(teacher, str) else list(teacher)],
        answer=[str(ground_truth)],
        domain=[info.get("domain") or "math"],
    )
    if scored.combined.reward is None:
        names = ", ".join(scored.combined.missing)
        raise MissingScoreError(
            f"{data_source}: the {names} of a completion could not be scored; see to the teacher's path or the model behind it"
        )
    further = [name for name in function.components if name not in STANDARD]
    known = {name: scored.values.get(name) for name in ("structure", "outcome", *further)}
    known["prefix"] = None if scored.structure is None else scored.structure.prefix
    return {
        "score": scored.combined.reward,
        **{name: math.nan if value is None else value for name, value in known.items()},
    }


def _column(columns: Mapping[str, Any], name: str, count: int, what: str) -> Sequence[Any]:
    values = columns.get(name)
    if values is None:
        raise DataError(
            f"the dataset has no column {name!r} ({what}); add it, or name another in make_reward_function"
        )
    if len(values) != count:
        raise DataError(f"column {name!r} has {len(values)} values for {count} completions")
    found: Sequence[Any] = values
    return found


def _text(value: Any) -> str:
    """A text, or the content of a conversation's last message."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and isinstance(value[-1], Mapping):
        content = value[-1].get("content")
        if isinstance(content, str):
            return content
    raise DataError(f"expected a text or a conversation, found {type(value).__name__}")
