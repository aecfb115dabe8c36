"""Prompts and caches for the decomposers and judges that ask a language model."""
