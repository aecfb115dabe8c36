"""What ``rlkd check`` asks of this machine beside data and student: models and keys, batches, how training starts."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from flows.cli.check.findings import Findings
from rlkd.errors import UserError
from rlkd.hub import OFFLINE
from schemas.base import sections_of
from schemas.config.endpoint import LocalEndpoint
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig
from schemas.config.structure import EmbeddingJudgeConfig, GenerativeDecomposerConfig
from schemas.config.training import LaunchConfig


def check_training(config: PipelineConfig, found: Findings, offline: bool = False) -> None:
    """Checks what RL would refuse when it starts, hours into a run."""
    if not config.rl.enabled:
        return
    if offline and config.rl.generation == "vllm" and importlib.util.find_spec("vllm") is None:
        found.add("training", "not looked at: vLLM, which is not installed", "note")
        config = config.model_copy(update={"rl": config.rl.model_copy(update={"generation": "transformers"})})
    from rlkd.training.rl import check_settings, plan_batches

    with found.checking("training"):
        check_settings(config)
    with found.checking("training"):
        plan_batches(config.rl, config.launch.processes * config.launch.machines.count)


def check_launch(config: RunConfig, found: Findings, offline: bool = False) -> None:
    """Checks whether the processes of training could be started."""
    file = config.launch.accelerate_config
    if offline and file is not None and not Path(os.path.expandvars(file)).expanduser().is_file():
        found.add("launch", f"not looked at: {file}, which `accelerate config` writes", "note")
        return
    if offline and (absent := _absent_gpus(config.launch)):
        found.add("launch", f"not looked at: {absent}", "note")
        return
    from tasks.launching import command

    with found.checking("launch"):
        command(Path("job.json"), config.launch)


def _absent_gpus(launch: LaunchConfig) -> str:
    """Says which GPUs or cores that training is to run on are not on this machine; empty where none is missing."""
    from tasks.launching import count_gpus

    there = count_gpus()
    if not there and launch.parallel.type != "ddp":
        return f"no GPU here, which {launch.parallel.type} needs"
    if not there:
        enough = launch.processes <= (os.cpu_count() or 1)
        return "" if enough else f"no GPU here, and fewer cores than {launch.processes} processes"
    return "" if launch.processes <= there else f"{launch.processes} GPUs, of which {there} are here"


def check_services(config: RunConfig, runs: Path, found: Findings) -> None:
    """Checks whether MLflow and Prefect could be used: a server that a variable names is asked, nothing is made."""
    from flows.services.private_server import check_prefect
    from tasks.tracking import check_tracking

    with found.checking("tracking"):
        where = check_tracking(runs) if config.tracking.enabled else "switched off (tracking.enabled=false)"
        found.add("tracking", where if not config.tracking.enabled else f"MLflow at {where}")
    with found.checking("orchestration"):
        own = "a private Prefect server, started with the run"
        found.add(
            "orchestration", f"Prefect at {check_prefect()}" if os.environ.get("PREFECT_API_URL") else own
        )


def check_models(config: RunConfig, runs: Path, found: Findings) -> None:
    """Checks whether the models that decompose and judge are on this machine.

    Args:
        config: The configuration.
        runs: The folder of the runs, for registered models.
        found: Gets what is wrong.
    """
    from rlkd.structure.judges.sentence_vectors import BUILTIN, minilm_folder

    for name, section in sections_of(config):
        with found.checking("models"):
            if isinstance(section, LocalEndpoint):
                check_model(f"{name}.path", section.path, runs)
            elif isinstance(section, GenerativeDecomposerConfig) and section.model is not None:
                check_model(f"{name}.model", section.model, runs)
            elif isinstance(section, EmbeddingJudgeConfig):
                if section.model.startswith(BUILTIN):
                    minilm_folder()
                    continue
                if importlib.util.find_spec("sentence_transformers") is None:
                    raise UserError(
                        f"{name}: sentence_transformers is not installed; install it with: pip install 'rlkd[embedding]'"
                    )
                check_model(f"{name}.model", section.model, runs, whole=False)


def check_endpoints(config: RunConfig, found: Findings) -> None:
    """Asks each server that a model is behind for its model: wrong addresses, keys and names show before a run."""
    from rlkd.completion.models_list import ask_servers

    for name, text, verdict in ask_servers(config):
        found.add("endpoint", f"{name}: {text}", verdict)


def check_model(setting: str, name: str, runs: Path, whole: bool = True) -> None:
    """Checks that a model is there: a folder, a registered name, or an id on the hub.

    Args:
        setting: Which setting names it.
        name: The name.
        runs: The folder of the runs, for registered models.
        whole: Whether a folder must hold a causal LM with its tokenizer.

    Raises:
        UserError: It is not there, or not whole.
    """
    from rlkd.structure.decomposers.forms import read_card
    from rlkd.student.checkpoints import check_folder

    if name.startswith("models:/"):
        folder = _registered(setting, name, runs)
    else:
        folder = Path(os.path.expandvars(name)).expanduser()
    if folder.is_dir():
        if whole:
            check_folder(folder)
            read_card(folder)
        return
    if name.count("/") > 1 or name.startswith((".", "/", "~", "$")) or folder.exists():
        raise UserError(f"{setting}: there is no model folder at {folder}; name one, or a Hugging Face id")
    if os.environ.get(OFFLINE) and not _is_cached(name):
        raise UserError(
            f"{setting}: {name} is no folder and not in this machine's cache, and the hub is not asked ({OFFLINE} is set)"
        )


def _registered(setting: str, name: str, runs: Path) -> Path:
    from tasks import tracking

    uri = tracking.tracking_uri(runs)
    database = uri.removeprefix("sqlite:///")
    if database != uri and not Path(database).exists():  # opening it would make it
        raise UserError(
            f"{setting}: there is no registered model {name}, as {runs} holds no MLflow database; see `rlkd train-gsrm`"
        )
    return Path(tracking.model_folder(uri, name))


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return any(
            isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", "modules.json")
        )
    except HFValidationError:
        return False
