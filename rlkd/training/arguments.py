"""Settings that the two Hugging Face trainers share."""

from __future__ import annotations

import functools
from typing import Any

from rlkd.training.mixin import Session
from schemas.config.student import StudentConfig
from schemas.config.training import OptimizerConfig


def common_arguments(
    session: Session, student: StudentConfig, optimizer: OptimizerConfig, seed: int
) -> dict[str, Any]:
    """Arguments for ``SFTConfig`` and ``GRPOConfig``.

    Old checkpoints are removed by the session once the next one is whole, so the trainer removes none.
    """
    import torch

    on_cpu = not torch.cuda.is_available()
    if on_cpu and world_size() > 1:
        _read_numbered_cpus()
    return {
        "output_dir": str(session.root),
        "max_steps": session.total,
        "learning_rate": optimizer.learning_rate,
        "lr_scheduler_type": optimizer.schedule,
        "warmup_steps": 0 if optimizer.schedule == "constant" else optimizer.warmup_ratio,
        "weight_decay": optimizer.weight_decay,
        "max_grad_norm": optimizer.max_grad_norm,
        "gradient_checkpointing": optimizer.gradient_checkpointing,
        "bf16": (optimizer.precision or student.dtype) == "bfloat16",
        "fp16": False,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
        "seed": seed,
        "data_seed": seed,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_total_limit": None,
        "report_to": "none",
        "disable_tqdm": True,
        "model_init_kwargs": None,
        # The layers' kernels only: Liger's fused loss would take the place of TRL's fused head, which makes the log-probabilities
        # that ledger and objectives need.
        "use_liger_kernel": optimizer.liger and liger_usable(),
        "liger_kernel_config": {"fused_linear_cross_entropy": False},
    }


def liger_usable() -> bool:
    """Whether Liger's kernels can be used: the package is installed, and there is a CUDA GPU."""
    import torch
    from transformers.utils import is_liger_kernel_available

    return torch.cuda.is_available() and bool(is_liger_kernel_available())


@functools.cache
def _read_numbered_cpus() -> None:
    """Lets torch read a tensor onto ``cpu:1`` as onto ``cpu``.

    The Trainer reads the optimiser's state onto its device when it resumes, which accelerate calls ``cpu:<rank>`` where several
    processes train without a GPU, and torch knows no such place: no run of several could be resumed.
    """
    import torch

    torch.serialization.register_package(
        100, lambda storage: None, lambda storage, where: storage if where.startswith("cpu:") else None
    )


def world_size() -> int:
    """Processes that train together (set by the launcher)."""
    import os

    return int(os.environ.get("WORLD_SIZE", "1"))
