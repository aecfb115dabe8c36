"""Where the time of an RL step goes, on the built-in world with the demo's shape of student.

Usage: python benchmarks/rl_step.py [--steps 12] [--prompts 16] [--group 8] [--cpu] [--profile] [--json OUT]

Prepares problems, traces and structures, teaches an untrained student a little (so that it writes paths and
stops), then times RL steps. Prints a table; `--json` writes it too.
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
            "student": {"model": {"type": "checkpoint", "path": str(student)}, "dtype": args.dtype},
            "structures": {"decomposer": {"type": args.decomposer}},
            "warm_start": {"max_epochs": 6, "eval_every": 1000, "optimizer": {"learning_rate": 2e-3}},
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
    from rlkd.training import grpo

    def timed(name: str, function: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return function(*args, **kwargs)
            finally:
                clock[name] += now() - start

        return run

    grpo.generate_ids = timed("sampling", decode.generate_ids)
    grpo.GroupReward.__call__ = timed("reward", grpo.GroupReward.__call__)  # type: ignore[method-assign]
    make = grpo.make_trainer_class

    def made() -> type:
        cls = make()
        cls.compute_loss = timed("forward", cls.compute_loss)  # type: ignore[attr-defined]
        return cls

    grpo.make_trainer_class = made
    from accelerate import Accelerator

    Accelerator.backward = timed("backward", Accelerator.backward)
    assert RewardModel is not None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--decomposer", default="rules")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument(
        "--cpu", action="store_true", help="CPU seconds instead of wall time, for a busy machine"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
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
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
