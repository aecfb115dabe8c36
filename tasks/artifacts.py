"""Prefect artifacts: a progress bar per stage, and the report, in Prefect's own UI."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

_EVERY_S = 3.0
_MARKDOWN_LIMIT = 200_000


class ProgressArtifact:
    """A stage's progress bar in Prefect; does nothing outside of a Prefect run."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.id: UUID | None = None
        self._shown = float("-inf")
        self._percent = 0.0
        self._said = ""
        self._active = in_prefect_run()

    def update(self, done: int, total: int, what: str) -> None:
        """Shows ``done`` of ``total``; not more often than every few seconds."""
        self._percent = 100.0 * done / total if total else 0.0
        self._said = f"{done} of {total} {what}".strip()
        if self._active and time.monotonic() - self._shown >= _EVERY_S:
            self._show(f"{self.stage}: {self._said}")

    def finish(self) -> None:
        """Shows a stage as complete."""
        if self._active and self.id is not None:
            self._percent = 100.0
            self._show(f"{self.stage}: done")

    def stop(self, how: str) -> None:
        """Shows where a stage ended before its end; what fails here (the server may be what is gone) is of no account."""
        if self._active and self.id is not None:
            with suppress(Exception):
                self._show(f"{self.stage}: {how} at {self._said}")

    def _show(self, description: str) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        self._shown = time.monotonic()
        if self.id is None:
            made = create_progress_artifact(
                progress=self._percent, key=f"rlkd-{self.stage.replace('_', '-')}", description=description
            )
            self.id = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(artifact_id=self.id, progress=self._percent, description=description)


def in_prefect_run() -> bool:
    """Tells whether this code runs inside a Prefect flow or task run."""
    from prefect.context import FlowRunContext, TaskRunContext

    return TaskRunContext.get() is not None or FlowRunContext.get() is not None


def show_report(report: Path, key: str = "rlkd-report", beside: str = "") -> None:
    """Makes a Markdown report an artifact of the Prefect run, with a line below it."""
    if not (in_prefect_run() and report.is_file()):
        return
    from prefect.artifacts import create_markdown_artifact

    text = report.read_text(encoding="utf-8")
    if len(text) > _MARKDOWN_LIMIT:
        text = text[:_MARKDOWN_LIMIT] + "\n\n(cut here; the whole report is in the run folder)"
    text += f"\n\n{beside}\n" if beside else ""
    create_markdown_artifact(markdown=text, key=key, description=f"Report of {report.parent.name}")


def show_alarms(alarms: Sequence[str], run: str, key: str = "rlkd-watch") -> None:
    """Makes the alarms of the watch over RL an artifact of the Prefect run; none where there are none."""
    if not alarms or not in_prefect_run():
        return
    from prefect.artifacts import create_markdown_artifact

    lines = "\n".join(f"- {alarm}" for alarm in alarms)
    create_markdown_artifact(
        markdown=f"## Alarms in RL\n\n{lines}\n", key=key, description=f"Watch over RL of {run}"
    )
