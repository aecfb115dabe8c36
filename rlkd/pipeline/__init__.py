"""The chain of stages, their jobs and events."""
