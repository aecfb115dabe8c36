"""Evaluation of checkpoints on held-out problems: sampling, pass@k, structure, intervals, paired differences."""
