"""The configuration: one model per concern."""
