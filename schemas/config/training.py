"""Training: the warm start (SFT) and reinforcement learning (GRPO), and how the processes start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import ADDED, OPERATIONAL, Fraction, Positive, Schema
from schemas.config.objective import ObjectiveConfig
from schemas.config.watch import WatchConfig


class OptimizerConfig(Schema):
    """Optimiser settings that both training stages share."""

    learning_rate: float = Field(default=1e-4, gt=0, description="Peak learning rate.")
    schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = Field(
        default="constant_with_warmup", description="Learning-rate schedule."
    )
    warmup_ratio: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW weight decay.")
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradient norm above which gradients are scaled down."
    )
    gradient_checkpointing: bool = Field(default=False, description="Recompute activations to save memory.")
    precision: Literal["float32", "bfloat16"] | None = Field(
        default=None,
        description="Arithmetic in training, over weights that stay as they are (autocast); null takes student.dtype. bfloat16 is faster on "
        "GPUs and on CPUs that multiply in it (AVX512-BF16, AMX), and slower on others.",
    )
    liger: Annotated[bool, ADDED] = Field(
        default=True,
        description="Use Liger's kernels for the layers where the package liger-kernel is installed and there is a CUDA GPU.",
    )


class FineTuneOptimizerConfig(OptimizerConfig):
    """Optimiser of SFT: AdamW, or Muon for the weight matrices of a small model, which learns in fewer steps."""

    name: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="adamw; or muon for the weight matrices, with AdamW for the rest (not with FSDP or DeepSpeed).",
    )
    matrix_learning_rate: float = Field(
        default=2e-2, gt=0, description="Peak learning rate of the weight matrices under muon."
    )


class FineTuneConfig(Schema):
    """SFT (completion-only loss); the checkpoint with the best validation loss goes on, unless `keep` says otherwise."""

    max_epochs: float = Field(default=10.0, gt=0, description="Most passes over the traces.")
    batch_size: Positive = Field(default=16, description="Traces per device and forward pass.")
    accumulation: Positive = Field(default=1, description="Forward passes per optimiser step.")
    eval_every: Positive = Field(
        default=20, description="Optimiser steps between validations; a checkpoint is saved at each."
    )
    patience: Positive = Field(default=3, description="Validations without improvement after which it stops.")
    keep: Literal["best", "last"] = Field(
        default="best",
        description="Which checkpoint goes on: the best on validation; or the last, after max_epochs whatever validation says.",
    )
    easy_first: Fraction = Field(
        default=0.0,
        description="Share of the first pass over which longer texts come in, short ones first; 0 mixes all lengths from the start.",
    )
    packing: Annotated[bool, ADDED] = Field(
        default=True,
        description="Put several short texts of a batch into one row, so that little is padded (plain decoders with sdpa attention, docs/students.md); "
        "the loss is the same.",
    )
    optimizer: FineTuneOptimizerConfig = Field(default=FineTuneOptimizerConfig(), description="Optimiser.")


class WarmStartConfig(FineTuneConfig):
    """SFT on teacher traces (completion-only loss); see :class:`FineTuneConfig`."""

    enabled: bool = Field(default=True, description="Off for RLKD-zero: RL starts from the student as it is.")
    traces: Positive | None = Field(
        default=None,
        description="Teacher traces that it learns from (drawn by seed); null takes all accepted ones.",
    )


class RLConfig(Schema):
    """GRPO on the combined reward."""

    enabled: bool = Field(default=True, description="Off stops after the warm start.")
    steps: Positive = Field(default=100, description="Optimiser steps.")
    prompts_per_step: Positive = Field(
        default=16, description="Distinct problems per optimiser step, over all processes."
    )
    group_size: int = Field(
        default=8, ge=2, description="Completions per problem (the group that advantages are relative to)."
    )
    micro_batch: Positive | None = Field(
        default=None, description="Completions per device and forward pass; null takes them all at once."
    )
    steps_per_generation: Positive = Field(
        default=1, description="Optimiser steps that one round of sampling serves."
    )
    iterations: Positive = Field(default=1, description="Passes over each round of samples (mu in GRPO).")
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = Field(
        default="dapo", description="Loss normalisation variant."
    )
    scale_rewards: Literal["group", "batch", "none"] = Field(
        default="group", description="What advantages are divided by."
    )
    kl: float = Field(
        default=0.0, ge=0, description="Weight of the KL term towards the starting student (beta)."
    )
    clip_low: float = Field(default=0.2, gt=0, description="Lower clipping of the probability ratio.")
    clip_high: float | None = Field(default=None, gt=0, description="Upper clipping; null takes clip_low.")
    temperature: float = Field(default=1.0, gt=0, description="Sampling temperature.")
    top_p: float = Field(default=1.0, gt=0, le=1, description="Nucleus sampling; 1 keeps all tokens.")
    mask_truncated: bool = Field(
        default=False, description="Leave completions that hit the length limit out of the loss."
    )
    generation: Literal["transformers", "vllm"] = Field(
        default="transformers", description="Sampler; vllm runs inside the training processes."
    )
    vllm_memory: float = Field(default=0.3, gt=0, lt=1, description="Share of GPU memory for vLLM.")
    share_prompts: bool = Field(
        default=True,
        description="Compute a group's prompt once for all its completions (plain decoders with sdpa attention, docs/students.md).",
    )
    shuffle_teachers: Annotated[bool, ADDED] = Field(
        default=False,
        description="Score each completion against another problem's teacher: a control for what length and format alone earn.",
    )
    objective: Annotated[ObjectiveConfig, ADDED] = Field(
        default=ObjectiveConfig(), description="What differs from plain GRPO on the combined reward."
    )
    watch: Annotated[WatchConfig, ADDED] = Field(
        default=WatchConfig(), description="Alarms where the student plays the reward instead of learning."
    )
    save_every: Annotated[int, OPERATIONAL] = Field(
        default=20,
        ge=1,
        description="Optimiser steps between checkpoints; rounded up to a generation boundary.",
    )
    eval_every: Positive | None = Field(
        default=None,
        description="Optimiser steps between evaluations on validation problems (greedy accuracy and structure; also before the first step and "
        "after the last), rounded up to a generation boundary; null for none.",
    )
    eval_problems: Positive = Field(
        default=64, description="Most validation problems of such an evaluation (drawn by seed)."
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="Which checkpoint goes on: that of the last step, or the best on validation (needs eval_every).",
    )
    max_missing_share: Fraction = Field(
        default=0.1, description="Share of missing rewards in a step past which training stops."
    )
    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), description="Optimiser.")

    @model_validator(mode="after")
    def _micro_batch_divides(self) -> RLConfig:
        total = self.prompts_per_step * self.group_size
        if self.micro_batch is not None and total % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} must divide prompts_per_step x group_size = {total}"
            )
        return self

    @model_validator(mode="after")
    def _best_is_measured(self) -> RLConfig:
        if self.keep == "best" and self.eval_every is None:
            raise ValueError(
                "keep is best, but nothing is evaluated during training; set eval_every, or keep to last"
            )
        if self.watch.action == "stop" and self.eval_every is None:
            raise ValueError(
                "watch.action is stop, but nothing is evaluated that could tell the best checkpoint; set eval_every, or "
                "watch.action to warn"
            )
        return self


class DdpConfig(Schema):
    """Every process holds the whole model."""

    type: Literal["ddp"] = Field(
        default="ddp", description="Data parallel: every process holds the whole model."
    )


class FsdpConfig(Schema):
    """Weights, gradients and optimiser are spread over the processes (PyTorch's FSDP2)."""

    type: Literal["fsdp"] = Field(default="fsdp", description="Weights spread over the GPUs (FSDP2).")
    reshard: bool = Field(
        default=True,
        description="Let go of gathered weights after the forward pass: less memory, more traffic.",
    )
    offload: bool = Field(default=False, description="Keep what is not in use in the CPU's memory.")


class DeepSpeedConfig(Schema):
    """Weights, gradients and optimiser are spread over the processes (DeepSpeed ZeRO; install deepspeed)."""

    type: Literal["deepspeed"] = Field(
        default="deepspeed", description="Weights spread over the GPUs (DeepSpeed ZeRO)."
    )
    stage: Literal[1, 2, 3] = Field(
        default=2, description="What is spread: 1 the optimiser, 2 gradients too, 3 weights too."
    )
    offload: bool = Field(
        default=False, description="Keep the optimiser (at stage 3 the weights too) in the CPU's memory."
    )


ParallelConfig = Annotated[DdpConfig | FsdpConfig | DeepSpeedConfig, Field(discriminator="type")]


class MachinesConfig(Schema):
    """Several machines that train together, each running the same number of processes."""

    count: int = Field(default=1, ge=1, description="Machines.")
    rank: int = Field(default=0, ge=0, description="Number of this one; 0 runs the pipeline.")
    address: str = Field(default="", description="Address of machine 0 that the others reach.")
    port: int = Field(default=29500, ge=1, le=65535, description="Port of machine 0.")

    @model_validator(mode="after")
    def _reachable(self) -> MachinesConfig:
        if self.count > 1 and not self.address:
            raise ValueError("count is above 1, but address is empty; name the address of machine 0")
        if self.rank >= self.count:
            raise ValueError(f"rank {self.rank} is not below count = {self.count}")
        return self


class ThreadRunner(Schema):
    """Threads of this process."""

    type: Literal["threads"] = Field(default="threads", description="Threads of this process.")
    workers: int | None = Field(default=None, ge=1, description="Shards at once; null takes all.")


class DaskRunner(Schema):
    """A Dask cluster (extra `dask`); its workers must see the same folders."""

    type: Literal["dask"] = Field(default="dask", description="A Dask cluster.")
    address: str | None = Field(
        default=None,
        description="Address of its scheduler, e.g. tcp://10.0.0.5:8786; null starts processes on this machine.",
    )
    workers: int = Field(default=2, ge=1, description="Processes on this machine, without an address.")


class RayRunner(Schema):
    """A Ray cluster (extra `ray`); its nodes must see the same folders."""

    type: Literal["ray"] = Field(default="ray", description="A Ray cluster.")
    address: str | None = Field(
        default=None, description="Its address, e.g. ray://10.0.0.5:10001; null starts it on this machine."
    )
    workers: int = Field(
        default=2, ge=1, description="CPUs that it takes on this machine, without an address."
    )


RunnerConfig = Annotated[ThreadRunner | DaskRunner | RayRunner, Field(discriminator="type")]


class LaunchConfig(Schema):
    """How training processes start, and how traces, structures and evaluation are spread."""

    processes: Positive = Field(
        default=1, description="Processes on this machine; more than 1 starts `accelerate launch`."
    )
    parallel: ParallelConfig = Field(
        default=DdpConfig(), description="How the processes share the model: DDP, FSDP2 or DeepSpeed."
    )
    machines: MachinesConfig = Field(default=MachinesConfig(), description="Several machines.")
    accelerate_config: str | None = Field(
        default=None,
        description="Path of an accelerate configuration, for what the settings here do not say; it replaces parallel and machines.",
    )
    shards: int = Field(
        default=1,
        ge=1,
        description="Parts that traces, structures and evaluation are made in, side by side (evaluation only with one process).",
    )
    runner: RunnerConfig = Field(
        default=ThreadRunner(), description="Where the shards run: the Prefect task runner."
    )
    grace_s: float = Field(
        default=25.0, gt=0, description="Seconds between SIGTERM and SIGKILL when a run is cancelled."
    )

    @property
    def distributed(self) -> bool:
        """Whether a training job is started by a launcher."""
        spread = self.machines.count > 1 or self.parallel.type != "ddp"
        return self.processes > 1 or spread or self.accelerate_config is not None
