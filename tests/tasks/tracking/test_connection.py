"""Reaching MLflow, and what is done where it refuses."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rlkd.errors import UserError
from tasks import tracking
from tasks.tracking import connection

pytestmark = pytest.mark.slow


def test_the_users_tracking_uri_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracking.tracking_uri(tmp_path) == "http://127.0.0.1:9"


def test_a_server_that_does_not_answer_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"MLflow does not answer at http://\*\*\*@127\.0\.0\.1:9"):
        tracking.client("http://me:pw@127.0.0.1:9")


def test_a_database_that_could_not_be_made_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.store.db.utils

    def full(engine: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    address = tracking.tracking_uri(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.store.db.utils, "_upgrade_db", full)  # after the first tables are made
        with pytest.raises(OSError, match="No space left"):
            tracking.client(address)
    assert [path.name for path in (tmp_path / ".mlflow").iterdir()] == [".start.lock"]
    assert tracking.client(address).search_experiments(max_results=1)


def test_what_mlflow_prints_goes_to_a_file_without_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, file = logging.getLogger("mlflow.store.db.utils"), tmp_path / "logs" / "mlflow.log"
    with tracking.logged_to(file):
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            logger.exception("could not reach https://me:pw@host")
    assert capsys.readouterr().err == ""
    text = file.read_text()
    assert "ERROR mlflow.store.db.utils: could not reach https://***@host" in text
    assert "OSError: [Errno 28] No space left on device" in text
    logger.error("outside")
    assert "outside" not in file.read_text()
    with tracking.logged_to(file / "under" / "a file"):
        logger.error("nowhere to go")  # and nobody is told
    assert "nowhere" not in capsys.readouterr().err


def test_an_experiment_opens_on_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    address = tracking.tracking_uri(tmp_path)
    mlflow = tracking.client(address)
    found = [
        tracking.experiment(address, "new"),
        tracking.experiment(address, "new"),
        tracking.experiment(address, "Default"),
    ]
    assert found[0] == found[1]
    for experiment in found:  # one that was made without it gets it too
        assert mlflow.get_experiment(experiment).tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_full_disk_is_named_in_plain_words() -> None:
    said = list[str]()
    with tracking.tolerated("the figures", said.append):
        raise OSError(28, "No space left on device")
    assert said == ["MLflow: the figures could not be logged (the disk is full); the run goes on"]


def test_of_a_wrapped_error_the_cause_is_told() -> None:
    wrapped = "Max retries exceeded with url: /api (Caused by ResponseError('too many 500 error responses'))"
    assert connection.first_line(wrapped) == "too many 500 error responses"
    assert connection.first_line("SSH-2.0-x\r\n") == "SSH-2.0-x"
    assert connection.first_line("") == ""
