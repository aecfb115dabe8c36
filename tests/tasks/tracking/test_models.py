"""Registering models, against a real MLflow on SQLite; how a name becomes a folder is in ``tests/tasks/test_registry.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import tracking

pytestmark = pytest.mark.slow

Begin = Callable[..., str]


def test_a_student_is_registered_once_with_its_evaluation(uri: str, begin: Begin, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    parent = begin(tmp_path)
    version, how = tracking.register_student(
        uri, parent, "student", model, "d" * 64, {"test_accuracy_rlkd": "0.75"}, about="The first."
    )
    assert (version, how) == ("1", "new")
    other = begin(tmp_path)
    assert tracking.register_student(
        uri, other, "student", model, "d" * 64, {"test_accuracy_rlkd": "0.80"}
    ) == ("1", "found")
    assert tracking.register_student(uri, other, "student", model, "e" * 64, {}) == ("2", "new")
    found = tracking.client(uri).get_model_version("student", "1")
    assert found.tags["test_accuracy_rlkd"] == "0.80"
    assert found.run_id == parent
    assert found.description == "The first."
    assert Path(found.source.removeprefix("file://"), "model.safetensors").read_bytes() == b"weights"
