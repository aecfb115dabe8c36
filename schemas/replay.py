"""What a replay of a reward ledger shows: the same completions under other reward settings."""

from __future__ import annotations

from pydantic import Field

from schemas.base import SCHEMA_VERSION, Schema


class ReplaySide(Schema):
    """Figures of one side of a comparison; ``None`` where nothing has the value.

    Attributes:
        reward: Mean reward.
        reward_std: Its standard deviation over completions.
        components: Mean of each component, by name.
        missing: Share of completions whose reward is missing.
        flat_groups: Share of groups without a signal: their rewards do not differ, so that they teach nothing.
        outcome_auroc: Chance that a right completion is paid more than a wrong one of the same group.
    """

    reward: float | None
    reward_std: float | None
    components: dict[str, float | None] = Field(default_factory=dict)
    missing: float
    flat_groups: float
    outcome_auroc: float | None


class ReplayStep(Schema):
    """Mean reward of one optimiser step, before and after, and how much the ranking in its groups agrees."""

    step: int
    before: float | None
    after: float | None
    kendall: float | None


class ReplayReport(Schema):
    """How saved completions would have been rewarded under other settings.

    Attributes:
        rows, groups, steps: What the ledger holds.
        rescored: Whether structure was scored again from the completions (else stored components were combined).
        changed: Settings that differ, ``name: before -> after``.
        before: As the run rewarded them.
        after: Under the new settings.
        kendall: Mean rank correlation (tau-b) of the rewards within groups, over groups that rank on both sides.
        spearman: The same as Spearman's rho.
        ranked_groups: Groups that rank on both sides.
        best_changed: Share of those groups in which another completion comes out best.
        advantage_correlation: Pearson correlation of advantages over completions.
        advantage_change: Mean absolute change of the advantage.
        sign_flips: Share of completions pushed up before and down after, or the other way round.
        by_step: The same over training.
    """

    rows: int
    groups: int
    steps: int
    rescored: bool
    changed: tuple[str, ...]
    before: ReplaySide
    after: ReplaySide
    kendall: float | None
    spearman: float | None
    ranked_groups: int
    best_changed: float | None
    advantage_correlation: float | None
    advantage_change: float | None
    sign_flips: float | None
    by_step: tuple[ReplayStep, ...] = Field(default=())
    schema_version: int = SCHEMA_VERSION
