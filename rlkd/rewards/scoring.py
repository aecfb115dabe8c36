"""Scores completions with every component and combines them: what any trainer calls once per batch.

No trainer is imported here. The scorer of structures is asynchronous and batched; outcome, format and length
are computed in the calling thread (the verifier's time-outs need the main one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rlkd.answers.conventions import path_of
from rlkd.rewards.combine import Combined, Components, combine, length_term
from rlkd.rewards.format import format_reward
from rlkd.rewards.outcome import outcome_reward
from rlkd.structure.scorer import ScoreItem
from schemas.alignment import StepMatch, StructureScore
from schemas.config.rewards import RewardsConfig, weight_at
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
        rewards: Weights, schedule and gate.
        student: Output convention and token budget.
        scorer: Scorer of structures.
        problems: Problems by id.
        teachers: Structures of each problem's teacher paths, by problem id.
    """

    rewards: RewardsConfig
    student: StudentConfig
    scorer: Scorer
    problems: Mapping[str, Problem]
    teachers: Mapping[str, Sequence[Structure]]

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
        structures = await self._structures(completions, step)
        records = []
        for i, (completion, structure) in enumerate(zip(completions, structures, strict=True)):
            parts = self._components(completion, structure)
            made = combine(parts, self.rewards, step)
            records.append(_record(completion, structure, parts, made, step, first_group + i // group_size))
        return records

    async def _structures(self, completions: Sequence[Completion], step: int) -> list[StructureScore | None]:
        if weight_at(self.rewards, "alpha", step) == 0 and not self.rewards.observe_structure:
            return [None] * len(completions)
        items = []
        for completion in completions:
            problem = self.problems[completion.problem_id]
            items.append(
                ScoreItem(
                    problem=problem.question,
                    teachers=tuple(self.teachers[completion.problem_id]),
                    student_path=path_of(completion.text, self.student.output),
                    domain=problem.domain,
                )
            )
        return await self.scorer.score(items)

    def _components(self, completion: Completion, structure: StructureScore | None) -> Components:
        problem, output = self.problems[completion.problem_id], self.student.output
        return Components(
            structure=None if structure is None else structure.structure,
            outcome=outcome_reward(completion.text, problem.answer, output, problem),
            format=format_reward(completion.text, output, completion.finish_reason == "stop"),
            length=length_term(
                completion.tokens, self.student.max_completion_tokens, self.rewards.length_free
            ),
        )


def _record(
    completion: Completion,
    structure: StructureScore | None,
    parts: Components,
    made: Combined,
    step: int,
    group: int,
) -> RewardRecord:
    return RewardRecord(
        step=step,
        group=group,
        problem_id=completion.problem_id,
        completion=completion.text,
        tokens=completion.tokens,
        finish_reason=completion.finish_reason,
        steps_found=0 if structure is None else structure.student_steps,
        verdicts=() if structure is None else tuple(step_verdict(match) for match in structure.steps),
        structure=parts.structure,
        outcome=parts.outcome,
        format=parts.format,
        length=parts.length,
        alpha=made.alpha,
        reward=made.reward,
        missing=made.missing,
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
