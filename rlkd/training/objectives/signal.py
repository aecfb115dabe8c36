"""Groups that teach nothing: which they are (DAPO, arXiv 2503.14476, section 3.2), and p (1 - p) as a group's weight (PACED).

Equation 11 of DAPO keeps a problem only where some, but not all, of its samples are right; others have no advantage.
Differs: a group is without signal where its *rewards* do not differ, since structure may tell samples apart that are all
wrong, and they are replaced up to a limit of rounds. Assumes that another problem has a signal.

PACED (arXiv 2603.11178): a problem's weight is w(p) = p (1 - p), p being the student's pass rate. Assumes that gradients
are mere noise where the student is always or never right. Differs: p comes from the group at hand, not from samples drawn
beforehand, and the weights are divided by their mean over the batch, so that the learning rate means the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from rlkd.rewards.scoring import RIGHT
from rlkd.rewards.statistics import group_records, no_signal
from schemas.rollout import RewardRecord


def no_signal_groups(records: Sequence[RewardRecord], group_size: int) -> list[int]:
    """Finds the groups without a signal, whose rewards do not differ, by their place in a round of whole groups."""
    return [
        start // group_size
        for start in range(0, len(records), group_size)
        if no_signal(records[start : start + group_size])
    ]


def other_problems(ids: Sequence[str], used: Sequence[str], count: int, seed: str) -> list[str]:
    """Draws problems to sample instead: others than those of the batch, each once while there are enough.

    Args:
        ids: All problems.
        used: Those of the batch.
        count: How many are wanted.
        seed: What decides; the same in a resumed run.
    """
    apart = sorted(set(ids) - set(used)) or sorted(set(ids))
    random.Random(seed).shuffle(apart)
    return [apart[i % len(apart)] for i in range(count)]


def frontier_weights(records: Sequence[RewardRecord]) -> list[float]:
    """Computes each completion's weight: p (1 - p) of its group over the batch's mean; 1 where no group has any.

    Of two groups with p = 1/2 and p = 1 the weights are 1/4 and 0, their mean 1/8: 2 and 0.
    """
    raw: Mapping[tuple[int, int], float] = {
        (group[0].step, group[0].group): _frontier(group) for group in group_records(records)
    }
    mean = sum(raw.values()) / len(raw)
    return [raw[record.step, record.group] / mean if mean else 1.0 for record in records]


def _frontier(group: Sequence[RewardRecord]) -> float:
    group = [record for record in group if record.member != "teacher"]  # p is the student's
    outcomes = [float(record.outcome >= RIGHT) for record in group if record.outcome is not None]
    values = outcomes or [record.reward for record in group if record.reward is not None]
    p = sum(values) / len(values) if values else 0.0
    return p * (1 - p)
