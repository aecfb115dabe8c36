"""The combination of the reward's components into one number in [0, 1].

``reward = (1 - format - length) * core + format * F + length * L`` with
``core = alpha * S + (1 - alpha) * O`` (paper, section 3.3: R = alpha R_GSRM + (1 - alpha) R_outcome).
Each of the three weights may change over training. Differs from the paper's code: every component and the result are
in [0, 1], and a component that could not be computed makes the reward *missing*, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.config.rewards import RewardsConfig, weight_at

_RIGHT = 0.5
"""Outcome from which a completion counts as right, for gating."""


@dataclass(frozen=True, slots=True)
class Components:
    """What was measured of one completion, each in [0, 1]; ``None`` where it is missing."""

    structure: float | None
    outcome: float | None
    format: float | None
    length: float | None


@dataclass(frozen=True, slots=True)
class Combined:
    """The combination.

    Attributes:
        reward: In [0, 1]; ``None`` where a component that it needs is missing.
        alpha: Weight of structure at that step.
        missing: Names of the missing components that it needed.
    """

    reward: float | None
    alpha: float
    missing: tuple[str, ...]


def length_term(tokens: int, limit: int, free: float) -> float:
    """1 up to the free share of the budget, then falling in a straight line to 0 at the limit.

    Args:
        tokens: Tokens of the completion.
        limit: Budget (``student.max_completion_tokens``).
        free: Share of the budget that costs nothing.
    """
    budget = limit * free
    if tokens <= budget:
        return 1.0
    return max(0.0, (limit - tokens) / (limit - budget)) if limit > budget else 0.0


def combine(parts: Components, config: RewardsConfig, step: int) -> Combined:
    """Combines the components of one completion.

    Only components that carry weight are needed: with ``alpha`` 0, or where the gate shuts structure
    out, a missing structure score harms nothing. Where the gate shuts structure out the outcome takes
    its weight, so that a right answer is never paid less than a wrong one for being right.

    Args:
        parts: The components.
        config: Weights and gate.
        step: Optimiser step, from 0, for the schedules of the weights.
    """
    alpha = weight_at(config, "alpha", step)
    shape, short = weight_at(config, "format", step), weight_at(config, "length", step)
    needed: dict[str, float | None] = {}
    weight = _structure_weight(alpha, config, parts.outcome)
    if weight is None or weight < 1:
        needed["outcome"] = parts.outcome
    if weight is not None and weight > 0:
        needed["structure"] = parts.structure
    if shape > 0:
        needed["format"] = parts.format
    if short > 0:
        needed["length"] = parts.length
    missing = tuple(
        name
        for name in ("structure", "outcome", "format", "length")
        if name in needed and needed[name] is None
    )
    if missing:
        return Combined(None, alpha, missing)
    core = (weight or 0.0) * (parts.structure or 0.0) + (1 - (weight or 0.0)) * (parts.outcome or 0.0)
    total = (1 - shape - short) * core + shape * (parts.format or 0.0) + short * (parts.length or 0.0)
    return Combined(min(1.0, max(0.0, total)), alpha, ())


def _structure_weight(alpha: float, config: RewardsConfig, outcome: float | None) -> float | None:
    """Weight of structure for one completion; ``None`` where it depends on a missing outcome."""
    if config.structure_gate == "always" or alpha == 0:
        return alpha
    if outcome is None:
        return None
    counts = (outcome >= _RIGHT) == (config.structure_gate == "right")
    return alpha if counts else 0.0
