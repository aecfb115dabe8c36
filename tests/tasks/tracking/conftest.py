"""A real MLflow on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rlkd.config.load import config_digest, parse_config
from schemas.config.pipeline import PipelineConfig


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tasks import tracking

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return tracking.tracking_uri(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def config() -> PipelineConfig:
    return parse_config({"name": "tracked", "data": {"type": "world"}, "tracking": {"experiment": "test"}})


@pytest.fixture
def begin(uri: str, config: PipelineConfig) -> Callable[..., str]:
    """Starts a parent run of a run folder, as a flow does; its id."""

    def _begin(folder: Path, flow_run: str = "") -> str:
        from tasks import tracking

        file = folder / "config.yaml"
        file.write_text("name: tracked\n")
        return tracking.begin_run(uri, config, config_digest(config), flow_run, file)

    return _begin
