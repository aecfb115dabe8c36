"""Completions and how they were rewarded: the ledger's rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.alignment import StepMatch
from schemas.base import Schema

FinishReason = Literal["stop", "length"]
Member = Literal["sampled", "greedy", "teacher"]
"""Where a member of a group comes from: sampled by the student, decoded greedily by it, or written by the teacher."""


class Completion(Schema):
    """One text that a model wrote for a prompt."""

    problem_id: str
    text: str
    tokens: int = Field(ge=0)
    finish_reason: FinishReason


class RewardRecord(Schema):
    """One ledger row: a scored completion.

    A component that could not be computed is ``None`` (missing), named in ``missing``, and makes
    ``reward`` ``None`` too: such a completion is masked out of the advantage.

    Attributes:
        step: Optimiser step (of the first update that used it), from 0.
        group: Index of its group within the step.
        problem_id: The problem.
        completion: The text.
        tokens: Its length in tokens.
        finish_reason: ``stop`` or ``length`` (hit the limit).
        steps_found: Steps that the decomposer found in it.
        verdicts: Per-step verdicts.
        components: What was measured, each in [0, 1], by name (``structure``, ``outcome``, ``format``, ``length``, and what
            ``rewards.components`` adds); a column each in the ledger.
        alpha: Weight of structure at that step.
        reward: The combination in [0, 1].
        advantage: As used in the loss; 0 for a masked row, ``None`` for one of a group that was replaced (``rl.objective.resample``).
        missing: Names of missing components.
        spans: Where each step of ``verdicts`` stands in ``completion``, in code points; empty where that is not known. No column
            of the ledger.
        judged: Pairs of steps that the judge compared for it.
        own_answer: Whether its answer is what its own path finds; ``None`` where that is not known.
        member: Where it comes from; what the teacher wrote counts as no sample.
        undecided: Why nobody can say whether its answer is right; empty where that is known, or it states none.
    """

    step: int
    group: int
    problem_id: str
    completion: str
    tokens: int
    finish_reason: FinishReason
    steps_found: int = 0
    verdicts: tuple[StepMatch, ...] = ()
    components: dict[str, float | None] = Field(default_factory=dict)
    alpha: float = 0.5
    reward: float | None = None
    advantage: float | None = None
    missing: tuple[str, ...] = ()
    undecided: str = ""
    judged: int = 0
    own_answer: bool | None = None
    member: Member = "sampled"
    spans: tuple[tuple[int, int], ...] = Field(default=(), exclude=True, repr=False)

    @property
    def structure(self) -> float | None:
        """The structure component."""
        return self.components.get("structure")

    @property
    def outcome(self) -> float | None:
        """The outcome component."""
        return self.components.get("outcome")
