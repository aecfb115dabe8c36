"""Models by their registered names, against a real MLflow on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkd.config.load import config_digest, parse_config
from rlkd.errors import UserError
from schemas.config.pipeline import PipelineConfig
from tasks import tracking
from tasks.identity import digest_path
from tasks.registry import names_in, resolve_models

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return tracking.tracking_uri(tmp_path_factory.mktemp("runs"))


def register(uri: str, folder: Path, name: str, content: str) -> str:
    """Registers a folder with one file; returns its version."""
    model = folder / content
    model.mkdir()
    (model / "config.json").write_text(content)
    config = parse_config({"name": "r", "data": {"type": "world"}, "tracking": {"experiment": "registry"}})
    (folder / "config.yaml").write_text("name: r\n")
    run = tracking.begin_run(uri, config, config_digest(config), "", folder / "config.yaml")
    digest = digest_path(model)
    tags = {tracking.MODEL_DIGEST_TAG: digest}
    return tracking.register_student(uri, run, name, model, digest, tags, "gsrm")[0]


def using(name: str) -> PipelineConfig:
    decomposer = {"type": "generative", "model": name}
    return parse_config({"name": "r", "data": {"type": "world"}, "structures": {"decomposer": decomposer}})


def model_of(config: PipelineConfig) -> Path:
    dump = config.structures.decomposer.model_dump()
    return Path(dump["model"])


def test_a_name_becomes_the_folder_of_its_version(uri: str, tmp_path: Path) -> None:
    assert register(uri, tmp_path, "one", "first") == "1"
    assert register(uri, tmp_path, "one", "second") == "2"
    tracking.client(uri).set_registered_model_alias("one", "good", "1")
    found = {
        name: model_of(resolve_models(using(name), uri))
        for name in ("models:/one/1", "models:/one/latest", "models:/one@good")
    }
    contents = [(folder / "config.json").read_text() for folder in found.values()]
    assert contents == ["first", "second", "first"]
    assert found["models:/one/1"] == found["models:/one@good"]
    # What is registered twice is one version.
    (tmp_path / "again").mkdir()
    assert register(uri, tmp_path / "again", "one", "first") == "1"


def test_an_endpoint_may_name_one_too_and_nothing_else_is_touched(uri: str, tmp_path: Path) -> None:
    register(uri, tmp_path, "two", "model")
    config = using("plain/model")
    assert resolve_models(config, "sqlite:////nowhere/at/all.db") is config  # MLflow is not even asked
    endpoint = {"type": "local", "path": "models:/two/1"}
    both = parse_config(
        {
            "name": "models:/two/1".replace(":/", "-").replace("/", "-"),
            "data": {"type": "world"},
            "structures": {
                "decomposer": {"type": "generative", "endpoint": endpoint},
                "judge": {"type": "llm", "endpoint": endpoint},
            },
        }
    )
    assert names_in(both.model_dump(mode="json")) == ["models:/two/1"] * 2
    resolved = resolve_models(both, uri)
    assert names_in(resolved.model_dump(mode="json")) == []
    assert resolved.model_copy(update={"structures": both.structures}) == both


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("models:/three/7", "has no such model .*it knows .*three"),
        ("models:/none/1", "has no such model"),
        ("models:/none/latest", "has no such model"),
        ("models:/three@bad", "has no such model"),
        ("models:/three", "not the name of a registered model; write models:/name/3"),
        ("models:/three/x", "not the name of a registered model"),
    ],
)
def test_a_name_that_is_none(uri: str, tmp_path: Path, name: str, fault: str) -> None:
    register(uri, tmp_path, "three", tmp_path.name)
    with pytest.raises(UserError, match=fault):
        resolve_models(using(name), uri)


def test_files_that_are_not_what_was_registered(uri: str, tmp_path: Path) -> None:
    register(uri, tmp_path, "four", "whole")
    folder = model_of(resolve_models(using("models:/four/1"), uri))
    (folder / "config.json").write_text("changed")
    with pytest.raises(UserError, match="are not what was registered"):
        resolve_models(using("models:/four/1"), uri)
    (folder / "config.json").unlink()
    folder.rmdir()
    with pytest.raises(UserError, match="its files are gone"):
        resolve_models(using("models:/four/1"), uri)
