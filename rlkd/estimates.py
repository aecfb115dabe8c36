"""Rough estimates of memory, disk and time before a run: from sizes and a measured speed, within a factor of two or three."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rlkd.errors import UserError
from rlkd.io import duration
from rlkd.pipeline.stages import is_enabled, pairs_source
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import StudentPairs
from schemas.config.run import RunConfig

_LIBRARIES_MB = 900.0
"""Resident memory of a process that has imported torch, transformers and TRL."""
_DECODE_LAYER_S = 0.0005
"""Overhead of one layer in one decoding step, whatever its size (on the CPU; a recorded step on a GPU takes about as long)."""
_SHARE = 0.3
"""Share of a matrix product's speed that training and sampling reach."""
_USED = 0.6
"""Share of the longest completion that a typical one has."""
_START_S = 12.0
"""Start of a training or evaluation process."""


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Attributes:
        train: Training problems.
        held_out: Problems that are evaluated on.
        prompt_tokens: Mean length of a prompt.
    """

    train: int
    held_out: int
    prompt_tokens: float


@dataclass(frozen=True)
class Student:
    """The sizes that cost memory and time."""

    parameters: int
    layers: int
    width: int
    vocabulary: int
    context: int | None

    @classmethod
    def of(cls, config: Any, parameters: int) -> Student:
        """From a transformers configuration."""
        text = config.get_text_config()
        return cls(
            parameters=parameters,
            layers=int(text.num_hidden_layers),
            width=int(text.hidden_size),
            vocabulary=int(text.vocab_size),
            context=getattr(text, "max_position_embeddings", None),
        )


@dataclass(frozen=True)
class Costs:
    """Estimates of a run.

    Attributes:
        memory_mb: Largest process.
        disk_mb: Store, with the checkpoints of unfinished training.
        seconds: By stage.
        device: What trains.
    """

    memory_mb: float
    disk_mb: float
    seconds: dict[str, float]
    device: str

    @property
    def memory_text(self) -> str:
        """For people."""
        return f"about {self.memory_mb / 1024:.1f} GiB for the largest process ({self.device})"

    @property
    def time_text(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {duration(value)}" for name, value in self.seconds.items())
        return (
            f"about {duration(sum(self.seconds.values()))} on {self.device} if nothing is finished ({parts})"
        )


def describe(config: RunConfig, path: str) -> Student:
    """A checkpoint's sizes, from its configuration alone (no weights are read).

    Raises:
        UserError: It cannot be read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model = config.student.model
    options = (
        {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
        if model.type == "checkpoint"
        else {}
    )
    try:
        found = AutoConfig.from_pretrained(path, **options)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(
                found, trust_remote_code=bool(options.get("trust_remote_code"))
            )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"student.model.path: {path} is not a causal LM that can be loaded ({first[:200]})"
        ) from None
    lora = getattr(config.student, "lora", None)
    if lora is not None:
        from rlkd.student.load import check_lora

        check_lora(lora, empty, path)
    return Student.of(found, sum(weights.numel() for weights in empty.parameters()))


def flops_per_second() -> tuple[float, str]:
    """Measured speed of a matrix product, and the device's name."""
    import torch

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    n = 4096 if cuda else 512
    a = torch.ones(n, n, device=device, dtype=torch.bfloat16 if cuda else torch.float32)
    times = []
    for _ in range(20):  # the fastest counts: other work on the machine only slows
        started = time.perf_counter()
        a @ a
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    speed = 2 * n**3 / min(times)
    name = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} CPU threads"
    return _SHARE * speed, name


def estimate(config: PipelineConfig, student: Student, work: Work) -> Costs:
    """Estimates a run.

    Args:
        config: The configuration.
        student: The student's sizes.
        work: How much there is to do.
    """
    speed, device = flops_per_second()
    length = work.prompt_tokens + _USED * config.student.max_completion_tokens
    seconds = {"preparation": 2.0 + (work.train + work.held_out) * 0.004}
    if config.warm_start.enabled:
        seconds["warm_start"] = _START_S + _warm_start_s(config, student, work.train, length, speed)
    if is_enabled(config, "qualify"):
        seconds["qualify"] = _qualify_s(config, student, speed)
    if config.rl.enabled:
        seconds["rl"] = _START_S + config.rl.steps * _rl_step_s(config, student, length, speed)
    seconds["evaluate"] = _START_S + _evaluate_s(config, student, work.held_out, speed)
    return Costs(_memory_mb(config, student, length), _disk_mb(config, student), seconds, device)


