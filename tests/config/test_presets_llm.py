"""The preset with a real language model: whole, and clear about the data that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkd.config.load import load_config
from rlkd.errors import DataError
from rlkd.io import expand_path
from schemas.config.data import FileData
from schemas.config.student import CheckpointModel

PRESETS = Path(__file__).parents[2] / "flows" / "presets"


def test_it_trains_the_built_in_model_on_traces_of_several_teachers() -> None:
    config = load_config("smollm2-easy-math", preset_folder=PRESETS)
    assert isinstance(config.student.model, CheckpointModel)
    assert config.student.model.path == "builtin:smollm2-135m"
    assert config.student.dtype == "float32"
    assert config.traces.per_problem > 1
    assert config.data.sizes.test >= 200  # enough for an interval that says something
    micro = config.rl.micro_batch
    assert micro is not None
    assert micro % config.rl.group_size == 0  # a group in one pass shares its prompt


def test_without_its_data_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = load_config("smollm2-easy-math", preset_folder=PRESETS)
    assert isinstance(config.data, FileData)
    monkeypatch.delenv("RLKD_DATA", raising=False)
    monkeypatch.setattr("rlkd.io.DEFAULT_DATA", tmp_path / "absent")
    with pytest.raises(
        DataError, match=r"RLKD_DATA is not set; set it to the folder .*not published: a folder easy_math"
    ):
        expand_path(config.data.path, "data.path", config.data.homepage)
