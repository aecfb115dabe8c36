"""The combination of the reward's components into one number in [0, 1].

``reward = (1 - sum of the other weights) * core + sum of weight * component`` with
``core = alpha * structure + (1 - alpha) * outcome`` (paper, section 3.3: R = alpha R_GSRM + (1 - alpha) R_outcome), the
others being format, length and whatever the configuration adds. Each weight may change over training. Differs from the
paper's code: every component and the result are in [0, 1], and a component that could not be computed makes the reward
*missing*, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.config.rewards import RewardsConfig

RIGHT = 0.5
"""Outcome from which a completion counts as right."""


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


def combine(values: Mapping[str, float | None], config: RewardsConfig, step: int) -> Combined:
    """Combines what was measured of one completion.

    Only components that carry weight are needed: with ``alpha`` 0, or where ``structure_gate`` leaves structure
    out, a missing structure score harms nothing. Where structure is left out the outcome takes its weight, so that a
    right answer is never paid less than a wrong one for being right.

    Args:
        values: Each component in [0, 1] by name; ``None`` or absent where it is missing.
        config: Weights, and when structure counts.
        step: Optimiser step, from 0, for the schedules of the weights.
    """
    alpha, terms = config.alpha_at(step), config.weights_at(step)
    structure, outcome = values.get("structure"), values.get("outcome")
    share: float | None = alpha
    if config.structure_gate != "always" and alpha > 0:
        if outcome is None:
            share = None  # whether structure counts is not known either
        elif (outcome >= RIGHT) != (config.structure_gate == "right"):
            share = 0.0
    missing = []
    if structure is None and share is not None and share > 0:
        missing.append("structure")
    if outcome is None and (share is None or share < 1):
        missing.append("outcome")
    missing += [name for name, weight in terms.items() if weight > 0 and values.get(name) is None]
    if missing:
        return Combined(None, alpha, tuple(missing))
    core = (share or 0.0) * (structure or 0.0) + (1 - (share or 0.0)) * (outcome or 0.0)
    rest = 1.0
    for weight in terms.values():
        rest -= weight
    total = rest * core
    for name, weight in terms.items():
        total += weight * (values.get(name) or 0.0)
    return Combined(min(1.0, max(0.0, total)), alpha, ())
