"""What methods add to GRPO: one small file each, with its paper, its equation and what it assumes.

Each is a function of plain numbers or small tensors. :mod:`rlkd.training.objective` puts them into the trainer where
``rl.objective`` asks for them. Shapes: B completions, C completion tokens.
"""
