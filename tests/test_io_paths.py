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
    assert expand_path("$RLKD_DATA/${PART}x/y", "data.path") == Path("/d/px/y")
    assert expand_path("~/y", "data.path") == Path("/h/y")
    assert expand_path("plain", "data.path") == Path("plain")


def test_unset_data_folder_has_a_default_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLKD_DATA", raising=False)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "repo").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    assert expand_path("$RLKD_DATA/gsm8k", "data.path").resolve() == tmp_path / "shared" / "data" / "gsm8k"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"RLKD_DATA is not set; set it .*--set data.path.*had at home"):
        expand_path("$RLKD_DATA/gsm8k", "data.path", "home")


def test_other_unset_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    said = r"^qualify\.pairs\.path '\$\{NO.*the environment variable NO_SUCH_VARIABLE is not set; .*--set qualify\.pairs\.path="
    with pytest.raises(DataError, match=said):
        expand_path("${NO_SUCH_VARIABLE}/x", "qualify.pairs.path")
    with pytest.raises(DataError, match=r"^folder '\$NO.* or give the path itself$"):
        expand_path("$NO_SUCH_VARIABLE", "folder")


def test_every_setting_is_named_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them said `data.path`, which the user had not written."""
    from rlkd.plugins import root_of
    from rlkd.qualification.pairs import file_pairs
    from schemas.config.qualify import FilePairs

    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(DataError, match=r"^qualify\.pairs\.path "):
        file_pairs(FilePairs(path="$NO_SUCH_VARIABLE/x"))
    with pytest.raises(DataError, match=r"^folder "):
        root_of("m", "$NO_SUCH_VARIABLE")
