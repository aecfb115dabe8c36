"""What a run logs while MLflow is there, away, and back, against a real MLflow on SQLite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import UserError
from tasks import tracking
from tasks.tracking import outbox as module

Begin = Callable[..., str]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Switches MLflow off for the outbox: ``server["up"] = False``."""
    state = {"up": True}
    client = module.client

    def _client(uri: str) -> Any:
        if not state["up"]:
            raise UserError("MLflow does not answer (Connection refused)")
        return client(uri)

    monkeypatch.setattr(module, "client", _client)
    monkeypatch.setattr(module, "_EVERY_S", 0.05)
    monkeypatch.setattr(module, "_BACK_OFF_S", 0.05)
    return state


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _history(uri: str, run: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in tracking.client(uri).get_metric_history(run, name)]


@pytest.mark.slow
def test_everything_arrives_when_mlflow_comes_back_during_the_run(
    uri: str, begin: Begin, tmp_path: Path, server: dict[str, bool]
) -> None:
    parent, said = begin(tmp_path), list[str]()
    (tmp_path / "summary.json").write_text("{}")
    with tracking.delivering(tmp_path / "tracking", uri, said.append) as box:
        with tracking.stage_run(uri, parent, "rl", 1, {"steps": 3}, said.append) as child:
            assert child is not None
            child.metrics(0, {"loss": 3.0})
            _until(lambda: box.waiting == 0)
            server["up"] = False
            child.metrics(1, {"loss": 2.0})
            _until(lambda: bool(box.away))
            child.metrics(2, {"loss": 1.0})
            tracking.log_files(uri, child.key, {tmp_path / "summary.json": ""})
        with tracking.stage_run(
            uri, parent, "evaluate", 1, {}, said.append
        ) as second:  # begins while MLflow is away
            assert second is not None
            second.metrics(0, {"accuracy": 0.5})
            assert second.run_id == ""
        tracking.log_metrics(uri, parent, {"test_accuracy": 0.5})
        tracking.end_run(uri, parent, "FINISHED")
        server["up"] = True
    mlflow = tracking.client(uri)
    assert _history(uri, child.run_id, "loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert [item.path for item in mlflow.list_artifacts(child.run_id)] == ["summary.json"]
    assert _history(uri, second.run_id, "accuracy") == [(0, 0.5)]
    assert mlflow.get_run(parent).data.metrics["test_accuracy"] == 0.5
    assert {mlflow.get_run(run).info.status for run in (parent, child.run_id, second.run_id)} == {"FINISHED"}
    assert not (tmp_path / "tracking").exists()  # nothing waits any more
    assert len(said) == 2
    assert (
        "MLflow does not take what the run logs (MLflow does not answer (Connection refused)); it is kept in"
        in said[0]
    )
    assert said[1] == "MLflow is back: what has waited is delivered"


def test_what_a_run_could_not_deliver_is_delivered_by_the_next_or_by_the_ui(
    uri: str, begin: Begin, tmp_path: Path, server: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_TRY_S", 0.2)
    parent, said = begin(tmp_path), list[str]()
    for step in (0, 1):  # the second run goes on in the same file
        server["up"] = False
        with tracking.delivering(tmp_path / "tracking", uri, said.append):
            tracking.log_metrics(uri, parent, {f"loss_{step}": 1.0})
    assert "entries wait in" in said[-1]
    assert "rlkd ui" in said[-1]
    server["up"] = True
    assert tracking.deliver_leftovers(tmp_path, uri, said.append) == 2
    assert tracking.client(uri).get_run(parent).data.metrics == {"loss_0": 1.0, "loss_1": 1.0}
    assert tracking.deliver_leftovers(tmp_path, uri, said.append) == 0


def test_a_kill_tears_no_more_than_the_last_line_and_nothing_is_there_twice(
    uri: str, begin: Begin, tmp_path: Path
) -> None:
    parent = begin(tmp_path)
    box = tracking.Outbox(tmp_path / "tracking", uri, print)
    run = {"op": "run", "key": "k1", "experiment": "0", "name": "child", "tags": {}, "at": 1}
    point = {"op": "metrics", "run": "k1", "values": [["loss", 2.0, 5, 0]]}
    for entry in (run, point, {"op": "metrics", "run": parent, "values": [["x", 1.0, 5, 0]]}):
        box.put(entry)
    with box.path.open("a") as file:
        file.write('{"op": "metr')
    again = tracking.Outbox(tmp_path / "tracking", uri, print)
    assert again.drain()
    child = again.runs["k1"]
    box.state.unlink()  # the kill came after the delivery and before the note of it
    third = tracking.Outbox(tmp_path / "tracking", uri, print)
    assert third.drain()
    assert third.runs == {"k1": child}
    assert _history(uri, child, "loss") == [(0, 2.0)]
    assert _history(uri, parent, "x") == [(0, 1.0)]


def test_what_mlflow_refuses_is_told_and_holds_up_nothing(uri: str, begin: Begin, tmp_path: Path) -> None:
    parent, said = begin(tmp_path), list[str]()
    with tracking.delivering(tmp_path / "tracking", uri, said.append):
        tracking.log_metrics(uri, "no-such-run", {"loss": 1.0})
        tracking.log_metrics(uri, parent, {"loss": 2.0})
    assert tracking.client(uri).get_run(parent).data.metrics == {"loss": 2.0}
    [line] = said
    assert line.startswith("MLflow: figures could not be logged (")
    assert "no-such-run" in line


def test_no_credentials_are_written_down(tmp_path: Path) -> None:
    box = tracking.Outbox(tmp_path, "http://me:pw@127.0.0.1:9", print)
    assert json.loads(box.path.read_text().splitlines()[0]) == {"uri": "http://***@127.0.0.1:9"}


def test_a_table_is_shown_once(uri: str, begin: Begin, tmp_path: Path) -> None:
    parent = begin(tmp_path)
    rows = [
        {"problem_id": "p1", "text": "1 + 1 = 2", "tokens": 5},
        {"problem_id": "p2", "text": "3", "tokens": 1},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        columns = {"problem_id": "problem", "text": "completion"}
        tracking.log_table(uri, parent, tmp_path / "rows.jsonl", columns, "completions.json")
    path = tracking.client(uri).download_artifacts(parent, "completions.json", str(tmp_path))
    shown = json.loads(Path(path).read_text())
    assert shown["columns"] == ["problem", "completion"]
    assert shown["data"] == [["p1", "1 + 1 = 2"], ["p2", "3"]]
    assert "completions.json" in tracking.client(uri).get_run(parent).data.tags["mlflow.loggedArtifacts"]


class _Racing:
    """Another run writes the same data set first, ``times`` times; then MLflow finds it."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.logged = error, times, list[str]()

    def log_inputs(self, run: str, datasets: Any) -> None:
        if self.left:
            self.left -= 1
            raise self.error
        self.logged += [found.dataset.name for found in datasets]


@pytest.mark.parametrize(("times", "arrives"), [(2, True), (99, False)])
def test_a_data_set_that_another_run_logs_at_once_is_logged_again(
    monkeypatch: pytest.MonkeyPatch, times: int, arrives: bool
) -> None:
    from mlflow.exceptions import MlflowException

    from tasks.tracking import deliver as delivering

    monkeypatch.setattr(delivering.time, "sleep", lambda seconds: None)
    error = MlflowException(
        "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name"
    )
    mlflow = _Racing(error, times)
    entry = {
        "op": "inputs",
        "run": "7",
        "datasets": [{"name": "world", "digest": "1a", "source": "/data", "use": "train"}],
    }
    if arrives:
        delivering.deliver(mlflow, "", entry, {})  # type: ignore[arg-type]
        assert mlflow.logged == ["world"]
    else:
        with pytest.raises(MlflowException):
            delivering.deliver(mlflow, "", entry, {})  # type: ignore[arg-type]


def test_a_busy_database_is_waited_for_and_costs_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: dict[str, bool]
) -> None:
    from mlflow.exceptions import MlflowException

    tries = list[int]()

    def _deliver(*arguments: Any) -> None:
        tries.append(1)
        if len(tries) <= 2 * module._TRIES:
            raise MlflowException("(sqlite3.OperationalError) database is locked")

    monkeypatch.setattr(module, "deliver", _deliver)
    monkeypatch.setattr(module, "client", lambda uri: None)
    said = list[str]()
    with tracking.delivering(tmp_path, "sqlite:///x.db", said.append) as box:
        box.put({"op": "tags", "run": "7", "values": {}})
        _until(lambda: len(tries) > 2 * module._TRIES and box.waiting == 0)
    assert not any("could not be logged" in text for text in said)
