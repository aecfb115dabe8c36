"""``rlkd export`` and ``rlkd serve``: a student as a folder of its own, and behind an OpenAI-compatible server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from flows.cli.models import NamedModel, find_model
from rlkd.errors import UserError
from rlkd.pipeline.run_folder import make_folder
from schemas.artifact import StageEntry
from schemas.config.student import CheckpointModel
from schemas.evaluation import EvalReport
from tasks.disk import disk_faults

HOST = "127.0.0.1"
_ENGINES = ("vllm", "transformers")
_STAGES = {"base": "", "warm_start": "warm_start", "rlkd": "rl"}


def export_model(model: str, target: str) -> None:
    """Exports a student: weights, tokenizer, generation settings and model card; the registry gets a version that points there.

    Args:
        model: ``RUN``, ``RUN:CHECKPOINT`` or ``models:/NAME/VERSION``.
        target: The folder.

    Raises:
        UserError: There is no such student, or the folder holds something else or cannot be written.
        StageError: The disk is full.
    """
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    found = find_model(model)
    if found.teacher is not None:
        raise UserError(f"{model} is a teacher, not a student; name a run, or one of its checkpoints")
    folder = Path(target)
    make_folder(folder.parent, instead="name another folder")
    with disk_faults(None, folder.parent, kept="the run, and what was exported before"):
        _export(found, folder, link=False)
    print(f"{found.name} exported to {folder}; its card is {folder / 'README.md'}")
    _register(found, folder)


def _export(found: NamedModel, target: Path, *, link: bool) -> None:
    from rlkd.reporting.model_card import model_card
    from rlkd.student.export import export_student

    checkpoint = found.name.rpartition(":")[2] if found.run else "rlkd"
    evaluation = _evaluation(found)
    name = found.run[1].name if found.run else found.name
    facts = {
        "model": found.name,
        "checkpoint": checkpoint,
        "run": name,
        "config_digest": found.run[1].config_digest if found.run else "",
        "evaluation": evaluation.model_dump(mode="json") if evaluation else None,
    }
    card = model_card(name, checkpoint, found.config, evaluation, str(target))
    export_student(local_folder(found), target, found.config.student, facts, card, link=link)


def local_folder(found: NamedModel) -> Path:
    """The folder of a student on this machine; one that is on the hub is fetched by its library.

    Raises:
        CheckpointError: There is no such model.
        UserError: The student has no weights yet.
    """
    from rlkd.student.checkpoints import resolve_model_path

    if found.folder is not None:
        return found.folder
    model = found.config.student.model
    if not isinstance(model, CheckpointModel):
        raise UserError(f"{found.name} has no weights yet; run it first")
    where = Path(resolve_model_path(model.path))
    if where.is_dir():
        return where
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model.path, revision=model.revision, ignore_patterns=["*.bin", "*.pt"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"{model.path} cannot be fetched from the hub ({str(error).splitlines()[0][:200]})"
        ) from None


def _evaluation(found: NamedModel) -> EvalReport | None:
    """What the run measured."""
    entry = _entry(found, "evaluate")
    file = Path(entry.uri) / "eval_report.json" if entry else None
    if file is None or not file.is_file():
        return None
    return EvalReport.model_validate_json(file.read_text(encoding="utf-8"))


def _entry(found: NamedModel, stage: str) -> StageEntry | None:
    return found.run[1].finished.get(stage) if found.run else None


def _register(found: NamedModel, folder: Path) -> None:
    """Adds a version to the run's registered model whose source is the export."""
    name = found.config.tracking.registered_model
    if found.run is None or not (found.run[1].mlflow_run_id and found.config.tracking.enabled and name):
        return
    from rlkd.evaluation.metrics import headline
    from tasks import tracking

    run, manifest = found.run
    evaluation = _evaluation(found)
    figures = headline(evaluation) if evaluation else {}
    tags = {
        "rlkd.run": manifest.name,
        "rlkd.config_digest": manifest.config_digest,
        "rlkd.stage": _STAGES[found.name.rpartition(":")[2]],
        **{tracking.metric_name(key): f"{value:.4f}" for key, value in figures.items()},
    }
    with tracking.tolerated("the export", lambda text: print(text, file=sys.stderr)):
        version = tracking.register_export(
            tracking.tracking_uri(run.resolve().parent), manifest.mlflow_run_id, name, folder.resolve(), tags
        )
        print(f"registered as models:/{name}/{version}, and as models:/{name}@exported")


def serve_model(model: str, engine: str | None, port: int, more: list[str]) -> None:
    """Serves a student by chat completions on 127.0.0.1, in place of this process, until Ctrl-C.

    Args:
        model: Whatever :func:`flows.cli.models.find_model` takes.
        engine: ``transformers`` or ``vllm``; ``None`` takes vLLM where it is installed.
        port: Its port.
        more: Further options of the engine's own command.

    Raises:
        UserError: The engine is not installed, or there is no such model.
    """
    from rlkd.student.quiet import quiet_libraries

    command = engine_command(engine)
    quiet_libraries()
    found = find_model(model)
    if found.teacher is not None:
        raise UserError(f"{model} is behind a server already")
    folder = served_folder(found)
    print(f"{found.name} at http://{HOST}:{port}/v1, model name {folder}", flush=True)
    arguments = [*command, "serve", str(folder), *more, "--host", HOST, "--port", str(port)]
    os.execv(arguments[0], arguments)


def engine_command(engine: str | None) -> list[str]:
    """Finds the command of a serving engine.

    Raises:
        UserError: It is not installed; the message says how.
    """
    if engine is not None and engine not in _ENGINES:
        raise UserError(f"there is no engine {engine!r}; the engines are {' and '.join(_ENGINES)}")
    for name in [engine] if engine else _ENGINES:
        beside = Path(sys.executable).parent / str(name)
        found = str(beside) if beside.is_file() else shutil.which(str(name))
        if importlib.util.find_spec(str(name)) is not None and found:
            if name == "transformers":
                from transformers.utils.import_utils import is_serve_available

                if not is_serve_available():
                    raise UserError(
                        "`transformers serve` lacks packages; install them with: pip install 'rlkd[serve]'"
                    )
            return [found]
    raise UserError(
        f"{engine or 'no serving engine'} is not installed; install one with: pip install vllm, or pip install 'rlkd[serve]'"
    )


def served_folder(found: NamedModel) -> Path:
    """A folder that a server can be given: the student's own, or, where that has no chat template, one beside it with links to the weights."""
    from transformers import AutoTokenizer

    folder = local_folder(found)
    if getattr(AutoTokenizer.from_pretrained(folder), "chat_template", None):
        return folder
    from rlkd.completion.local_hf import model_name
    from rlkd.io import sha256_json
    from schemas.config.endpoint import LocalEndpoint

    asked = found.config.student.model_dump(mode="json")
    key = sha256_json([model_name(LocalEndpoint(path=str(folder))), asked])[:16]
    root = Path(os.environ.get("RLKD_CACHE") or "runs/.cache") / "served"
    target = root.absolute() / key
    _export(found, target, link=True)
    return target
