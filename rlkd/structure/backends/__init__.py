"""What judges and decomposers with models need: prompts and caches."""
