"""What each step of a path uses, and what uses it."""
