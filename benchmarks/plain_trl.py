"""An RL step of ours against one of TRL's ``GRPOTrainer`` with its defaults, in turn in one process. Used by ``rl_step.py``.

Both start from the same weights, practise on the same prompts in the same order, in the same dtype and with the same limits. What
each of them does is counted and timed in the same places of the trainer, so that the comparison can be checked: prompts, tokens
sampled, positions computed in training. The checkpoint at the end is timed apart, and is no part of a step. Ours runs with the
memory allocator set as in a run's training processes (`tasks/jobs.py`), TRL's with the C library's own settings.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import stage_spec
from schemas.config.pipeline import PipelineConfig

PARTS = ("sampling", "forward", "backward", "checkpoint")


@dataclass
class Turn:
    """What one side did in a round.

    Attributes:
        wall: Seconds of ``Trainer.train`` and of its parts.
        cpu: The same in CPU seconds of the process.
        prompts: Token ids of every prompt that was sampled from, in order.
        sampled: Tokens of each completion, the end token counted.
        ended: Completions that ended before the limit.
        positions: Positions of the forward passes that were learned from.
        weights: Sum over all weights before the first step, and their dtype.
        parameters: Weights that a token is multiplied with: all, the embedding counted once, as the head.
        peak_mb: Largest memory of the process so far.
        rows: The training data.
    """

    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    prompts: list[tuple[int, ...]] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)
    ended: int = 0
    positions: int = 0
    weights: tuple[float, str] = (0.0, "")
    parameters: int = 0
    peak_mb: float = 0.0
    rows: Any = None

    def step(self, clock: dict[str, float], steps: int) -> float:
        """Seconds of a step without the checkpoint."""
        return (clock["all"] - clock["checkpoint"]) / steps


class Meter:
    """Counts and times what trainers do, from ``Trainer.train`` inwards."""

    def __init__(self) -> None:
        from transformers import Trainer

        self.turns: list[Turn] = []
        train = Trainer.train

        def metered(trainer: Any, *positional: Any, **named: Any) -> Any:
            turn = Turn()
            self.turns.append(turn)
            _look_into(trainer, turn)
            try:
                return _timed(turn, "all", train)(trainer, *positional, **named)
            finally:
                turn.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

        Trainer.train = metered


def _timed(turn: Turn, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*positional: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*positional, **named)
        finally:
            turn.wall[name] += time.perf_counter() - wall
            turn.cpu[name] += time.process_time() - cpu

    return run


def _look_into(trainer: Any, turn: Turn) -> None:
    """Puts clocks and counters around the parts of one trainer."""
    model = trainer.model
    turn.rows = trainer.train_dataset
    turn.weights = (
        sum(p.detach().double().sum().item() for p in model.parameters()),
        str(next(model.parameters()).dtype),
    )
    sample, loss = (
        _timed(turn, "sampling", trainer._generate_single_turn),
        _timed(turn, "forward", trainer.compute_loss),
    )
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    turn.parameters = sum(p.numel() for p in model.parameters())
    turn.parameters -= 0 if head is embedding else embedding.numel()
    inside = [False]

    def sampled(prompts: list[list[int]], *positional: Any, **named: Any) -> Any:
        found = sample(prompts, *positional, **named)
        turn.prompts += [tuple(prompt) for prompt in prompts]
        turn.sampled += [len(ids) for ids in found[0]]
        turn.ended += sum(bool(ids) and ids[-1] in trainer.eos_token_ids for ids in found[0])
        return found

    def compute_loss(*positional: Any, **named: Any) -> Any:
        inside[0] = True
        try:
            return loss(*positional, **named)
        finally:
            inside[0] = False

    def count(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        turn.positions += inputs[0].numel() if inside[0] else 0

    trainer._generate_single_turn, trainer.compute_loss = sampled, compute_loss
    trainer.accelerator.backward = _timed(turn, "backward", trainer.accelerator.backward)
    trainer._save_checkpoint = _timed(turn, "checkpoint", trainer._save_checkpoint)
    model.get_input_embeddings().register_forward_hook(count)


class TrackedSink(NullSink):
    """Logs the figures of each step to MLflow at once, as a run does."""

    def __init__(self, folder: Path) -> None:
        from tasks.tracking.connection import client, experiment

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = client(uri)
        self.run = self.client.create_run(experiment(uri, "rl-step")).info.run_id

    def metrics(self, step: int, values: Any) -> None:
        """Logs them in one batch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run, [Metric(name.replace("@", "_at_"), float(v), now, step) for name, v in values.items()]
        )


