"""Estimates of memory, disk and time before a run: from a measured probe of the student, or roughly from sizes alone.

The probe (:mod:`rlkd.student.probe`) samples a few tokens and makes one small training step; what a run costs follows in
proportion. Without one (a fresh or very small student, weights that are not on this machine) a measured matrix product and
constants stand in, right within a factor of two or three.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlkd.config.derived import is_enabled, pairs_source
from rlkd.io import duration
from rlkd.student.examine import Sizes
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import StudentPairs

if TYPE_CHECKING:
    from rlkd.student.probe import Probe

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
        trace_tokens: Mean length of a trace; ``None`` takes a share of the longest completion.
        probe: What was measured on this machine; ``None`` estimates from sizes.
        unmeasured: Why nothing was.
    """

    train: int
    held_out: int
    prompt_tokens: float
    trace_tokens: float | None = None
    probe: Probe | None = None
    unmeasured: str = ""


@dataclass(frozen=True)
class Costs:
    """Estimates of a run.

    Attributes:
        memory_mb: Largest process.
        disk_mb: Store, with the checkpoints of unfinished training.
        seconds: By stage.
        device: What trains.
        assumes: What the figures rest on.
    """

    memory_mb: float
    disk_mb: float
    seconds: dict[str, float]
    device: str
    assumes: str = ""

    @property
    def memory_text(self) -> str:
        """For people."""
        text = f"about {self.memory_mb / 1024:.1f} GiB for the largest process ({self.device})"
        return f"{text}; {self.assumes}" if self.assumes else text

    @property
    def time_text(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {duration(value)}" for name, value in self.seconds.items())
        return (
            f"about {duration(sum(self.seconds.values()))} on {self.device} if nothing is finished ({parts})"
        )


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


def estimate(config: PipelineConfig, student: Sizes, work: Work) -> Costs:
    """Estimates a run.

    Args:
        config: The configuration.
        student: The student's sizes.
        work: How much there is to do.
    """
    if student.unpacked:
        config = _unpacked(config)
    speed = _speed(student, work.probe)
    completion = work.trace_tokens or _USED * config.student.max_completion_tokens
    length = work.prompt_tokens + completion
    seconds = {"preparation": 2.0 + (work.train + work.held_out) * 0.004}
    if config.warm_start.enabled:
        seconds["warm_start"] = _START_S + _warm_start_s(config, work.train, length, speed)
    if is_enabled(config, "qualify"):
        seconds["qualify"] = _qualify_s(config, speed)
    if config.rl.enabled:
        seconds["rl"] = _START_S + config.rl.steps * _rl_step_s(config, completion, length, speed)
    seconds["evaluate"] = _START_S + _evaluate_s(config, completion, work.held_out, speed)
    tokens, where = _most_tokens(config, work.prompt_tokens, completion)
    if work.probe is not None:
        from rlkd.student.probe import memory_mb

        memory = memory_mb(work.probe, tokens) + _reference_mb(config, student)
        assumes = f"{work.probe.assumes(tokens)}; {where}"
    else:
        memory = _memory_mb(config, student, length)
        why = f": {work.unmeasured}" if work.unmeasured else ""
        assumes = f"from the model's sizes alone, nothing was measured{why}; {where}"
    return Costs(memory, _disk_mb(config, student), seconds, speed.device, assumes)


def _unpacked(config: PipelineConfig) -> PipelineConfig:
    """The configuration as it works out for a student whose texts cannot be packed."""
    warm_start = config.warm_start.model_copy(update={"packing": False})
    rl = config.rl.model_copy(update={"share_prompts": False})
    return config.model_copy(update={"warm_start": warm_start, "rl": rl})


@dataclass(frozen=True)
class _Speed:
    """Seconds of a trained token, of a sampling step, and of each row in one."""

    token_s: float
    step_s: float
    row_s: float
    device: str

    def train_s(self, tokens: float) -> float:
        return tokens * self.token_s

    def decode_s(self, rows: float, tokens: float) -> float:
        return tokens * (self.step_s + rows * self.row_s)


def _speed(student: Sizes, probe: Probe | None) -> _Speed:
    """Measured with the student itself, or from a matrix product: 2 operations per weight and token forward, 6 with backward."""
    if probe is not None:
        return _Speed(probe.token_s, probe.step_s, probe.row_s, probe.device)
    flops, device = flops_per_second()
    return _Speed(
        6 * student.parameters / flops,
        student.layers * _DECODE_LAYER_S,
        2 * student.parameters / flops,
        device,
    )


def _warm_start_s(config: PipelineConfig, train: int, length: float, speed: _Speed) -> float:
    """Up to the last epoch; patience mostly ends it sooner."""
    settings = config.warm_start
    traces = train * config.traces.per_problem
    if config.traces.problems is not None:
        traces = min(train, config.traces.problems) * config.traces.per_problem
    rows = min(traces, settings.traces or traces) * settings.max_epochs
    return speed.train_s(rows * length) * (1.5 if not settings.packing else 1.1)


def _qualify_s(config: PipelineConfig, speed: _Speed) -> float:
    """Sampling, where the pairs are the student's; scoring by rules. What a model judge takes only its server knows."""
    source = pairs_source(config)
    if not isinstance(source, StudentPairs):
        return 5.0
    rows = source.problems * source.per_problem
    batches = -(-rows // config.evaluate.batch_size)
    batch = min(rows, config.evaluate.batch_size)
    return _START_S + batches * speed.decode_s(batch, config.student.max_completion_tokens)


def _rl_step_s(config: PipelineConfig, completion: float, length: float, speed: _Speed) -> float:
    rows = config.rl.prompts_per_step * config.rl.group_size
    longest = min(
        config.student.max_completion_tokens, completion / _USED
    )  # a round ends with its longest completion
    sampling = speed.decode_s(rows, longest) / config.rl.steps_per_generation
    trained = rows * (length if not config.rl.share_prompts else completion)
    if config.rl.share_prompts:
        trained += config.rl.prompts_per_step * (length - completion)
    return sampling + speed.train_s(trained) + rows / 2000


def _evaluate_s(config: PipelineConfig, completion: float, problems: int, speed: _Speed) -> float:
    settings = config.evaluate
    held_out = min(problems, len(settings.splits) * (settings.max_problems or problems))
    sampled = min(settings.pass_problems or held_out, held_out) * settings.samples
    rows = (held_out + sampled) * len(settings.checkpoints)
    longest = min(config.student.max_completion_tokens, completion / _USED)
    return rows / settings.batch_size * speed.decode_s(settings.batch_size, longest)


def _most_tokens(config: PipelineConfig, prompt: float, completion: float) -> tuple[float, str]:
    """Tokens of the largest forward pass that is learned from, and in words which it is.

    In RL every completion may run to the limit, and in the first steps of a student that does not stop they all do.
    """
    rl, limit = config.rl, config.student.max_completion_tokens
    found = [(0.0, "nothing is trained")]
    if config.warm_start.enabled:
        rows = config.warm_start.batch_size
        found.append((rows * (prompt + completion) * 1.2, f"{rows} traces in one pass of the warm start"))
    if rl.enabled:
        total = rl.prompts_per_step * rl.group_size
        rows = rl.micro_batch or -(-total // max(1, config.launch.processes))
        shared = rl.share_prompts and rows % rl.group_size == 0 and rl.steps_per_generation == 1
        prompts = rows // rl.group_size if shared else rows  # a group in one pass shares its prompt
        found.append(
            (rows * limit + prompts * prompt, f"{rows} completions of {limit} tokens in one pass of RL")
        )
    return max(found)


def _reference_mb(config: PipelineConfig, student: Sizes) -> float:
    """The frozen student that the KL term compares with."""
    size = 2 if config.student.dtype == "bfloat16" else 4
    return student.parameters * size / 2**20 if config.rl.enabled and config.rl.kl > 0 else 0.0


def _memory_mb(config: PipelineConfig, student: Sizes, length: float) -> float:
    """Weights, gradients, optimiser and activations of the larger of training and sampling, from sizes alone."""
    bytes_per_weight = 2 if config.student.dtype == "bfloat16" else 4
    trained = student.parameters
    if config.student.lora is not None:
        trained = min(student.parameters, 14 * student.layers * student.width * config.student.lora.rank)
    weights = student.parameters * (bytes_per_weight if config.student.lora is not None else 4) + trained * 12
    completions = config.rl.prompts_per_step * config.rl.group_size
    micro = config.rl.micro_batch or -(-completions // max(1, config.launch.processes))
    tokens = micro * length
    kept = 2 if config.rl.optimizer.gradient_checkpointing else 18
    activations = tokens * student.layers * student.width * kept * bytes_per_weight
    logits = micro * config.student.max_completion_tokens * student.vocabulary * 4 * 3
    return _LIBRARIES_MB + (weights + activations + logits) / 2**20 + _reference_mb(config, student)


def _disk_mb(config: PipelineConfig, student: Sizes) -> float:
    """Two published students, up to three private checkpoints with optimiser state, the ledger."""
    weights = student.parameters * 4 / 2**20
    ledger = config.rl.steps * config.rl.prompts_per_step * config.rl.group_size * 1.5 / 1024
    return 50 + weights * (2 + 3 * 3) + ledger
