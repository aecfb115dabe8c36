"""Hugging Face datasets, through the real library on local folders."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.sources import Loaded, open_source
from rlkd.errors import DataError


@pytest.fixture(autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed (extra 'train')")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def load(folder: Path | str, **data: Any) -> Loaded:
    base = {
        "type": "hub",
        "dataset": str(folder),
        "columns": {"traces": ["answer"]},
        "answer_pattern": r"####\s*(.+)",
    }
    config = parse_config({"name": "t", "data": {**base, **data}, "traces": {"teacher": {"type": "column"}}})
    return open_source(config.data).load(0)


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    for split, count in (("train", 6), ("test", 3)):
        rows = [{"question": f"{split} {i}?", "answer": f"so\n#### {i}"} for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_local_dataset_folder(tmp_path: Path) -> None:
    loaded = load(write_folder(tmp_path / "mini"))
    assert [p.answer for p in loaded.splits["train"]] == ["0", "1", "2", "3", "4", "5"]
    assert loaded.splits["test"][1].id == "mini:test:2"
    assert loaded.splits["test"][1].traces == ("so\n#### 1",)
    assert loaded.rows == 9


def test_a_saved_dataset_and_renamed_splits(tmp_path: Path) -> None:
    import datasets

    rows = {"question": ["a?", "b?"], "answer": ["#### 1", None]}
    saved = datasets.DatasetDict(
        {"fit": datasets.Dataset.from_dict(rows), "held": datasets.Dataset.from_dict(rows)}
    )
    saved.save_to_disk(tmp_path / "saved")
    loaded = load(tmp_path / "saved", splits={"train": "fit", "test": "held"}, max_malformed_share=0.5)
    assert [p.question for p in loaded.splits["train"]] == ["a?"]
    assert [(row.where, row.reason) for row in loaded.dropped] == [
        (f"{tmp_path / 'saved'}, split {split}, row 2", "no answer") for split in ("fit", "held")
    ]


def test_a_split_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.splits\.ood: dataset .*mini has no split 'hard'; it has train, test"
    ):
        load(write_folder(tmp_path / "mini"), splits={"train": "train", "ood": "hard"})


def test_a_dataset_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"data\.dataset .*empty.*: cannot be loaded"):
        load(tmp_path / "empty")


def test_the_hub_without_network_is_one_sentence() -> None:
    with pytest.raises(
        DataError,
        match=r"data\.dataset 'nobody/nothing-here' \(subset main\): cannot be loaded \(.*check the id",
    ):
        load("nobody/nothing-here", subset="main")
