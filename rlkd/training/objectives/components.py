"""GDPO: each component of the reward normalised within its group by itself (arXiv 2601.05242, equations 4 to 6).

``A_k = (r_k - mean(r_k)) / std(r_k)`` over the group, for each component k; ``A = sum of w_k A_k``; then A is normalised over
the batch. With one advantage of the weighted sum, whichever component spreads most in a group rules there, whatever its
weight says. Assumes that each component means something by itself: one that is the same in the whole group says nothing,
however large its weight, and one that differs by a hair counts in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlkd.rewards.scoring import paid_outcome, paid_structure
from rlkd.rewards.statistics import group_records
from schemas.config.rewards import RewardsConfig
from schemas.rollout import RewardRecord

EPSILON = 1e-4
"""Added to a standard deviation, as TRL does."""


def component_advantages(records: Sequence[RewardRecord], config: RewardsConfig) -> list[float]:
    """Computes the advantage of every completion of a round from its components; 0 where its reward is missing.

    Args:
        records: All completions of the round.
        config: The weights, at the step of each record.
    """
    sums: dict[int, float] = {}
    places = {id(record): place for place, record in enumerate(records)}
    for group in group_records(records):
        known = [record for record in group if record.reward is not None]
        for name, weight in config.shares_at(group[0].step).items():
            if weight == 0:
                continue
            values = normalized([_value(record, name, config) for record in known])
            for record, value in zip(known, values, strict=True):
                place = places[id(record)]
                sums[place] = sums.get(place, 0.0) + weight * value
    over = dict(zip(sums, normalized(list(sums.values())), strict=True))
    return [over.get(place, 0.0) for place in range(len(records))]


def normalized(values: Sequence[float]) -> list[float]:
    """Takes the mean off and divides by the standard deviation (with Bessel's correction); 0 where nothing differs."""
    if len(values) < 2:
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return [(value - mean) / (spread + EPSILON) for value in values]


def _value(record: RewardRecord, name: str, config: RewardsConfig) -> float:
    value = record.components.get(name)
    if name == "structure":
        value = paid_structure(value, config, finished=record.finish_reason == "stop")
    elif name == "outcome" and value is not None:
        value = paid_outcome(value, config, record.own_answer)
    return value or 0.0
