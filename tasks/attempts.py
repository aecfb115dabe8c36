"""The attempt that works in a run folder, written down, so that what a killed one leaves running can be closed.

After kill -9 nobody tells Prefect and MLflow that the run has ended, and both would show it as running for good. The next
attempt in the folder, or ``rlkd ui``, closes what the file names. Whoever reads or writes it holds the folder's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from rlkd.io import write_json_atomic
from schemas.base import Schema
from tasks import tracking

FILE = "attempt.json"


class Attempt(Schema):
    """What an attempt has open.

    Attributes:
        flow_run_id: Its flow run in Prefect.
        mlflow_run_id: Its parent run in MLflow; empty without tracking.
        tracking_uri: Where MLflow is, without credentials.
    """

    flow_run_id: str = ""
    mlflow_run_id: str = ""
    tracking_uri: str = ""


@contextmanager
def written_down(folder: Path, attempt: Attempt) -> Iterator[None]:
    """Names an attempt in its run folder until it has ended, however it ends but by a kill."""
    write_json_atomic(folder / FILE, attempt)
    try:
        yield
    finally:
        (folder / FILE).unlink(missing_ok=True)


def close_killed(folder: Path, uri: str, now: Attempt | None, notice: Callable[[str], None]) -> bool:
    """Closes in Prefect and MLflow what a killed attempt has left running.

    Args:
        folder: The run folder.
        uri: The tracking URI in use; empty without tracking.
        now: The attempt that goes on; what it goes on with stays open.
        notice: Told what could not be closed.

    Returns:
        Whether there was one, and it is closed. Where Prefect is away it stays written down, unless an attempt goes on.
    """
    path = folder / FILE
    try:
        left = Attempt.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if left.flow_run_id and (now is None or left.flow_run_id != now.flow_run_id):
        closed = _close_flow_run(left.flow_run_id, notice)
        if not closed and now is None:
            return False
    if left.mlflow_run_id and uri and left.tracking_uri == tracking.redact_text(uri):
        with tracking.tolerated("the end of a killed run", notice):
            goes_on = now is not None and now.mlflow_run_id == left.mlflow_run_id
            tracking.close_runs(uri, left.mlflow_run_id, not goes_on)
    path.unlink(missing_ok=True)
    return True


def _close_flow_run(flow_run_id: str, notice: Callable[[str], None]) -> bool:
    """Ends a flow run and its tasks in Prefect as crashed; false where Prefect is away."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.objects import State
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    ended: State[Any] = Crashed(message="its process was killed")
    try:
        with get_client(sync_client=True) as client:
            run_id = UUID(flow_run_id)
            run = client.read_flow_run(run_id)
            if run.state is None or run.state.is_final():
                return True
            own = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
            for task in client.read_task_runs(flow_run_filter=own):
                if task.state is not None and not task.state.is_final():
                    client.set_task_run_state(task.id, ended, force=True)
            client.set_flow_run_state(run_id, ended, force=True)
    except ObjectNotFound:
        logging.getLogger("rlkd").debug("flow run %s is unknown to this Prefect", flow_run_id)
    except Exception as error:  # the server may be what is wrong; the run that begins matters more
        notice(
            f"Prefect: the killed run {flow_run_id} could not be closed ({tracking.redact_text(str(error))[:200]})"
        )
        return False
    return True
