"""The one reward function that TRL sees, and what stops a run whose rewards are missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rlkd.errors import MissingScoreError
from rlkd.rewards.scoring import RewardModel
from rlkd.rewards.statistics import missing_share
from schemas.rollout import Completion, Member, RewardRecord


class GroupReward:
    """The one reward function that TRL sees; remembers the records of the last batch.

    TRL would add several functions with ``nansum``, which turns a missing component into 0. Here the
    components are combined first, and a missing one makes the whole reward ``None``.

    Args:
        model: Scores completions.
        eos_ids: Tokens that end a completion.
        group_size: Completions per problem.
        max_missing_share: Share of missing rewards past which training stops.
        whole: Makes the whole completion of a sampled text: puts back what the prompt has opened.
    """

    __name__ = "rlkd_reward"

    def __init__(
        self,
        model: RewardModel,
        eos_ids: Sequence[int],
        group_size: int,
        max_missing_share: float,
        whole: Callable[[str], str] = str,
    ) -> None:
        self.model = model
        self.eos_ids = frozenset(eos_ids)
        self.group_size = group_size
        self.max_missing_share = max_missing_share
        self.whole = whole
        self.process_index = 0
        self.records: list[RewardRecord] = []
        self.members: list[Member] = []
        self._runner = asyncio.Runner()

    def __call__(
        self,
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        problem_id: Sequence[str],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        """Scores this process's completions; ``None`` where the reward is missing."""
        rows = [
            Completion(
                problem_id=name,
                text=self.whole(text),
                tokens=len(ids),
                finish_reason="stop" if ids and ids[-1] in self.eos_ids else "length",
            )
            for name, text, ids in zip(problem_id, completions, completion_ids, strict=True)
        ]
        first = self.process_index * len(rows)
        scored = self._runner.run(self.model.score(rows, trainer_state.global_step))
        members = self.members or ["sampled"] * len(rows)
        self.records = [
            r.model_copy(update={"group": (first + i) // self.group_size, "member": member})
            for i, (r, member) in enumerate(zip(scored, members, strict=True))
        ]
        return [record.reward for record in self.records]

    def score_apart(self, model: RewardModel, completions: Sequence[Completion]) -> list[RewardRecord]:
        """Scores completions that nothing is learned from."""
        return self._runner.run(model.score(completions, 0))

    def close(self) -> None:
        """Ends the event loop."""
        self._runner.close()


_TRIED = 16
"""Teachers' paths on which the reward's components are tried: a component that none of them has will not come with a student's."""


def check_components(reward: GroupReward) -> None:
    """Tries the components that a configuration adds on the teachers' own paths, before any completion is sampled.

    The component ``numbers`` where no path has a number (domain logic) is missing in every reward: without this look ahead
    that came to light after the first step's sampling.

    Raises:
        MissingScoreError: One of them has no value for any of the first paths.
    """
    model = reward.model
    added = {
        name for name, weight, schedule in model.rewards.terms() if weight or schedule
    } & model.rewards.further.keys()
    paths = [(name, model.paths[name][0]) for name in model.problems if model.paths.get(name)][:_TRIED]
    if not added or not paths:
        return
    rows = [
        Completion(problem_id=name, text=text, tokens=len(text.split()), finish_reason="stop")
        for name, text in paths
    ]
    records = reward.score_apart(model, rows)
    for name in sorted(added):
        if all(record.components.get(name) is None for record in records):
            raise MissingScoreError(
                f"rewards.components: {name} has no value for the teacher's own path of any of the first {len(rows)} problems "
                f"({rows[0].problem_id}, ...), so that every reward would be missing; leave it out, or choose problems that it can measure"
            )


def check_missing(records: Sequence[RewardRecord], limit: float, fault: str = "") -> None:
    """Stops a run whose rewards are missing too often.

    Args:
        records: The step's records.
        limit: Share of missing rewards that is borne.
        fault: What went wrong last, for the message.

    Raises:
        MissingScoreError: The share of missing rewards in the step exceeds the limit.
    """
    share = missing_share(records)
    if share > limit:
        names = sorted({name for record in records for name in record.missing})
        raise MissingScoreError(
            f"{share:.0%} of the rewards of step {records[0].step + 1} are missing ({', '.join(names)}), more than "
            f"rl.max_missing_share = {limit:.0%}{f' (last fault: {fault})' if fault else ''}; mend structures.decomposer, "
            "structures.judge or their endpoint and run again: training continues from its last checkpoint"
        )
