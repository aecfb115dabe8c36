"""Scores completions with every component and combines them: what any trainer calls once per batch.

No trainer is imported here. Each completion is read once. The scorer of structures is asynchronous and batched; outcome,
format and length are computed in the calling thread (the verifier's time-outs need the main one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rlkd.answers.conventions import ParsedOutput, read_output
from rlkd.rewards.combine import combine
from rlkd.rewards.components import STANDARD, RewardComponent, Rollout
from rlkd.rewards.measure import make_components, measure, read_rollout, wait_for_values
from rlkd.structure.scorer import ScoreItem
from schemas.alignment import StepMatch, StructureScore
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord, StepVerdict
from schemas.structure import Structure


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

    async def score(
        self, completions: Sequence[Completion], step: int, first_group: int, group_size: int
    ) -> list[RewardRecord]:
        """Scores a batch of whole groups, in order.

        Args:
            completions: Completions; each ``group_size`` neighbours are a group.
            step: Optimiser step, from 0.
            first_group: Number of the first group.
            group_size: Completions per group.

        Returns:
            A record per completion, its advantage still ``None``.
        """
        read = [read_output(completion.text, self.student.output) for completion in completions]
        structures = await self._structures(completions, read, step)
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
            self._record(completion, rollout, values, step, first_group + i // group_size)
            for i, (completion, rollout, values) in enumerate(zip(completions, rollouts, rows, strict=True))
        ]

    async def _structures(
        self, completions: Sequence[Completion], read: Sequence[ParsedOutput], step: int
    ) -> list[StructureScore | None]:
        if not self.rewards.observe_structure and self.rewards.alpha_at(step) == 0:
            return [None] * len(completions)
        items = []
        for completion, parsed in zip(completions, read, strict=True):
            problem = self.problems[completion.problem_id]
            teachers = tuple(self.teachers[completion.problem_id])
            items.append(ScoreItem(problem.question, teachers, parsed.path, problem.domain))
        return await self.scorer.score(items)

    def _record(
        self,
        completion: Completion,
        rollout: Rollout,
        values: dict[str, float | None],
        step: int,
        group: int,
    ) -> RewardRecord:
        structure = rollout.structure
        made = combine(values, self.rewards, step)
        return RewardRecord(
            step=step,
            group=group,
            problem_id=completion.problem_id,
            completion=completion.text,
            tokens=completion.tokens,
            finish_reason=completion.finish_reason,
            steps_found=0 if structure is None else structure.student_steps,
            verdicts=() if structure is None else tuple(step_verdict(match) for match in structure.steps),
            components=values,
            alpha=made.alpha,
            reward=made.reward,
            missing=made.missing,
            undecided=rollout.notes.get("outcome", ""),
        )


def step_verdict(match: StepMatch) -> StepVerdict:
    """A student's step as the ledger keeps it: the step, its partner, and the judge's probabilities."""
    return StepVerdict(
        step=match.index,
        sub_problem=match.sub_problem,
        answer=match.answer,
        teacher_path=match.teacher_path,
        teacher_step=match.teacher_step,
        p_intent=match.p_intent,
        p_sub_problem=match.p_sub_problem,
        p_answer=match.p_answer,
    )
