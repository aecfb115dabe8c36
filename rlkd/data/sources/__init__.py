"""Where problems come from: one file per kind of source, one interface."""

from __future__ import annotations

from rlkd.data.sources.base import DroppedRow, Loaded, Source
from schemas.config.data import DataConfig, FileData, GymData, HubData, WorldData

__all__ = ["DroppedRow", "Loaded", "Source", "open_source"]


def open_source(config: DataConfig) -> Source:
    """Makes the source that a configuration names; nothing is read yet."""
    if isinstance(config, WorldData):
        from rlkd.data.sources.world import WorldSource

        return WorldSource(config)
    if isinstance(config, FileData):
        from rlkd.data.sources.file import FileSource

        return FileSource(config)
    if isinstance(config, HubData):
        from rlkd.data.sources.hub import HubSource

        return HubSource(config)
    if isinstance(config, GymData):
        from rlkd.data.sources.gym import GymSource

        return GymSource(config)
    raise TypeError(f"unknown data configuration {type(config).__name__}")
