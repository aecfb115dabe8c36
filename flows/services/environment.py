"""Where Prefect and MLflow keep their databases: with the runs, unless the user has said otherwise.

Must run before Prefect is imported, because Prefect reads its settings then.
"""

from __future__ import annotations

import os
from pathlib import Path

from rlkd.errors import UserError

PREFECT_FOLDER = ".prefect"

_QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
}
_LIGHT = {
    # A run of one's own needs no schedules, late-run marks, automations or telemetry from its private server.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


def use_local_services(runs: Path) -> Path:
    """Points Prefect at the runs folder, quietly; settings that the user has made win.

    With ``PREFECT_API_URL`` set, that server is used, as the user's own Prefect profile says; otherwise everything of
    Prefect is in ``<runs>/.prefect``, never in the home folder.

    Returns:
        Prefect's folder.

    Raises:
        UserError: It cannot be made.
    """
    home = (runs / PREFECT_FOLDER).resolve()
    defaults = {"PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"), **_QUIET}
    if not os.environ.get("PREFECT_API_URL"):
        defaults |= {"PREFECT_HOME": str(home), **_LIGHT}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {home} for Prefect's database: {error.strerror}; choose another --output"
        ) from error
    return home
