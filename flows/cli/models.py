"""Models by whatever name a user has for them: a run, a registered version, a folder, a hub id, a GGUF file, an endpoint."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.cli.generate import find_checkpoint, registered_student
from flows.configure import configure
from rlkd.errors import UserError
from schemas.artifact import RunManifest
from schemas.config.pipeline import PipelineConfig
from schemas.config.traces import TeacherConfig

_TEACHER = re.compile(r"teacher([1-9]\d*)?")
_NOTHING_TRAINED: dict[str, Any] = {
    "name": "evaluate",
    "data": {"type": "world"},  # a configuration must name some; nothing is read of it
    "traces": {"teacher": {"type": "none"}},
    "warm_start": {"enabled": False},
    "rl": {"enabled": False},
    "qualify": {"enabled": False},
    "evaluate": {"samples": 4, "pass_at": [1, 2, 4], "pass_problems": None, "batch_size": 32},
    "tracking": {"enabled": False},
}


@dataclass(frozen=True)
class NamedModel:
    """A model that a command was given.

    Attributes:
        name: As it was given, and the checkpoint of a run.
        config: How it is asked and evaluated.
        folder: Its checkpoint; ``None`` is ``config.student.model``.
        teacher: The teacher that it is; ``None`` for a student.
        run: The run that it is of.
    """

    name: str
    config: PipelineConfig
    folder: Path | None = None
    teacher: TeacherConfig | None = None
    run: tuple[Path, RunManifest] | None = None


def find_model(text: str, config: str | None = None, overrides: Sequence[str] = ()) -> NamedModel:
    """Finds a model, and how it is asked.

    Args:
        text: ``RUN`` or ``RUN:CHECKPOINT`` (base, warm_start, rlkd, teacher, or teacher2 of several), ``models:/name/3``,
            ``http://host/v1#model``, ``teacher`` (that of ``config``), ``builtin:...``, a checkpoint folder, a GGUF file, or a hub id.
        config: Preset or YAML file whose sections ``student``, ``traces`` and ``evaluate`` count.
        overrides: ``key=value`` settings.

    Raises:
        UserError: There is no such model, or the configuration is wrong.
    """
    from rlkd.config.load import load_values

    given = configure(config, overrides) if config is not None else None
    if _TEACHER.fullmatch(text):
        if given is None:
            raise UserError(
                "teacher is that of a configuration; name it with --config, or a run's with RUN:teacher"
            )
        return NamedModel(f"{given.name}:{text}", given, teacher=_teacher(given, text))
    if text.startswith(("http://", "https://")):
        found = _endpoint(text, given, overrides)
        return NamedModel(text, found, teacher=found.traces.teachers[0])
    if text.startswith("models:/"):
        return _registered(text, given, overrides)
    folder, checkpoint = _run_of(text)
    if folder is not None:
        return _of_run(folder, checkpoint, given, overrides)
    if given is not None:
        own = {"student": {"model": {"type": "checkpoint", "path": text}}}
        return NamedModel(text, _with(given, own))
    from rlkd.evaluation.solvers import conventions_of
    from rlkd.student.export import CARD

    card = Path(text) / CARD
    student = (
        json.loads(card.read_text(encoding="utf-8"))["student"] if card.is_file() else conventions_of(text)
    )
    student = {**student, "model": {"type": "checkpoint", "path": text}, "lora": None}
    return NamedModel(text, load_values({**_NOTHING_TRAINED, "student": student}, overrides, text))


def _run_of(text: str) -> tuple[Path | None, str | None]:
    """The run folder and the checkpoint that a text names; ``None`` where it names no run."""
    from rlkd.pipeline.run_folder import RUN_FILE

    if (Path(text) / RUN_FILE).is_file():
        return Path(text), None
    head, _, tail = text.rpartition(":")
    return (Path(head), tail) if head and (Path(head) / RUN_FILE).is_file() else (None, None)


def _of_run(
    folder: Path, checkpoint: str | None, given: PipelineConfig | None, overrides: Sequence[str]
) -> NamedModel:
    from rlkd.config.load import load_values
    from rlkd.pipeline.run_folder import read_run

    manifest = read_run(folder)
    config = given or load_values(manifest.config, overrides, f"{folder}/run.json")
    run = (folder, manifest)
    if checkpoint is not None and _TEACHER.fullmatch(checkpoint):
        teacher = _teacher(config, checkpoint)
        return NamedModel(f"{folder}:{checkpoint}", config, teacher=teacher, run=run)
    name, model = find_checkpoint(manifest, config, checkpoint)
    return NamedModel(f"{folder}:{name}", config, model, run=run)


def _teacher(config: PipelineConfig, text: str) -> TeacherConfig:
    """The teacher that ``teacher`` or ``teacher2`` names.

    Raises:
        UserError: There is none of that number, or several and no number.
    """
    number, teachers = text.removeprefix("teacher"), config.traces.teachers
    if not number and len(teachers) > 1:
        kinds = ", ".join(f"teacher{i} ({teacher.type})" for i, teacher in enumerate(teachers, 1))
        raise UserError(f"{config.name} has several teachers; name one of {kinds}")
    if int(number or 1) > len(teachers):
        raise UserError(f"{config.name} has no {text}; it has {len(teachers)}")
    return teachers[int(number or 1) - 1]


def _registered(text: str, given: PipelineConfig | None, overrides: Sequence[str]) -> NamedModel:
    from rlkd.config.load import load_config

    with tempfile.TemporaryDirectory() as place:
        file, folder = registered_student(text, Path(place))
        return NamedModel(text, given or load_config(str(file), overrides), folder)


def _endpoint(text: str, given: PipelineConfig | None, overrides: Sequence[str]) -> PipelineConfig:
    from rlkd.config.load import load_values
    from schemas.config.traces import EndpointTeacher

    address, _, model = text.partition("#")
    if not model:
        raise UserError(f"{text}: name the model behind the address, as {address.rstrip('/')}#MODEL")
    place = {"base_url": address, "model": model}
    if given is None:
        teacher = {"type": "endpoint", "endpoint": place, "output": "boxed", "max_tokens": 1024}
        return load_values({**_NOTHING_TRAINED, "traces": {"teacher": teacher}}, overrides, text)
    like = next((t for t in given.traces.teachers if isinstance(t, EndpointTeacher)), None)
    asked: dict[str, Any] = {"type": "endpoint", "output": given.student.output}
    if like is not None:
        asked = like.model_dump(mode="json")
    endpoint = {**asked.get("endpoint", {}), **place}
    return _with(given, {"traces": {"teacher": {**asked, "endpoint": endpoint}}})


def _with(config: PipelineConfig, layer: Mapping[str, Any]) -> PipelineConfig:
    """A configuration with settings laid over it."""
    from rlkd.config.layers import overlay
    from rlkd.config.load import parse_config

    return parse_config(overlay(config.model_dump(mode="json"), layer), config.name)
