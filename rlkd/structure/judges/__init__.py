"""Compares two steps, by rules, by a language model, by embeddings, or by two of these in a row."""
