"""Statistics of one step's scored completions, for curves and alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlkd.rewards.loops import repeated_share
from rlkd.rewards.scoring import RIGHT
from schemas.rollout import RewardRecord

SAME = 1e-8
"""Rewards of a group that differ by no more than this give no gradient: the group has no signal."""


def group_records(records: Sequence[RewardRecord]) -> list[list[RewardRecord]]:
    """The records of each (step, group), in order of appearance."""
    groups: dict[tuple[int, int], list[RewardRecord]] = {}
    for record in records:
        groups.setdefault((record.step, record.group), []).append(record)
    return list(groups.values())


def no_signal(group: Sequence[RewardRecord]) -> bool:
    """Whether a group's rewards do not differ, so that it teaches nothing (``groups_without_difference`` in metrics)."""
    rewards = [record.reward for record in group if record.reward is not None]
    return len(rewards) < 2 or max(rewards) - min(rewards) <= SAME


def components_of(records: Sequence[RewardRecord]) -> tuple[str, ...]:
    """Names of the components that records hold, in order of appearance."""
    return tuple(dict.fromkeys(name for record in records for name in record.components))


def missing_share(records: Sequence[RewardRecord]) -> float:
    """Share of completions whose reward is missing; 0 for none at all."""
    return sum(record.reward is None for record in records) / len(records) if records else 0.0


def step_statistics(records: Sequence[RewardRecord]) -> dict[str, float]:
    """Figures of one round of sampling.

    Means and standard deviations (of the population) are over the completions that have the value; a
    figure without any value is left out, never NaN. What the teacher wrote is no sample of the student's, and counts only
    in its group.

    Returns:
        ``reward``, ``reward_std``, each component (``structure``, ``structure_std``, ...), ``tokens``,
        ``tokens_sampled``, ``steps_found``, ``repeated`` (share of lines), ``truncated``, ``guessed`` (share of answers that the path does not find), ``missing``, ``undecided`` (a share), ``groups``, ``groups_without_difference`` (a share of those that are learned from),
        ``structure_right`` and ``structure_wrong`` (structure where the outcome is right or wrong), ``alpha``.
    """
    if not records:
        return {}
    figures: dict[str, float] = {}
    groups = group_records(records)
    # Of a group that was replaced nothing is learned; before advantages are known none was.
    learned = [group for group in groups if any(row.advantage is not None for row in group)] or groups
    records = [record for record in records if record.member != "teacher"]
    greedy = [record for record in records if record.member == "greedy"]
    if greedy:
        figures["greedy_truncated"] = sum(r.finish_reason == "length" for r in greedy) / len(greedy)
    _describe(figures, "reward", [r.reward for r in records])
    for name in components_of(records):
        _describe(figures, name, [r.components.get(name) for r in records])
    for name, right in (("structure_right", True), ("structure_wrong", False)):
        judged = [r.structure for r in records if r.outcome is not None and (r.outcome >= RIGHT) == right]
        _describe(figures, name, judged, spread=False)
    figures |= {
        "tokens": sum(r.tokens for r in records) / len(records),
        "tokens_sampled": float(sum(r.tokens for r in records)),
        "steps_found": sum(r.steps_found for r in records) / len(records),
        "repeated": sum(repeated_share(r.completion) for r in records) / len(records),
        "truncated": sum(r.finish_reason == "length" for r in records) / len(records),
        "missing": missing_share(records),
        "guessed": sum(r.own_answer is False for r in records) / len(records),
        "undecided": sum(bool(r.undecided) for r in records) / len(records),
        "groups": float(len(groups)),
        "groups_without_difference": sum(map(no_signal, learned)) / len(learned),
        "alpha": records[0].alpha,
    }
    return figures


def _describe(
    figures: dict[str, float], name: str, values: Sequence[float | None], *, spread: bool = True
) -> None:
    known = [value for value in values if value is not None]
    if not known:
        return
    mean = sum(known) / len(known)
    figures[name] = mean
    if spread:
        figures[f"{name}_std"] = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known))
