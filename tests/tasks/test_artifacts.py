"""A stage's progress bar in Prefect."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tasks import artifacts
from tasks.artifacts import ProgressArtifact

pytestmark = pytest.mark.slow

ID = UUID(int=1)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """What Prefect was told."""
    told: list[tuple[float, str]] = []

    def create(progress: float, key: str, description: str) -> UUID:
        assert key == "rlkd-warm-start"
        told.append((progress, description))
        return ID

    def update(artifact_id: UUID, progress: float, description: str) -> None:
        assert artifact_id == ID
        told.append((progress, description))

    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", create)
    monkeypatch.setattr("prefect.artifacts.update_progress_artifact", update)
    monkeypatch.setattr(artifacts, "in_prefect_run", lambda: True)
    return told


@pytest.mark.slow
def test_progress_is_shown_now_and_then_and_at_the_end(shown: list[tuple[float, str]]) -> None:
    bar = ProgressArtifact("warm_start")
    bar.update(5, 20, "steps")
    bar.update(6, 20, "steps")  # too soon to be shown again
    bar.finish()
    assert shown == [(25.0, "warm_start: 5 of 20 steps"), (100.0, "warm_start: done")]


def test_a_stage_that_ends_early_says_where(shown: list[tuple[float, str]]) -> None:
    bar = ProgressArtifact("warm_start")
    bar.stop("failed")  # before anything was shown
    assert shown == []
    bar.update(5, 20, "steps")
    bar.update(7, 20, "steps")
    bar.stop("failed")
    assert shown[-1] == (35.0, "warm_start: failed at 7 of 20 steps")  # 7 / 20


def test_a_server_that_is_gone_hides_no_failure(
    shown: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def gone(**what: Any) -> None:
        asked.append(what)
        raise ConnectionError

    bar = ProgressArtifact("warm_start")
    bar.update(5, 20, "steps")
    monkeypatch.setattr("prefect.artifacts.update_progress_artifact", gone)
    bar.stop("stopped")
    assert [what["description"] for what in asked] == ["warm_start: stopped at 5 of 20 steps"]  # it was tried
    assert shown == [(25.0, "warm_start: 5 of 20 steps")]


def test_alarms_of_the_watch_are_an_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, str]] = []
    monkeypatch.setattr("prefect.artifacts.create_markdown_artifact", lambda **given: made.append(given))
    artifacts.show_alarms(["step 3: loops"], "demo")  # outside of a Prefect run
    monkeypatch.setattr(artifacts, "in_prefect_run", lambda: True)
    artifacts.show_alarms([], "demo")
    assert made == []
    artifacts.show_alarms(["step 3: loops", "step 4: more"], "demo")
    assert made[0]["key"] == "rlkd-watch"
    assert "- step 3: loops\n- step 4: more" in made[0]["markdown"]
