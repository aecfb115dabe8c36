"""Where the time of an RL step goes, on the built-in world with the demo's shape of student, and how plain TRL compares.

Usage: python benchmarks/rl_step.py [--student PATH] [--steps 12] [--prompts 16] [--group 8] [--tokens 160] [--cpu] [--profile]
[--trl ROUNDS] [--json OUT]

Prepares problems, traces and structures, teaches an untrained student a little (so that it writes paths and
stops), then times RL steps. Prints a table; `--json` writes it too. `--student` takes another student, such as
`builtin:smollm2-135m`.

`--trl 3` runs, three times in turn, as many steps of ours (rules reward, ledger and checkpoint on) and of TRL's `GRPOTrainer` with
its defaults and a trivial reward: the same weights, prompts, group, learning rate and completion limit. The ratio is taken
within a round, so that other work on the machine falls on both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.stages import stage_spec
from schemas.config.pipeline import PipelineConfig

CHAIN = ("data", "traces", "structures", "warm_start", "rl")


def make_config(args: argparse.Namespace, student: Path) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "rl-step",
            "data": {
                "type": "world",
                "world": {"n_train": 200, "n_validation": 20, "n_test": 20, "n_ood": 0},
            },
            "student": {
                "model": {"type": "checkpoint", "path": args.student or str(student)},
                "dtype": args.dtype,
                "max_completion_tokens": args.tokens,
            },
            "structures": {"decomposer": {"type": args.decomposer}},
            "warm_start": {
                "max_epochs": args.epochs,
                "traces": args.traces,
                "eval_every": 1000,
                "optimizer": {"learning_rate": 5e-5 if args.student else 2e-3},
            },
            "rl": {
                "steps": args.steps,
                "prompts_per_step": args.prompts,
                "group_size": args.group,
                "save_every": args.steps,
            },
        }
    )


def make_student(folder: Path) -> None:
    from rlkd.demo.tiny_model import build_model, build_tokenizer
    from rlkd.student.checkpoints import save_student
    from schemas.config.pretrain import TinyModelSettings

    tokenizer = build_tokenizer()
    save_student(build_model(TinyModelSettings(), tokenizer, 0), tokenizer, folder)


def time_parts(clock: dict[str, float], now: Any) -> None:
    """Wraps the parts of a step with a clock."""
    from rlkd.rewards.scoring import RewardModel
    from rlkd.student import generate as decode
    from rlkd.training import group_reward, grpo

    def timed(name: str, function: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return function(*args, **kwargs)
            finally:
                clock[name] += now() - start

        return run

    grpo.generate_ids = timed("sampling", decode.generate_ids)
    group_reward.GroupReward.__call__ = timed("reward", group_reward.GroupReward.__call__)  # type: ignore[method-assign]
    make = grpo.make_trainer_class

    def made() -> type:
        cls = make()
        cls.compute_loss = timed("forward", cls.compute_loss)  # type: ignore[attr-defined]
        return cls

    grpo.make_trainer_class = made
    from accelerate import Accelerator

    Accelerator.backward = timed("backward", Accelerator.backward)
    assert RewardModel is not None


def plain_trl(args: argparse.Namespace, config: PipelineConfig, folders: dict[str, Path], out: Path) -> None:
    """As many steps of TRL's trainer with its defaults, on the prompts that ours practises on, and a trivial reward."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from rlkd.io import iter_rows
    from rlkd.student.load import load_student
    from rlkd.student.prompts import PromptBook
    from schemas.problem import Problem

    student = load_student(config.student, folders["warm_start"] / "model", train=True)
    book = PromptBook(config.student, student.tokenizer)
    rows = [
        {"prompt": book.render(row.question)} for row in iter_rows(folders["data"] / "train.jsonl", Problem)
    ]
    settings = GRPOConfig(
        output_dir=str(out),
        max_steps=args.steps,
        per_device_train_batch_size=args.prompts * args.group,
        num_generations=args.group,
        max_completion_length=args.tokens,
        learning_rate=config.rl.optimizer.learning_rate,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    )

    def length_reward(completions: list[str], **_: Any) -> list[float]:
        return [float(len(text) % 7) for text in completions]

    GRPOTrainer(
        model=student.model,
        reward_funcs=length_reward,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=student.tokenizer,
    ).train()


