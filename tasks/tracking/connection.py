"""Reaching MLflow: its address, its client, its database, and what is done where it refuses."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rlkd.errors import UserError
from rlkd.io import is_disk_full

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_KIND_TAG = "mlflow.experimentKind"
_KIND = "custom_model_development"
"""Without it MLflow opens an experiment on pages about traces of agents, which are empty here, and not on its runs."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


_PROBE_S = 10.0
_DEFAULTS = {
    # MLflow's own are 7 tries of up to 120 s: a call to a server that has gone away then takes more than four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each stage
}


def tracking_uri(runs: Path) -> str:
    """``$MLFLOW_TRACKING_URI``, or a SQLite file with the runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs.resolve() / '.mlflow' / 'mlflow.db'}"


def check_tracking(runs: Path) -> str:
    """Asks MLflow whether it is there, without making anything; says where it is, without credentials.

    Raises:
        UserError: It does not answer.
    """
    uri = tracking_uri(runs)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return f"{redact_text(uri)}, made by the first run"
    client(uri)
    return redact_text(uri)


def probe(uri: str) -> str:
    """Why a tracking server does not answer within seconds; empty where it does, or where MLflow is no server."""
    if not uri.startswith(("http://", "https://")):
        return ""
    request = Request(f"{_CREDENTIALS.sub('', uri).rstrip('/')}/health")
    try:
        with urlopen(request, timeout=_PROBE_S):
            return ""
    except HTTPError as error:  # whoever asks for a password is there
        return f"status {error.code}" if error.code in (502, 503, 504) else ""
    except (OSError, ValueError, HTTPException) as error:
        return first_line(str(getattr(error, "reason", error)) or type(error).__name__)


def first_line(text: str) -> str:
    """The first line of what a library says, without its wrapping: of ``... (Caused by ResponseError('too many 500 error responses'))`` that."""
    cause = re.search(r"\(Caused by \w+\((.+)\)\)\Z", text.strip(), re.DOTALL)
    said = cause[1].strip("'\"") if cause else text.strip()
    return (said.splitlines() or [""])[0][:200]


def unreachable(uri: str, why: str) -> UserError:
    """The error for an MLflow that cannot be used."""
    return UserError(
        f"MLflow does not answer at {redact_text(uri)} ({redact_text(why)}); start it, mend MLFLOW_TRACKING_URI, or set "
        "tracking.enabled=false"
    )


@functools.lru_cache(maxsize=8)
def client(uri: str) -> MlflowClient:
    """The client for a tracking URI, its database ready.

    Raises:
        UserError: MLflow does not answer there.
    """
    from filelock import FileLock
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if fault := probe(uri):
        raise unreachable(uri, fault)
    try:
        if not uri.startswith("sqlite:///"):
            found = MlflowClient(uri)
            found.search_experiments(max_results=1)
            return found
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(".start.lock")):  # two processes must not both create the tables
            if not path.exists():
                _make_database(path)
            found = MlflowClient(uri)
            found.search_experiments(max_results=1)
        return found
    except MlflowException as error:
        raise unreachable(uri, first_line(str(error))) from error


def _make_database(path: Path) -> None:
    """Makes MLflow's database, or nothing: it cannot mend one whose tables were made only in part."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        engine = create_sqlalchemy_engine(f"sqlite:///{temporary}")
        try:
            _initialize_tables(engine)
        finally:
            engine.dispose()
        os.replace(temporary, path)
    finally:
        for file in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            file.unlink(missing_ok=True)


def experiment(uri: str, name: str) -> str:
    """The id of an experiment, made where it is missing; its pages are those of model training."""
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        if _KIND_TAG not in found.tags:
            mlflow.set_experiment_tag(found.experiment_id, _KIND_TAG, _KIND)
        return str(found.experiment_id)
    location = None
    if uri.startswith("sqlite:///") and not os.environ.get("MLFLOW_TRACKING_URI"):
        location = (Path(uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()
    try:
        return str(mlflow.create_experiment(name, artifact_location=location, tags={_KIND_TAG: _KIND}))
    except MlflowException:
        found = mlflow.get_experiment_by_name(name)  # another run made it in the meantime
        if found is None:
            raise
        return str(found.experiment_id)


def redact_text(text: str) -> str:
    """A text without the credentials of the URLs in it."""
    return _CREDENTIALS.sub("***@", text)


@contextmanager
def tolerated(what: str, notice: Callable[[str], None]) -> Iterator[None]:
    """Once a run has started, tracking never costs finished work: what MLflow refuses is told, not raised."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, UserError) as error:
        notice(f"MLflow: {what} could not be logged ({reason(error)}); the run goes on")


def reason(error: Exception) -> str:
    """What MLflow said, in a line without credentials."""
    if is_disk_full(error):
        return "the disk is full"
    return redact_text(first_line(str(error) or type(error).__name__))


class _FileLog(logging.Handler):
    """Lines at the end of a file, without credentials; a file that cannot be written gets none, and nobody is told."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, and its traceback where there is one."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(redact_text(self.format(record)) + "\n")


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Sends what MLflow says about itself, tracebacks among it, to a file: whatever matters of it is told by us."""
    import mlflow  # noqa: F401  # importing it sets up its own handler, which must not come after ours

    logger = logging.getLogger("mlflow")
    before = logger.handlers[:]
    logger.handlers[:] = [_FileLog(path)]
    try:
        yield
    finally:
        logger.handlers[:] = before
