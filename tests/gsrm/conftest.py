"""Contexts of GSRM stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import load_gsrm_config
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from schemas.config.gsrm import GsrmConfig

WORLD: dict[str, Any] = {
    "type": "world",
    "world": {
        "domains": {"arithmetic": 0.6, "logic": 0.2, "relations": 0.2},
        "n_train": 30,
        "n_validation": 4,
        "n_test": 12,
        "n_ood": 0,
    },
}


class Telling(NullSink):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        """Kept."""
        self.told.append(text)


def make_config(**sections: Any) -> GsrmConfig:
    return GsrmConfig.model_validate({"name": "toy", "paths": WORLD, **sections})


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., StageContext[GsrmConfig]]:
    """Makes the context of a stage in a folder of its own."""

    def make(
        stage: str, inputs: Mapping[str, Path] | None = None, **sections: Any
    ) -> StageContext[GsrmConfig]:
        folder = tmp_path / stage
        folder.mkdir(exist_ok=True)
        return StageContext(make_config(**sections), inputs or {}, folder, Telling())

    return make


@pytest.fixture
def load() -> Callable[[Path], GsrmConfig]:
    return lambda path: load_gsrm_config(str(path))
