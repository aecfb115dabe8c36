"""A teacher that is a model: reverse KL on the student's own tokens, alone (on-policy distillation) or beside GRPO (KDRL).

On-policy distillation (GKD, arXiv 2306.13649, equation 4 with the student's samples and reverse KL; Thinking Machines 2025,
"On-Policy Distillation"): each token's advantage is -(log p_student - log p_teacher). KDRL (arXiv 2506.02208, section 3.2): J =
J_GRPO - beta KL(student | teacher) with the k2 estimate 1/2 (log p_student - log p_teacher)^2, whose gradient is that of the
reverse KL in expectation (k3's, which TRL has for its reference model, is not). Both are one formula,

    A_t = c A - weight (log p_student(y_t) - log p_teacher(y_t)),     c = 0 or 1.

Assumes a teacher whose probabilities of the student's tokens are known, so with the same tokenizer. Differs from TRL's
``DistillationTrainer``, which takes the divergence over the whole vocabulary and knows no reward: here only the sampled
token's is estimated, so that both methods share sampling, ledger, validation and checkpoints with GRPO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def with_teacher(advantages: Tensor, student_BC: Tensor, teacher_BC: Tensor, weight: float) -> Tensor:
    """Adds the teacher's part to advantages: (B, C).

    Args:
        advantages: (B, 1) or (B, C), 0 where the reward does not count.
        student_BC: Log-probabilities of the tokens under the student as it is now, detached.
        teacher_BC: Under the teacher.
        weight: Weight of the reverse KL.
    """
    return advantages - weight * (student_BC - teacher_BC)