def _decode_s(student: Student, completions: int, tokens: float, speed: float) -> float:
    """Sampling: one pass over the weights per token, and each step's overhead."""
    return tokens * (student.layers * _DECODE_LAYER_S + 2 * student.parameters * completions / speed)


def _train_s(student: Student, tokens: float, speed: float) -> float:
    """Forward and backward: 6 operations per weight and token."""
    return 6 * student.parameters * tokens / speed


def _warm_start_s(config: PipelineConfig, student: Student, train: int, length: float, speed: float) -> float:
    """Up to the last epoch; patience mostly ends it sooner."""
    limits = [n for n in (config.warm_start.traces, config.traces.problems, train) if n is not None]
    rows = min(limits) * config.warm_start.max_epochs
    return _train_s(student, rows * length, speed) * 1.5


def _qualify_s(config: PipelineConfig, student: Student, speed: float) -> float:
    """Sampling, where the pairs are the student's; scoring by rules. What a model judge takes only its server knows."""
    source = pairs_source(config)
    if not isinstance(source, StudentPairs):
        return 5.0
    rows = source.problems * source.per_problem
    batches = -(-rows // config.evaluate.batch_size)
    batch = min(rows, config.evaluate.batch_size)
    return _START_S + batches * _decode_s(student, batch, config.student.max_completion_tokens, speed)


def _rl_step_s(config: PipelineConfig, student: Student, length: float, speed: float) -> float:
    completions = config.rl.prompts_per_step * config.rl.group_size
    tokens = _USED * config.student.max_completion_tokens
    sampling = _decode_s(student, completions, tokens, speed) / config.rl.steps_per_generation
    return sampling + _train_s(student, completions * length, speed) + completions / 2000


def _evaluate_s(config: PipelineConfig, student: Student, problems: int, speed: float) -> float:
    settings = config.evaluate
    held_out = min(problems, 2 * (settings.max_problems or problems))
    sampled = min(settings.pass_problems or held_out, held_out) * settings.samples
    rows = (held_out + sampled) * len(settings.checkpoints)
    batches = -(-rows // settings.batch_size)
    return batches * _decode_s(student, settings.batch_size, config.student.max_completion_tokens, speed)


def _memory_mb(config: PipelineConfig, student: Student, length: float) -> float:
    """Weights, gradients, optimiser and activations of the larger of training and sampling."""
    bytes_per_weight = 2 if config.student.dtype == "bfloat16" else 4
    trained = student.parameters
    if config.student.lora is not None:
        trained = min(student.parameters, 14 * student.layers * student.width * config.student.lora.rank)
    weights = student.parameters * (bytes_per_weight if config.student.lora is not None else 4) + trained * 12
    if config.rl.kl > 0:
        weights += student.parameters * bytes_per_weight
    completions = config.rl.prompts_per_step * config.rl.group_size
    micro = config.rl.micro_batch or -(-completions // max(1, config.launch.processes))
    tokens = micro * length
    kept = 2 if config.rl.optimizer.gradient_checkpointing else 18
    activations = tokens * student.layers * student.width * kept * bytes_per_weight
    logits = micro * config.student.max_completion_tokens * student.vocabulary * 4 * 3
    return _LIBRARIES_MB + (weights + activations + logits) / 2**20


def _disk_mb(config: PipelineConfig, student: Student) -> float:
    """Two published students, up to three private checkpoints with optimiser state, the ledger."""
    weights = student.parameters * 4 / 2**20
    ledger = config.rl.steps * config.rl.prompts_per_step * config.rl.group_size * 1.5 / 1024
    return 50 + weights * (2 + 3 * 3) + ledger
