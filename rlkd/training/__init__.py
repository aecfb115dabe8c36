"""Training: the student, its warm start (SFT) and reinforcement learning (GRPO)."""
