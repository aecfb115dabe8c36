"""``rlkd generate``: let a run's student solve a problem."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rlkd.errors import UserError
from schemas.artifact import RunManifest
from schemas.config.pipeline import PipelineConfig

CHECKPOINTS = ("base", "warm_start", "rlkd")


def generate_completions(
    run: str, problem: str, checkpoint: str | None, samples: int, temperature: float | None
) -> None:
    """Prints what a checkpoint of a run, or a registered student (``models:/name@alias``), writes for a problem.

    Raises:
        UserError: The folder holds no run, the run does not have the checkpoint, or the problem is too long.
    """
    from rlkd.config.load import parse_config
    from rlkd.pipeline.run_folder import read_run

    folder: Path | None
    if run.startswith("models:/"):
        config, folder = _registered(run, checkpoint)
        told = run
    else:
        manifest = read_run(Path(run))
        config = parse_config(manifest.config, f"{run}/run.json")
        name, folder = find_checkpoint(manifest, config, checkpoint)
        told = f"{name} of {manifest.name}"
    question = sys.stdin.read().strip() if problem == "-" else problem.strip()
    if not question:
        raise UserError("the problem is empty; give its text, or - to read it from standard input")
    warmth = temperature if temperature is not None else (config.rl.temperature if samples > 1 else 0.0)
    for text in complete(config, folder, question, samples, warmth):
        if samples > 1:
            print("---")
        print(text)
    print(f"({told})", file=sys.stderr)


def _registered(name: str, checkpoint: str | None) -> tuple[PipelineConfig, Path]:
    """Configuration and folder of a registered student.

    Raises:
        UserError: There is no such model, or a checkpoint of a run is asked of it.
    """
    from rlkd.config.load import load_config

    if checkpoint is not None:
        raise UserError(f"{name} is one student; --checkpoint is for a run folder")
    with tempfile.TemporaryDirectory() as place:
        file, folder = registered_student(name, Path(place))
        return load_config(str(file)), folder


def registered_student(name: str, into: Path) -> tuple[Path, Path]:
    """Finds a registered student, asked of ``MLFLOW_TRACKING_URI`` or the runs in ``runs``.

    Args:
        name: ``models:/name/3`` or the like.
        into: Folder that gets the configuration of the run that made it.

    Returns:
        That configuration, and the folder of the weights.

    Raises:
        UserError: There is no such model.
    """
    from tasks import tracking

    runs = Path("runs")
    uri = tracking.tracking_uri(runs)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise UserError(
            f"there is no {name}: {runs} holds no MLflow database, and MLFLOW_TRACKING_URI is not set"
        )
    folder = tracking.model_folder(uri, name)
    return tracking.model_config(uri, name, into), folder


def find_checkpoint(
    manifest: RunManifest, config: PipelineConfig, name: str | None
) -> tuple[str, Path | None]:
    """Finds the folder of a checkpoint of a run; ``None`` for the student that the configuration starts from.

    Raises:
        UserError: There is no such checkpoint, or this run has not made it.
    """
    if name is not None and name not in CHECKPOINTS:
        raise UserError(f"there is no checkpoint {name!r}; the checkpoints are {', '.join(CHECKPOINTS)}")
    made = {name: Path(entry.uri) for name, entry in manifest.finished.items()}
    folders: dict[str, Path | None] = {}
    if config.student.model.type == "checkpoint":
        folders["base"] = None
    for stage in ("rl", "warm_start"):
        if stage in made and (made[stage] / "base").is_dir():
            folders["base"] = made[stage] / "base"
    if "warm_start" in made:
        folders["warm_start"] = made["warm_start"] / "model"
    if "rl" in made:
        folders["rlkd"] = made["rl"] / "model"
    if name is not None and name not in folders:
        raise UserError(
            f"run {manifest.name} has no checkpoint {name!r} yet; it has {', '.join(folders) or 'none'}"
        )
    if not folders:
        raise UserError(f"run {manifest.name} has no student yet; run it first")
    chosen = name or list(folders)[-1]
    return chosen, folders[chosen]


def complete(
    config: PipelineConfig, folder: Path | None, question: str, samples: int, temperature: float
) -> list[str]:
    """Samples completions of one problem, as the student was trained to be asked.

    Raises:
        UserError: The prompt is longer than ``student.max_prompt_tokens``.
        CheckpointError: The checkpoint cannot be loaded.
    """
    from transformers.utils import logging

    from rlkd.student.load import load_student
    from rlkd.student.prompts import PromptBook
    from rlkd.student.sampler import LocalSampler

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    student = load_student(config.student, folder)
    book = PromptBook(config.student, student.tokenizer)
    prompt = book.encode(question)
    if not book.fits(prompt):
        raise UserError(
            f"the problem has {len(prompt)} tokens, more than student.max_prompt_tokens = {config.student.max_prompt_tokens}; shorten it"
        )
    made = LocalSampler(student.model, student.tokenizer, whole=book.whole).generate(
        [prompt] * samples, config.student.max_completion_tokens, temperature or None, samples, config.seed
    )
    return [completion.text.strip() for completion in made]
