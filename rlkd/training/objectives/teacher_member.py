"""The teacher's verified trace as one more member of the group (LUFFY, arXiv 2504.14945, equations 4 to 6).

Advantages are those of the mixed group. The teacher's tokens are off-policy: their ratio is p / p_teacher, with p_teacher taken as 1,
and goes through f(x) = x / (x + gamma), without clipping, so that tokens which the student finds improbable are still
learned. The loss of a token is -f(p) A, its gradient -A gamma p / (p + gamma)^2 times that of log p: so the weight below
makes the same gradient in a loss whose ratio is 1. Assumes that the trace is right and of the asked form, and one update
per round of samples. Differs: the trace takes the place of one sample, and it is scored by the whole reward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def shaped_weight(log_p: Tensor, gamma: float) -> Tensor:
    """Computes gamma p / (p + gamma)^2, the factor of A grad log p in the gradient of f(p) A; same shape as ``log_p``."""
    p = log_p.exp()
    return gamma * p / (p + gamma) ** 2


def shape_advantages(advantages: Tensor, log_p: Tensor, teacher_B: Tensor, gamma: float) -> Tensor:
    """Weighs the advantages of the teacher's tokens; those of the student's own stay.

    Args:
        advantages: (B, 1) or (B, C).
        log_p: (B, C) log-probabilities under the student as it is now, detached.
        teacher_B: Whether a member is the teacher's.
        gamma: Gamma of the shaping.

    Returns:
        (B, C).
    """
    weights = shaped_weight(log_p, gamma)
    return advantages * weights.where(teacher_B[:, None], weights.new_ones(()))
