"""The model registry: students and GSRMs as versions under a name, and the folder behind a registered name."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkd.errors import UserError
from rlkd.io import sha256_text
from tasks.identity import digest_path
from tasks.tracking.connection import client, redact_text

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DIGEST_TAG = "rlkd.sha256"
MODEL_DIGEST_TAG = "rlkd.model_sha256"
"""Tag of a model version: digest over the files of its folder, checked before it is used by name."""
_COPY_LIMIT_MB = 1024.0
_MODEL_NAME = re.compile(r"models:/([^/@]+)(?:/([0-9]+|latest)|@([^/@]+))\Z")


def _with_model(uri: str, name: str) -> Any:
    """A client of a server that has the registered model."""
    from mlflow.exceptions import MlflowException

    mlflow = client(uri)
    try:
        mlflow.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return mlflow


def register_student(
    uri: str,
    run_id: str,
    name: str,
    model: Path,
    digest: str,
    tags: Mapping[str, str],
    where: str = "student",
    about: str = "",
    alias: str = "",
) -> tuple[str, str]:
    """Registers a student (or a GSRM) as a model version, once: the same weights under the same name are found again.

    Small students are copied into MLflow's artifacts; those above 1 GiB stay in the store, and the version points there.

    Args:
        uri: Tracking URI.
        run_id: The parent run.
        name: Registered model.
        model: Folder of the student in Hugging Face format.
        digest: Its content digest.
        tags: Its evaluation and where it comes from.
        where: Folder of the run's artifacts that gets it.
        about: What the page of a new version says.
        alias: Alias of the version: ``models:/name@alias``.

    Returns:
        The version, and ``new`` or ``found``.
    """
    mlflow = _with_model(uri, name)
    for version in mlflow.search_model_versions(f"name = '{name}'", max_results=1000):
        if version.tags.get(DIGEST_TAG) == digest:
            for key, value in tags.items() - version.tags.items():
                mlflow.set_model_version_tag(name, version.version, key, value)
            if alias:
                mlflow.set_registered_model_alias(name, alias, version.version)
            return str(version.version), "found"
    size_mb = sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 2**20
    if size_mb <= _COPY_LIMIT_MB:
        mlflow.log_artifacts(run_id, str(model), where)
        source = f"{mlflow.get_run(run_id).info.artifact_uri}/{where}"
    else:
        source = model.as_uri()
    tags = {DIGEST_TAG: digest, **tags}
    made = mlflow.create_model_version(name, source, run_id=run_id, tags=tags, description=about or None)
    if alias:
        mlflow.set_registered_model_alias(name, alias, made.version)
    return str(made.version), "new"


def register_export(uri: str, run_id: str, name: str, folder: Path, tags: Mapping[str, str]) -> str:
    """Registers an exported student where it lies, once: the same files in the same folder are found again.

    Args:
        uri: Tracking URI.
        run_id: The parent run.
        name: Registered model.
        folder: The export.
        tags: Its evaluation and where it comes from.

    Returns:
        The version, which ``models:/name@exported`` names too.
    """
    mlflow = _with_model(uri, name)
    digest, source = digest_path(folder), folder.as_uri()
    found = next(
        (
            version
            for version in mlflow.search_model_versions(f"name = '{name}'", max_results=1000)
            if version.source == source and version.tags.get(MODEL_DIGEST_TAG) == digest
        ),
        None,
    )
    if found is None:
        made = {MODEL_DIGEST_TAG: digest, **tags}
        about = f"The exported student in {folder}."
        found = mlflow.create_model_version(name, source, run_id=run_id, tags=made, description=about)
    mlflow.set_registered_model_alias(name, "exported", found.version)
    return str(found.version)


def model_folder(uri: str, name: str) -> Path:
    """The folder of a registered model; one that lies elsewhere is fetched once.

    Args:
        uri: Tracking URI.
        name: ``models:/name/3``, ``models:/name/latest`` or ``models:/name@alias``.

    Raises:
        UserError: There is no such model or version, its files are gone, or they are not what was registered.
    """
    from mlflow.exceptions import MlflowException

    match = _MODEL_NAME.match(name)
    if match is None:
        raise UserError(
            f"{name}: not the name of a registered model; write models:/name/3, models:/name/latest or models:/name@alias"
        )
    mlflow = client(uri)
    try:
        version = _model_version(mlflow, match[1], match[2], match[3])
        source = str(mlflow.get_model_version_download_uri(match[1], version.version))
    except MlflowException as error:
        raise UserError(
            f"{name}: MLflow at {redact_text(uri)} has no such model ({str(error).splitlines()[0][:200]}); it knows {_known(mlflow)}"
        ) from None
    folder = _local_folder(uri, source, match[1], str(version.version))
    wanted = version.tags.get(MODEL_DIGEST_TAG)
    if wanted is not None and digest_path(folder) != wanted:
        raise UserError(
            f"{name}: the files in {folder} are not what was registered (changed, or fetched in part); register the model again"
        )
    return folder


def model_config(uri: str, name: str, into: Path) -> Path:
    """The resolved configuration of the run that made a registered model, fetched into a folder.

    Raises:
        UserError: There is no such model, or its run is gone.
    """
    from mlflow.exceptions import MlflowException

    match = _MODEL_NAME.match(name)
    assert match is not None, "model_folder says so first"
    mlflow = client(uri)
    try:
        version = _model_version(mlflow, match[1], match[2], match[3])
        return Path(mlflow.download_artifacts(version.run_id, "config.yaml", str(into)))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"{name}: the configuration of the run that made it cannot be had ({str(error).splitlines()[0][:200]})"
        ) from None


def _model_version(mlflow: MlflowClient, name: str, number: str | None, alias: str | None) -> Any:
    if alias is not None:
        return mlflow.get_model_version_by_alias(name, alias)
    if number != "latest":
        return mlflow.get_model_version(name, str(number))
    mlflow.get_registered_model(name)  # says so where there is none
    versions = mlflow.search_model_versions(f"name = '{name}'", max_results=1000)
    if not versions:
        raise UserError(f"models:/{name}/latest: the model has no version yet")
    return max(versions, key=lambda found: int(found.version))


def _known(mlflow: MlflowClient) -> str:
    names = [model.name for model in mlflow.search_registered_models(max_results=20)]
    return ", ".join(names) or "none"


def _local_folder(uri: str, source: str, name: str, version: str) -> Path:
    """Where the files of a model version are on this machine."""
    from urllib.parse import unquote, urlparse

    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    where = urlparse(source)
    if where.scheme in ("", "file"):
        folder = Path(unquote(where.path))
        if not folder.is_dir():
            raise UserError(
                f"models:/{name}/{version}: its files are gone ({folder}); register the model again"
            )
        return folder
    cache = os.environ.get("RLKD_CACHE")
    root = Path(cache).expanduser() if cache else Path("runs") / ".cache"
    folder = root.resolve() / "models" / sha256_text(uri)[:12] / name / version
    if not folder.is_dir():
        temporary = folder.with_name(f".{version}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            fetched = download_artifacts(artifact_uri=source, dst_path=str(temporary), tracking_uri=uri)
            if not folder.is_dir():
                os.replace(fetched, folder)
        except (MlflowException, OSError) as error:
            raise UserError(
                f"models:/{name}/{version}: its files cannot be fetched from {redact_text(source)} ({str(error)[:200]})"
            ) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder
