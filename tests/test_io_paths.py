"""Paths with environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlkd.errors import DataError
from rlkd.io import expand_path


def test_variables_and_home_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLKD_DATA", "/d")
    monkeypatch.setenv("PART", "p")
    monkeypatch.setenv("HOME", "/h")
    assert expand_path("$RLKD_DATA/${PART}x/y") == Path("/d/px/y")
    assert expand_path("~/y") == Path("/h/y")
    assert expand_path("plain") == Path("plain")


def test_unset_data_folder_has_a_default_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLKD_DATA", raising=False)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "repo").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    assert expand_path("$RLKD_DATA/gsm8k").resolve() == tmp_path / "shared" / "data" / "gsm8k"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"RLKD_DATA is not set; set it .*--set data.path.*had at home"):
        expand_path("$RLKD_DATA/gsm8k", "home")


def test_other_unset_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(DataError, match="the environment variable NO_SUCH_VARIABLE is not set"):
        expand_path("${NO_SUCH_VARIABLE}/x")
