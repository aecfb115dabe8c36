"""What ``rl.objective`` changes in the trainer: who is in a group, and what advantages are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rlkd.answers.conventions import write_output
from rlkd.errors import DataError
from rlkd.student.prompts import PromptBook
from rlkd.training.objectives.components import component_advantages
from rlkd.training.objectives.signal import frontier_weights, no_signal_groups, other_problems
from schemas.config.objective import ObjectiveConfig
from schemas.config.pipeline import PipelineConfig
from schemas.config.rewards import RewardsConfig
from schemas.problem import Problem
from schemas.rollout import Member, RewardRecord

if TYPE_CHECKING:
    import torch

Sample = Callable[[list[dict[str, Any]]], dict[str, Any]]


@dataclass
class Objective:
    """The objective of a run.

    Attributes:
        config: ``rl.objective``.
        rewards: Weights of the components.
        group_size: Completions of a group.
        seed: Seed of what is drawn.
        rows: A row of the training data for each problem, by its id.
        traces: The teacher's traces as token ids, by problem id, for the teacher's member.
        teacher: The teacher where it is a model, prepared for log-probabilities.
        problem_ids: Problem of each completion of the round that is being sampled.
        kl: Sum of log p_student - log p_teacher over tokens since it was last asked for, and how many.
    """

    config: ObjectiveConfig
    rewards: RewardsConfig
    group_size: int
    seed: int = 0
    rows: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    traces: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    teacher: Any = None
    problem_ids: list[str] = field(default_factory=list)
    kl: tuple[float, float] = (0.0, 0.0)

    @property
    def rewarded(self) -> bool:
        """Whether the combined reward counts."""
        return self.config.distil is None or self.config.distil.reward

    def members(self, count: int, first: int, step: int) -> list[Member]:
        """Names where each completion of a round comes from.

        Args:
            count: Completions of this process.
            first: Place of the first of them among all processes'.
            step: Optimiser step.
        """
        found: list[Member] = []
        for i in range(count):
            place = (first + i) % self.group_size
            if self.config.greedy_in_group and place == 0:
                found.append("greedy")
            elif self.trace(i, step) is not None and place == self.group_size - 1:
                found.append("teacher")
            else:
                found.append("sampled")
        return found

    def trace(self, place: int, step: int) -> Sequence[int] | None:
        """Returns the teacher's trace for a completion of the round, another one at each step where there are several."""
        known = self.traces.get(self.problem_ids[place], ()) if self.config.teacher_in_group else ()
        return known[step % len(known)] if known else None

    def sample(
        self, inputs: list[dict[str, Any]], sample: Sample, records: _Records, step: int, pad_id: int
    ) -> dict[str, Any]:
        """Samples a round, and again for groups without a signal; see :func:`no_signal_groups`.

        Args:
            inputs: Rows of the data, each group's ``group_size`` times.
            sample: Samples and scores rows.
            records: Where the records of a scored round stand; gets those of the round that is kept, then the others.
            step: Optimiser step.
            pad_id: The padding token.
        """
        from rlkd.training.objectives.batches import merged

        output = self._sample(inputs, sample)
        if not self.config.resample:
            return output
        kept, dropped = list(records.records), list[RewardRecord]()
        size, used = self.group_size, [row["problem_id"] for row in inputs]
        for number in range(self.config.resample):
            no_signal = no_signal_groups(kept, size)
            if not no_signal:
                break
            names = other_problems(
                list(self.rows), used, len(no_signal), f"resample/{self.seed}/{step}/{number}"
            )
            used += names
            again = self._sample([dict(self.rows[name]) for name in names for _ in range(size)], sample)
            fresh = list(records.records)
            with_signal = sorted(set(range(len(no_signal))) - set(no_signal_groups(fresh, size)))
            source = {
                old: len(inputs) // size + new for old, new in zip(no_signal, with_signal, strict=False)
            }
            dropped += [record for old in source for record in _group(kept, old, size)]
            dropped += [
                r for new in set(range(len(no_signal))) - set(with_signal) for r in _group(fresh, new, size)
            ]
            groups = [source.get(place, place) for place in range(len(inputs) // size)]
            order = [group * size + i for group in groups for i in range(size)]
            everything = [*kept, *fresh]
            kept = [everything[i] for i in order]
            both = merged([(output, list(range(len(inputs)))), (again, list(range(len(fresh))))], pad_id)
            output = merged([(both, order)], pad_id)
        records.records = [
            record.model_copy(update={"group": i // size}) for i, record in enumerate([*kept, *dropped])
        ]
        return output

    def _sample(self, inputs: list[dict[str, Any]], sample: Sample) -> dict[str, Any]:
        self.problem_ids = [row["problem_id"] for row in inputs]
        return sample(inputs)

    def advantages(self, records: Sequence[RewardRecord], made: Sequence[float]) -> list[float]:
        """Computes the advantage of every completion of a round.

        Args:
            records: All completions of the round, of all processes.
            made: Advantages of the combined reward, as TRL computed them.
        """
        if not self.rewarded:
            return [0.0] * len(records)
        found = list(made)
        if self.config.normalize == "components":
            found = component_advantages(records, self.rewards)
        if self.config.weight == "frontier":
            found = [a * weight for a, weight in zip(found, frontier_weights(records), strict=True)]
        return found

    def by_token(
        self,
        records: Sequence[RewardRecord],
        ids: Sequence[Sequence[int]],
        decode: Callable[[Sequence[int]], str],
        opening: int,
    ) -> list[list[float]]:
        """Computes what the advantage of each token is multiplied with (``step_credit``).

        Args:
            records: The completions of this process, with their advantages.
            ids: Their tokens.
            decode: Decodes tokens, special ones left out.
            opening: Code points of the completion's text that the prompt has written.
        """
        from rlkd.training.objectives.step_credit import token_ends, token_weights

        return [
            token_weights(
                record,
                record.advantage or 0.0,
                [end + opening for end in token_ends(own, record.completion[opening:], decode)],
                self.config.step_credit,
            )
            for record, own in zip(records, ids, strict=True)
        ]

    @property
    def changes_advantages(self) -> bool:
        """Whether :meth:`advantages_now` may make an advantage of 0 another one."""
        return self.config.teacher_in_group or self.config.distil is not None

    def advantages_now(self, inputs: Mapping[str, Any], log_p_BC: torch.Tensor) -> torch.Tensor:
        """Computes the advantages of a loss: the teacher's member weighed, the teacher's probabilities added."""
        from rlkd.training.objectives.reverse_kl import with_teacher
        from rlkd.training.objectives.teacher_member import shape_advantages

        found: torch.Tensor = inputs["advantages"]
        own_B = inputs.get("rlkd_teacher_member")
        teacher_BC = inputs.get("rlkd_teacher_log_p")
        if own_B is None and teacher_BC is None:
            return found
        found = found[:, None] if found.ndim == 1 else found
        if own_B is not None:
            found = shape_advantages(found, log_p_BC, own_B, self.config.teacher_shaping)
        if teacher_BC is not None and self.config.distil is not None:
            if own_B is not None:  # what the teacher wrote is no sample of the student's
                teacher_BC = teacher_BC.where(~own_B[:, None], log_p_BC)
            mask_BC = inputs["completion_mask"]
            total, count = self.kl
            difference = ((log_p_BC - teacher_BC) * mask_BC).sum().item()
            self.kl = total + difference, count + mask_BC.sum().item()
            found = with_teacher(found, log_p_BC, teacher_BC, self.config.distil.weight)
        return found

    def figures(self) -> dict[str, float]:
        """Returns the mean reverse KL to the teacher over the sampled tokens since the last call."""
        (total, count), self.kl = self.kl, (0.0, 0.0)
        return {"teacher_kl": total / count} if count else {}


def make_objective(
    config: PipelineConfig,
    book: PromptBook,
    problems: Sequence[Problem],
    paths: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, str]],
) -> Objective:
    """Makes what ``rl.objective`` asks for, with the teacher's traces or the teacher itself where it needs them.

    Args:
        config: The configuration.
        book: Encodes completions.
        problems: The problems.
        paths: The teacher's paths by problem id.
        rows: A row of the training data for each problem.

    Raises:
        DataError: No trace of the teacher fits ``student.max_completion_tokens``.
    """
    wanted, teacher = config.rl.objective, None
    traces: dict[str, list[list[int]]] = {}
    if wanted.teacher_in_group:
        limit = config.student.max_completion_tokens
        for problem in problems:
            texts = [write_output(p, problem.answer, config.student.output) for p in paths[problem.id]]
            if fit := [ids for ids in map(book.encode_completion, texts) if len(ids) <= limit]:
                traces[problem.id] = fit
        if not traces:
            raise DataError(
                f"rl.objective.teacher_in_group: no trace fits student.max_completion_tokens ({limit}); raise it"
            )
    if wanted.distil is not None:
        from rlkd.training.teacher_model import load_teacher

        teacher = load_teacher(wanted.distil, config.student, book.tokenizer, config.rl.temperature)
    by_id = {row["problem_id"]: row for row in rows}
    return Objective(wanted, config.rewards, config.rl.group_size, config.seed, by_id, traces, teacher)


class _Records(Protocol):
    """Where the reward function keeps the records of the last round."""

    records: list[RewardRecord]


def _group(records: Sequence[RewardRecord], place: int, size: int) -> list[RewardRecord]:
    return list(records[place * size : (place + 1) * size])
