"""The command that starts a training job: one process, or ``accelerate launch`` with what ``launch`` says."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from rlkd.errors import UserError
from schemas.config.training import DeepSpeedConfig, FsdpConfig, LaunchConfig

_JOBS = "rlkd.pipeline.jobs"
_COUNTED = ("NO", "MULTI_CPU", "MULTI_GPU", "FSDP", "DEEPSPEED", "MEGATRON_LM")
"""Kinds of accelerate's ``distributed_type`` whose processes take a GPU or a core each."""


def command(path: Path, launch: LaunchConfig) -> list[str]:
    """Builds the command that runs a job file.

    Raises:
        UserError: This machine cannot start it: fewer GPUs (or, without one, cores) than processes, no such file, a package
            is missing.
    """
    module = [sys.executable, "-P", "-m"]
    if not launch.distributed:
        return [*module, _JOBS, str(path)]
    tied = [*module, _JOBS, "--exec", *module]
    job = ["--module", _JOBS, str(path)]
    gpus = count_gpus()
    if gpus:
        _check_devices("launch.processes", launch.processes, gpus)
    if launch.accelerate_config is not None:
        return [
            *tied,
            "accelerate.commands.launch",
            *_from_file(launch.accelerate_config, launch.processes, gpus),
            *job,
        ]
    if not gpus:
        # `accelerate launch --cpu` starts one process only; this is what it uses for several.
        return [*tied, "torch.distributed.run", *_on_cpu(launch), *job]
    return [*tied, "accelerate.commands.launch", *_options(launch), *job]


def _check_devices(setting: str, processes: int, gpus: int) -> None:
    """Checks that each process has a GPU of its own, or a core where there is none.

    Raises:
        UserError: There are more processes than that: they would wait for each other at every step.
    """
    cores = os.cpu_count() or 1
    if gpus and processes > gpus:
        raise UserError(
            f"{setting} is {processes}, but this machine has {gpus} GPU{'s' if gpus > 1 else ''}; set it to "
            f"{gpus} at most, or show more of them in CUDA_VISIBLE_DEVICES"
        )
    if not gpus and processes > cores:
        raise UserError(
            f"{setting} is {processes}, but this machine has {cores} core{'s' if cores > 1 else ''}, and no GPU is used; set it "
            f"to {cores} at most"
        )


def _from_file(named: str, processes: int, gpus: int) -> list[str]:
    import yaml

    config = Path(os.path.expandvars(named)).expanduser()
    if not config.is_file():
        raise UserError(
            f"launch.accelerate_config: there is no file {config}; write one with `accelerate config`"
        )
    if processes > 1:
        _check_devices("launch.processes", processes, gpus)
        return ["--config_file", str(config), "--num_processes", str(processes)]
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        total, machines = (int(values.get(name, 1)) for name in ("num_processes", "num_machines"))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        raise UserError(
            f"launch.accelerate_config: {config} cannot be read as a configuration; write one with `accelerate config`"
        ) from None
    if (
        str(values.get("distributed_type", "NO")) in _COUNTED
    ):  # others are of devices that are not counted here
        each = -(-total // max(machines, 1))  # the file counts the processes of all machines
        on_gpus = 0 if values.get("use_cpu") in (True, "true") else gpus
        _check_devices(
            f"launch.accelerate_config: num_processes of {config} (on each machine)", each, on_gpus
        )
    return ["--config_file", str(config)]


def _on_cpu(launch: LaunchConfig) -> list[str]:
    """Options of torchrun for processes that share nothing but gradients (gloo)."""
    if launch.parallel.type != "ddp":
        raise UserError(
            f"launch.parallel is {launch.parallel.type}, which spreads weights over GPUs, and this machine has none; set "
            "launch.parallel.type to ddp"
        )
    _check_devices("launch.processes", launch.processes, 0)
    machines, each = launch.machines, ["--nproc_per_node", str(launch.processes)]
    if machines.count == 1:
        return ["--standalone", *each]
    return [
        *("--nnodes", str(machines.count), "--node_rank", str(machines.rank)),
        *("--master_addr", machines.address, "--master_port", str(machines.port)),
        *each,
    ]


def _options(launch: LaunchConfig) -> list[str]:
    """Options of ``accelerate launch``; all are stated, so that no file in the user's home has a say."""
    machines = launch.machines
    options = {
        "num_processes": launch.processes * machines.count,
        "num_machines": machines.count,
        "machine_rank": machines.rank,
        "main_process_port": machines.port if machines.count > 1 else 0,
        "mixed_precision": "no",
        "dynamo_backend": "no",
    }
    if machines.count > 1:
        options["main_process_ip"] = machines.address
    flag = "--multi_gpu"
    if isinstance(launch.parallel, FsdpConfig):
        flag = "--use_fsdp"
        options |= {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": str(launch.parallel.reshard).lower(),
            "fsdp_offload_params": str(launch.parallel.offload).lower(),
            "fsdp_state_dict_type": "FULL_STATE_DICT",  # a checkpoint holds a whole model.safetensors, which is handed on
            "fsdp_cpu_ram_efficient_loading": "true",
        }
    elif isinstance(launch.parallel, DeepSpeedConfig):
        if importlib.util.find_spec("deepspeed") is None:
            raise UserError("launch.parallel is deepspeed, which is not installed; pip install deepspeed")
        flag, device = "--use_deepspeed", "cpu" if launch.parallel.offload else "none"
        options |= {"zero_stage": launch.parallel.stage, "offload_optimizer_device": device}
        if launch.parallel.stage == 3:
            options |= {"offload_param_device": device, "zero3_save_16bit_model": "true"}
    elif launch.processes * machines.count == 1:
        return []
    return [flag, *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def gpu_of(index: int) -> dict[str, str]:
    """The variable that shows one of several processes one of this machine's GPUs, in turn; empty with fewer than two."""
    count = count_gpus() if shutil.which("nvidia-smi") else 0
    if count < 2:
        return {}
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return {"CUDA_VISIBLE_DEVICES": (shown or [str(i) for i in range(count)])[index % count]}


def count_gpus() -> int:
    """Counts the GPUs that this machine shows."""
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
