"""Where the time of an RL step goes, on the built-in world with the demo's student, and how plain TRL compares.

Usage: python benchmarks/rl_step.py [--student PATH] [--steps 12] [--prompts 16] [--group 8] [--tokens 160] [--cpu] [--profile] [--preset NAME]
[--trl ROUNDS] [--work FOLDER] [--json OUT]

Prepares problems, traces and structures, teaches the student a little (so that it writes paths and stops), then times RL
steps. Prints a table; `--json` writes it too. `--student` takes another student, such as
`builtin:smollm2-135m`; `--preset` takes all but the size of the batch from a preset, such as `smollm2-easy-math` (which reads
`$RLKD_DATA`); `--epochs 0` leaves the warm start out.

`--trl 3` runs, three times in turn, as many steps of ours (rules reward, ledger and MLflow on) and of TRL's `GRPOTrainer` with
its defaults and a trivial reward; see `plain_trl.py`. The ratio is taken within a round, so that other work on the machine falls
on both. `--work FOLDER` keeps what comes before RL there and takes it from there the next time.
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
from rlkd.student.checkpoints import DEMO_BASE
from schemas.config.pipeline import PipelineConfig

CHAIN = ("data", "traces", "structures", "warm_start", "rl")


def make_config(args: argparse.Namespace) -> PipelineConfig:
    """The world with the student that is asked for, or a preset with its batch cut to what is asked for."""
    if args.preset:
        from flows.configure import preset_folder
        from rlkd.config.load import load_config

        changes = {
            "student.max_completion_tokens": args.tokens,
            "warm_start.enabled": "true" if args.epochs else "false",
            "rl.steps": args.steps,
            "rl.prompts_per_step": args.prompts,
            "rl.group_size": args.group,
            "rl.micro_batch": "null",
            "rl.save_every": args.steps,
        }
        return load_config(
            args.preset, [f"{name}={value}" for name, value in changes.items()], preset_folder()
        )
    return PipelineConfig.model_validate(
        {
            "name": "rl-step",
            "data": {
                "type": "world",
                "world": {"n_train": 200, "n_validation": 20, "n_test": 20, "n_ood": 0},
            },
            "student": {
                "model": {"type": "checkpoint", "path": args.student},
                **({"prompt": "{question}\n"} if args.student == DEMO_BASE else {}),
                "dtype": args.dtype,
                "max_completion_tokens": args.tokens,
            },
            "structures": {"decomposer": {"type": args.decomposer}},
            "warm_start": {
                "enabled": args.epochs > 0,
                "max_epochs": args.epochs or 1,
                "traces": args.traces,
                "eval_every": 1000,
                "optimizer": {"learning_rate": 5e-4 if args.student == DEMO_BASE else 5e-5},
            },
            "rl": {
                "steps": args.steps,
                "prompts_per_step": args.prompts,
                "group_size": args.group,
                "save_every": args.steps,
            },
        }
    )


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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", default=DEMO_BASE, help="another student than the demo's")
    parser.add_argument("--preset", help="takes data, student and rewards from a preset instead of the world")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=160, help="longest completion")
    parser.add_argument("--epochs", type=float, default=6, help="passes of the warm start; 0 for none")
    parser.add_argument("--traces", type=int, default=None, help="traces of the warm start; all by default")
    parser.add_argument("--trl", type=int, default=0, metavar="ROUNDS", help="rounds against plain TRL")
    parser.add_argument(
        "--trl-checkpointing",
        choices=("default", "off"),
        default="default",
        help="TRL's gradient checkpointing, which its defaults switch on",
    )
    parser.add_argument("--work", type=Path, help="keeps the stages before RL; for the same settings of them")
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


def prepare(args: argparse.Namespace, root: Path) -> tuple[PipelineConfig, dict[str, Path]]:
    """Makes the stages before RL, where ``--work`` does not hold them."""
    config = make_config(args)
    folders: dict[str, Path] = {}
    for name in CHAIN[:-1] if args.epochs else CHAIN[:-2]:
        folder = root / name
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            _run(name, StageContext(config, inputs_of(name, folders), folder, NullSink()))
            (folder / "done").touch()
        folders[name] = folder
    return config, folders


def inputs_of(name: str, folders: dict[str, Path]) -> dict[str, Path]:
    """The folders that a stage reads, of those that there are."""
    return {key: folders[key] for key in stage_spec(name).inputs if key in folders}


def _run(name: str, context: StageContext, profile: Path | None = None) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    function = stage_spec(name).load()
    if profile is None:
        result = function(context)
    else:
        import cProfile

        profiler = cProfile.Profile()
        result = profiler.runcall(function, context)
        profiler.dump_stats(profile)
        print(f"profile: {profile}")
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{name}: {wall:.1f} s, {cpu:.1f} s CPU, {result.rows} rows", flush=True)


def main() -> None:
    args = _options()
    work = Path(tempfile.mkdtemp())
    root = args.work or work
    root.mkdir(parents=True, exist_ok=True)
    config, folders = prepare(args, root)
    if args.trl:
        from plain_trl import against_trl

        figures = against_trl(
            config, folders, work, args.trl, None if args.trl_checkpointing == "default" else False
        )
        print(
            f"median of {args.trl} rounds: plain TRL takes {figures['times_as_long_wall']:.2f} times as long"
        )
    else:
        figures = parts(args, config, folders, work)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def parts(
    args: argparse.Namespace, config: PipelineConfig, folders: dict[str, Path], work: Path
) -> dict[str, float]:
    """Times the parts of our RL steps."""
    clock: dict[str, float] = defaultdict(float)
    time_parts(clock, time.process_time if args.cpu else time.perf_counter)
    folder = work / "rl"
    folder.mkdir()
    context = StageContext(config, inputs_of("rl", folders), folder, NullSink())
    _run("rl", context, work / "profile" if args.profile else None)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    seconds = sorted(row["step_seconds"] for row in rows[1:])
    figures = {
        "step_seconds_median": seconds[len(seconds) // 2],
        "step_seconds_least": seconds[0],
        "tokens_per_completion": sum(row["tokens"] for row in rows) / len(rows),
        **{f"{name}_seconds": total / len(rows) for name, total in clock.items()},
    }
    for name, value in figures.items():
        print(f"{name:24s} {value:8.3f}")
    return figures


if __name__ == "__main__":
    main()