def plain_trl(
    config: PipelineConfig, start: Path | None, rows: Any, out: Path, checkpointing: bool | None
) -> None:
    """Runs as many steps of TRL's trainer with its defaults, on rows of prompts, and a trivial reward."""
    from trl import GRPOConfig, GRPOTrainer

    from rlkd.student.load import load_student

    student = load_student(config.student, start, train=True)
    rl = config.rl
    changed = {} if checkpointing is None else {"gradient_checkpointing": checkpointing}
    settings = GRPOConfig(
        output_dir=str(out),
        max_steps=rl.steps,
        per_device_train_batch_size=rl.prompts_per_step * rl.group_size,
        num_generations=rl.group_size,
        max_completion_length=config.student.max_completion_tokens,
        learning_rate=rl.optimizer.learning_rate,
        shuffle_dataset=False,  # the rows are in our order of practice
        seed=config.seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        **changed,
    )

    def length_reward(completions: list[str], **_: Any) -> list[float]:
        return [float(len(text) % 7) for text in completions]

    GRPOTrainer(
        model=student.model,
        reward_funcs=length_reward,
        args=settings,
        train_dataset=rows,
        processing_class=student.tokenizer,
    ).train()


def keep_freed_memory(limit: int) -> None:
    """Sets the size from which glibc hands freed buffers back to the kernel; nothing with another C library."""
    import ctypes

    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for name in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            library.mallopt(name, limit)


def matrix_speed() -> float:
    """Floating-point operations in a CPU second of a product of two 1024 x 1024 matrices, at best of ten."""
    import torch

    a, best = torch.randn(1024, 1024), float("inf")
    for _ in range(10):
        started = time.process_time()
        a @ a
        best = min(best, time.process_time() - started)
    return 2 * 1024**3 / best


def against_trl(
    config: PipelineConfig, folders: dict[str, Path], root: Path, rounds: int, checkpointing: bool | None
) -> dict[str, float]:
    """Runs both sides in turn and prints each round.

    Args:
        config: The configuration, ``rl.steps`` steps a turn.
        folders: The finished stages before RL.
        root: Where the turns' folders go.
        rounds: How often.
        checkpointing: TRL's ``gradient_checkpointing``; ``None`` takes its default (on).
    """
    import torch

    meter = Meter()
    inputs = {key: folders[key] for key in stage_spec("rl").inputs if key in folders}
    start = folders["warm_start"] / "model" if "warm_start" in folders else None
    sink = TrackedSink(root)
    found: list[dict[str, float]] = []
    rows = None
    for number in range(rounds):
        seeded = config.model_copy(update={"seed": number})
        folder = root / f"round{number}"
        folder.mkdir()
        speed = matrix_speed()
        keep_freed_memory(1 << 30)
        stage_spec("rl").load()(StageContext(seeded, inputs, folder, sink))
        keep_freed_memory(32 << 20)  # where glibc's own threshold ends up
        ours = meter.turns[-1]
        rows = ours.rows
        plain_trl(seeded, start, rows, folder / "trl", checkpointing)
        theirs = meter.turns[-1]
        speed = max(speed, matrix_speed())
        check_equal(ours, theirs)
        load = os.getloadavg()[0]
        print(
            f"round {number} (load {load:.1f}, {torch.get_num_threads()} threads, {speed / 1e9:.0f} GFLOP/s a CPU second)"
        )
        figures = {"load": load, "gflops": speed / 1e9}
        for name, turn in (("ours", ours), ("trl", theirs)):
            own = _figures(turn, config, speed)
            print(_line(name, own, config))
            figures |= {f"{name}_{key}": value for key, value in own.items()}
        for clock in ("wall", "cpu"):
            figures[f"times_as_long_{clock}"] = figures[f"trl_step_{clock}"] / figures[f"ours_step_{clock}"]
        per_token = [figures[f"{name}_step_wall"] / figures[f"{name}_tokens"] for name in ("trl", "ours")]
        figures["times_as_long_per_sampled_token"] = per_token[0] / per_token[1]
        print(
            f"  plain TRL takes {figures['times_as_long_wall']:.2f} times as long ({figures['times_as_long_cpu']:.2f} in CPU "
            f"seconds; {figures['times_as_long_per_sampled_token']:.2f} for each token sampled)",
            flush=True,
        )
        found.append(figures)
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def check_equal(ours: Turn, theirs: Turn) -> None:
    """Refuses a comparison of different weights, dtypes or prompts."""
    assert ours.weights == theirs.weights, f"weights differ: {ours.weights} and {theirs.weights}"
    assert ours.prompts == theirs.prompts, "the prompts differ"


