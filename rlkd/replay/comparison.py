"""How a replay's rewards, the ranking within groups, and advantages differ from the run's, as figures and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlkd.replay.ranking import deviation, kendall, mean, pearson, spearman
from rlkd.rewards.scoring import (
    RIGHT,
)
from rlkd.rewards.statistics import components_of, group_records, no_signal
from schemas.replay import ReplayReport, ReplaySide, ReplayStep
from schemas.rollout import RewardRecord


def compare(
    before: Sequence[RewardRecord], after: Sequence[RewardRecord], rescored: bool, changed: tuple[str, ...]
) -> ReplayReport:
    """Compares a ledger's rows with the same rows rewarded again, group by group and step by step."""
    old_groups, new_groups = group_records(before), group_records(after)
    ranks = [_rank(old, new) for old, new in zip(old_groups, new_groups, strict=True)]
    known = [rank for rank in ranks if rank is not None]
    pairs = [(a.advantage, b.advantage) for a, b in zip(before, after, strict=True)]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return ReplayReport(
        rows=len(before),
        groups=len(old_groups),
        steps=len({row.step for row in before}),
        rescored=rescored,
        changed=changed,
        before=_side(before, old_groups),
        after=_side(after, new_groups),
        kendall=mean([rank[0] for rank in known]),
        spearman=mean([rank[1] for rank in known]),
        ranked_groups=len(known),
        best_changed=mean([float(rank[2]) for rank in known]),
        advantage_correlation=pearson([a for a, _ in both], [b for _, b in both]),
        advantage_change=mean([abs(a - b) for a, b in both]),
        sign_flips=mean([float(a * b < 0) for a, b in both]),
        by_step=tuple(_steps(old_groups, new_groups, ranks)),
    )


def _rank(old: Sequence[RewardRecord], new: Sequence[RewardRecord]) -> tuple[float, float, bool] | None:
    """Kendall, Spearman, and whether another completion is best; ``None`` where one side does not rank."""
    pairs = [
        (a.reward, b.reward)
        for a, b in zip(old, new, strict=True)
        if a.reward is not None and b.reward is not None
    ]
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    tau, rho = kendall(first, second), spearman(first, second)
    if tau is None or rho is None:
        return None
    best = {i for i, value in enumerate(first) if value >= max(first) - 1e-12}
    now = {i for i, value in enumerate(second) if value >= max(second) - 1e-12}
    return tau, rho, not best & now


def _side(rows: Sequence[RewardRecord], groups: Sequence[Sequence[RewardRecord]]) -> ReplaySide:
    rewards = [row.reward for row in rows if row.reward is not None]
    means = {
        name: mean([value for row in rows if (value := row.components.get(name)) is not None])
        for name in components_of(rows)
    }
    return ReplaySide(
        reward=mean(rewards),
        reward_std=deviation(rewards) if rewards else None,
        missing=1 - len(rewards) / len(rows),
        flat_groups=sum(map(no_signal, groups)) / len(groups),
        outcome_auroc=_auroc(groups),
        components=means,
    )


def _auroc(groups: Sequence[Sequence[RewardRecord]]) -> float | None:
    """Chance that a right completion of a group is paid more than a wrong one of it, ties half."""
    won = pairs = 0.0
    for group in groups:
        known = [
            (row.outcome, row.reward) for row in group if row.outcome is not None and row.reward is not None
        ]
        right = [reward for outcome, reward in known if outcome >= RIGHT]
        wrong = [reward for outcome, reward in known if outcome < RIGHT]
        won += sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
        pairs += len(right) * len(wrong)
    return won / pairs if pairs else None


def _steps(
    old: Sequence[Sequence[RewardRecord]],
    new: Sequence[Sequence[RewardRecord]],
    ranks: Sequence[tuple[float, float, bool] | None],
) -> Iterator[ReplayStep]:
    by_step: dict[int, list[int]] = {}
    for k, group in enumerate(old):
        by_step.setdefault(group[0].step, []).append(k)
    for step, own in sorted(by_step.items()):
        yield ReplayStep(
            step=step,
            before=mean([row.reward for k in own for row in old[k] if row.reward is not None]),
            after=mean([row.reward for k in own for row in new[k] if row.reward is not None]),
            kendall=mean([rank[0] for k in own if (rank := ranks[k]) is not None]),
        )


def replay_table(report: ReplayReport) -> str:
    """The report as text for a terminal."""
    lines = [f"{report.rows} completions, {report.groups} groups, {report.steps} steps"]
    lines += [f"  {change}" for change in report.changed] or ["  (no setting changed)"]
    lines.append(
        "  structure scored again from the completions"
        if report.rescored
        else "  stored components combined again"
    )
    lines.append(f"{'':28}{'before':>9}{'after':>9}")
    before, after = _figures(report.before), _figures(report.after)
    for name in dict.fromkeys([*before, *after]):
        lines.append(
            f"{name.replace('_', ' '):28}{_number(before.get(name)):>9}{_number(after.get(name)):>9}"
        )
    lines.append(
        f"ranking within groups: Kendall {_number(report.kendall)}, Spearman {_number(report.spearman)} over {report.ranked_groups} groups"
    )
    lines.append(f"another completion is best in {_share(report.best_changed)} of them")
    lines.append(
        f"advantages: correlation {_number(report.advantage_correlation)}, mean change {_number(report.advantage_change)}, "
        f"sign turned for {_share(report.sign_flips)} of the completions"
    )
    return "\n".join(lines)


def _figures(side: ReplaySide) -> dict[str, float | None]:
    """One side's figures by name, the components after the reward."""
    figures = side.model_dump(exclude={"components"})
    figures["groups_without_a_signal"] = figures.pop("flat_groups")
    first = {name: figures.pop(name) for name in ("reward", "reward_std")}
    return {**first, **side.components, **figures}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
