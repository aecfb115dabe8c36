"""The structure reward: decompose a path into steps, compare steps, align them, score (paper, section 3)."""