def _figures(turn: Turn, config: PipelineConfig, speed: float) -> dict[str, float]:
    """Figures of a turn, by step."""
    steps, weights = config.rl.steps, turn.parameters
    distinct = len(turn.prompts) // config.rl.group_size
    prompt = sum(map(len, turn.prompts)) / len(turn.prompts)
    tokens, learning = sum(turn.sampled), turn.cpu["forward"] + turn.cpu["backward"]
    return {
        "step_wall": turn.step(turn.wall, steps),
        "step_cpu": turn.step(turn.cpu, steps),
        **{f"{part}_cpu": turn.cpu[part] / steps for part in PARTS},
        "prompt_tokens": prompt,
        "tokens": tokens / steps,
        "completion_tokens": tokens / len(turn.sampled),
        "ended": turn.ended / len(turn.sampled),
        "positions": turn.positions / steps,
        "peak_mb": turn.peak_mb,
        "sampled_per_s": tokens / turn.wall["sampling"],
        "trained_per_s": tokens / (turn.wall["forward"] + turn.wall["backward"]),
        "sampled_per_cpu_s": tokens / turn.cpu["sampling"],
        "trained_per_cpu_s": tokens / learning,
        # 2 operations for each weight and token forward, 6 with the backward pass
        "sampling_share": 2 * weights * (tokens + distinct * prompt) / turn.cpu["sampling"] / speed,
        "learning_share": 6 * weights * turn.positions / learning / speed,
    }


def _line(name: str, own: dict[str, float], config: PipelineConfig) -> str:
    return (
        f"  {name:5s} {own['step_wall']:7.2f} s a step ({own['step_cpu']:.2f} CPU: sampling {own['sampling_cpu']:.2f}, forward "
        f"{own['forward_cpu']:.2f}, backward {own['backward_cpu']:.2f}; checkpoint {own['checkpoint_cpu']:.2f} apart); "
        f"{own['tokens']:.0f} tokens sampled ({own['completion_tokens']:.1f} a completion, {own['ended']:.0%} ended; limit "
        f"{config.student.max_completion_tokens}) after prompts of {own['prompt_tokens']:.0f}, {own['positions']:.0f} positions trained; at most {own['peak_mb']:.0f} MB so far; "
        f"{own['sampled_per_s']:.0f} tokens/s sampled, {own['trained_per_s']:.0f} trained ({own['sampled_per_cpu_s']:.0f} and "
        f"{own['trained_per_cpu_s']:.0f} in a CPU second); share of the matrix speed "
        f"{own['sampling_share']:.0%} and {own['learning_share']:.0%}"
    )
