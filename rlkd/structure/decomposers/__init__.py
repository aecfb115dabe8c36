"""Who makes steps from a path: rules, a model, a world's own reader."""
