from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rlkd.config.load import parse_config
from rlkd.hub import OFFLINE, go_offline_if_cut_off, hub_ids, reachable
from schemas.config.pipeline import PipelineConfig


def _config(**changes: object) -> PipelineConfig:
    return parse_config({"name": "t", "data": {"type": "world"}, **changes})


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that takes connections and says nothing."""
    monkeypatch.delenv(OFFLINE, raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def test_what_is_on_this_disk_needs_no_hub(tmp_path: Path) -> None:
    assert hub_ids(_config()) == []  # the built-in student
    assert hub_ids(_config(student={"model": {"type": "checkpoint", "path": str(tmp_path)}})) == []
    assert hub_ids(_config(student={"model": {"type": "checkpoint", "path": "owner/model"}})) == [
        "owner/model"
    ]


def test_every_kind_of_id_is_found() -> None:
    judge = {"type": "cascade", "then": {"type": "llm", "endpoint": {"type": "local", "path": "o/judge"}}}
    config = _config(
        data={"type": "hub", "dataset": "o/data"},
        traces={"teacher": {"type": "none"}},
        warm_start={"enabled": False},
        rl={"enabled": False},
        structures={"judge": judge},
    )
    assert hub_ids(config) == ["o/data", "o/judge"]


def test_a_teacher_model_may_be_on_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    distil = {"distil": {"path": "$RLKD_TEACHER"}}
    for named, wanted in (("o/teacher", ["o/teacher"]), (str(tmp_path), [])):
        monkeypatch.setenv("RLKD_TEACHER", named)
        assert hub_ids(_config(rl={"objective": distil})) == wanted


def test_a_hub_that_says_nothing_is_not_waited_for(silent: None) -> None:
    assert not reachable(0.2)


def test_a_hub_that_refuses_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert reachable()
        server.shutdown()


def test_cut_off_from_the_hub_its_libraries_work_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(student={"model": {"type": "checkpoint", "path": "owner/model"}})
    monkeypatch.setenv(OFFLINE, "")  # so that it is put back
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1 could not be reached" in go_offline_if_cut_off(config)
    assert os.environ[OFFLINE] == "1"
    assert go_offline_if_cut_off(config) == ""  # said once
    monkeypatch.setenv(OFFLINE, "")
    assert (
        go_offline_if_cut_off(_config()) == "" and not os.environ[OFFLINE]
    )  # nothing of the hub's is needed
