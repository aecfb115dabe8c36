"""What a stage function gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from typing_extensions import TypeVar

from rlkd.pipeline.events import EventSink
from rlkd.pipeline.shards import Shard
from rlkd.worlds.registry import register_worlds
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig

Config = TypeVar("Config", PipelineConfig, GsrmConfig, default=PipelineConfig)


@dataclass(frozen=True)
class StageContext(Generic[Config]):
    """What a stage function gets.

    Attributes:
        config: The whole configuration; a stage may read only the sections that its spec names.
        inputs: Folder of each finished input stage, by name.
        folder: The stage's own folder.
        events: Where progress and step metrics go.
        shard: The part of the stage that is to be made; ``None`` for all of it (:mod:`rlkd.pipeline.shards`).
    """

    config: Config
    inputs: Mapping[str, Path]
    folder: Path
    events: EventSink
    shard: Shard | None = None

    def __post_init__(self) -> None:
        """Makes the configuration's own domains known in this process: problems name theirs."""
        register_worlds(self.config)