def against_trl(
    args: argparse.Namespace, config: PipelineConfig, folders: dict[str, Path]
) -> dict[str, float]:
    """Seconds a step of ours and of plain TRL, in turn; wall and CPU seconds of ``Trainer.train`` alone."""
    import statistics

    from transformers import Trainer

    train, spent = Trainer.train, []

    def clocked(self: Any, *positional: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        done = train(self, *positional, **named)
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
        return done

    Trainer.train = clocked
    inputs = {key: folders[key] for key in stage_spec("rl").inputs}
    ratios: list[tuple[float, float]] = []
    for number in range(args.trl):
        folder = folders["warm_start"].parent / f"round{number}"
        folder.mkdir()
        stage_spec("rl").load()(StageContext(config, inputs, folder, NullSink()))
        plain_trl(args, config, folders, folder / "trl")
        ours, theirs = spent[-2:]
        ratios.append((theirs[0] / ours[0], theirs[1] / ours[1]))
        print(
            f"round {number}: ours {ours[0] / args.steps:.2f} s a step ({ours[1] / args.steps:.2f} CPU), "
            f"plain TRL {theirs[0] / args.steps:.2f} s ({theirs[1] / args.steps:.2f} CPU): {ratios[-1][0]:.2f} times as long "
            f"({ratios[-1][1]:.2f} by CPU seconds)",
            flush=True,
        )
    wall, cpu = (statistics.median(pair[i] for pair in ratios) for i in (0, 1))
    return {"trl_times_as_long": wall, "trl_times_as_long_cpu": cpu}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", default="", help="another student than the demo's shape")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=160, help="longest completion")
    parser.add_argument("--epochs", type=float, default=6, help="passes of the warm start")
    parser.add_argument("--traces", type=int, default=None, help="traces of the warm start; all by default")
    parser.add_argument("--trl", type=int, default=0, metavar="ROUNDS", help="rounds against plain TRL")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--decomposer", default="rules")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument(
        "--cpu", action="store_true", help="CPU seconds instead of wall time, for a busy machine"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    args = _options()
    root = Path(tempfile.mkdtemp())
    make_student(root / "student")
    config = make_config(args, root / "student")
    folders: dict[str, Path] = {}
    clock: dict[str, float] = defaultdict(float)
    for name in CHAIN:
        spec = stage_spec(name)
        (root / name).mkdir()
        inputs = {key: folders[key] for key in spec.inputs}
        if name == "rl":
            time_parts(clock, time.process_time if args.cpu else time.perf_counter)
        start, cpu = time.perf_counter(), time.process_time()
        context = StageContext(config, inputs, root / name, NullSink())
        if name == "rl" and args.profile:
            import cProfile

            profiler = cProfile.Profile()
            result = profiler.runcall(spec.load(), context)
            profiler.dump_stats(root / "profile")
            print(f"profile: {root / 'profile'}")
        else:
            result = spec.load()(context)
        print(
            f"{name}: {time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s CPU, {result.rows} rows"
        )
        folders[name] = root / name
    rows = [json.loads(line) for line in (root / "rl" / "metrics.jsonl").read_text().splitlines()]
    seconds = sorted(row["step_seconds"] for row in rows[1:])
    figures = {
        "step_seconds_median": seconds[len(seconds) // 2],
        "step_seconds_least": seconds[0],
        "tokens_per_completion": sum(row["tokens"] for row in rows) / len(rows),
        **{f"{name}_seconds": total / len(rows) for name, total in clock.items()},
    }
    for name, value in figures.items():
        print(f"{name:24s} {value:8.3f}")
    if args.trl:
        figures |= against_trl(args, config, folders)
        print(
            f"plain TRL takes {figures['trl_times_as_long']:.2f} times as long (median of {args.trl} rounds)"
        )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
