"""Turns a path into its steps as data: by rules, by a language model, or by a built-in world's own reader."""
