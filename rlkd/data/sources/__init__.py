"""Where problems come from: one file per kind of source, one interface."""

from __future__ import annotations

from rlkd.data.sources.base import DroppedRow, Loaded, Source
from schemas.config.data import DataConfig, FileData, GymData, HubData, WorldData

__all__ = ["DroppedRow", "Loaded", "Source", "open_source", "source_fingerprint"]


def open_source(config: DataConfig) -> Source:
    """The source that a configuration names; nothing is read yet."""
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


def source_fingerprint(config: DataConfig) -> dict[str, str]:
    """Digests of the content behind a data configuration: part of the data stage's identity.

    The configuration alone would call a changed file the same.

    Raises:
        DataError: A file is not there.
    """
    return dict(open_source(config).fingerprint())
