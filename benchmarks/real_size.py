"""What a run costs with a student of real size: time and memory of every stage, beside what ``rlkd check`` estimates.

Usage: ``python benchmarks/real_size.py [--shape qwen2.5-1.5b] [--preset gsm8k] [--set key=value]... [--steps 6] [--json FILE]``

The weights are random (nothing is downloaded), so that the answers are noise and every completion runs to the length
limit, which is the dearest case; the tokenizer is trained on the problems' text and filled up to the shape's vocabulary.
Cost depends on neither. Problems and traces are GSM8K's files under ``$RLKD_DATA/gsm8k``; the rest is the preset as it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 4096,
    },
    "smollm2-135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "qwen2.5-0.5b": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "qwen2.5-1.5b": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
}
"""The sizes in the configurations that Qwen and Hugging Face publish."""
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
SPECIAL = {"<pad>": "<|endoftext|>", "<bos>": "<|im_start|>", "<eos>": "<|im_end|>"}
STAGES = ("warm_start", "rl", "evaluate")


def make_checkpoint(shape: dict[str, int], texts: Iterable[str], folder: Path) -> None:
    """Random weights of a shape in bfloat16, with a tokenizer whose ids all have a token."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from rlkd.student.checkpoints import save_student
    from rlkd.student.fresh import train_tokenizer

    learned = train_tokenizer(texts, min(8000, shape["vocab_size"]))
    text = learned.backend_tokenizer.to_str()
    for ours, theirs in SPECIAL.items():
        text = text.replace(f'"{ours}"', f'"{theirs}"')
    content = json.loads(text)
    vocabulary = content["model"]["vocab"]
    for index in range(len(vocabulary), shape["vocab_size"]):
        vocabulary[f"filler{index}"] = index
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)),
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        padding_side="left",
    )
    tokenizer.chat_template = TEMPLATE
    save_student(random_model(shape), tokenizer, folder)


def random_model(shape: dict[str, int]) -> Any:
    """A Qwen2 of a shape with random weights in bfloat16, on the GPU where there is one."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        config = Qwen2Config(
            **shape,
            tie_word_embeddings=True,
            max_position_embeddings=4096,
            eos_token_id=2,
            bos_token_id=1,
            pad_token_id=0,
            dtype="bfloat16",
        )
        return Qwen2ForCausalLM(config).to(torch.bfloat16)


def settings(args: argparse.Namespace, checkpoint: Path) -> list[str]:
    """The preset, cut in length alone: what costs time and memory in a step stays as it is."""
    data = {
        "type": "file",
        "path": "$RLKD_DATA/gsm8k",
        "files": {"train": "train.jsonl", "test": "test.jsonl"},
        "columns": {"question": "question", "answer": "answer", "traces": ["answer"]},
        "answer_pattern": r"####\s*(.+)",
        "sizes": {"train": 200, "validation": 16, "test": args.test},
    }
    return [
        "name=real-size",
        f"data={json.dumps(data)}",
        f"student.model.path={checkpoint}",
        f"traces.problems={args.traces}",
        "warm_start.max_epochs=1",
        f"rl.steps={args.steps}",
        "evaluate.samples=2",
        "evaluate.pass_at=[1]",
        f"evaluate.pass_problems={args.test}",
        *args.overrides,
    ]


def run(preset: str, overrides: list[str], output: Path) -> float:
    """Runs the whole pipeline as a user would; wall seconds."""
    command = [sys.executable, "-m", "flows.cli.main", "run", preset, "--output", str(output)]
    for setting in overrides:
        command += ["--set", setting]
    began = time.perf_counter()
    done = subprocess.run(command)
    if done.returncode:
        sys.exit(done.returncode)
    return time.perf_counter() - began


def figures(output: Path, estimated: Any, wall: float) -> dict[str, Any]:
    """Measured and estimated, by stage; the middle RL step apart, since the first ones warm up."""
    run_json = json.loads((output / "run.json").read_text(encoding="utf-8"))
    stages = {}
    for entry in run_json["stages"]:
        if entry["name"] in STAGES:
            stages[entry["name"]] = {
                "seconds": entry["seconds"],
                "estimated_seconds": estimated.seconds.get(entry["name"]),
                "peak_rss_mb": entry["peak_rss_mb"],
                "peak_gpu_mb": entry["peak_gpu_mb"],
            }
            if entry["name"] == "rl":
                rows = [
                    json.loads(line)
                    for line in (Path(entry["uri"]) / "metrics.jsonl")
                    .read_text(encoding="utf-8")
                    .splitlines()
                ]
                steps = [row for row in rows if row["step"] > 0]
    return {
        "device": estimated.device,
        "wall_s": wall,
        "estimated_memory_mb": estimated.memory_mb,
        "stages": stages,
        "rl_step_s": statistics.median(row["step_seconds"] for row in steps[1:] or steps),
        "tokens_per_completion": statistics.mean(row["tokens"] for row in steps),
    }


def show(found: dict[str, Any]) -> None:
    """Prints the table."""
    print(
        f"\non {found['device']}: {found['wall_s']:.0f} s in all; estimated memory of the largest process {found['estimated_memory_mb'] / 1024:.1f} GiB"
    )
    print(f"{'stage':12} {'seconds':>8} {'estimated':>10} {'process MiB':>12} {'GPU MiB':>9}")
    for name, row in found["stages"].items():
        print(
            f"{name:12} {row['seconds']:8.1f} {row['estimated_seconds'] or 0:10.1f} {row['peak_rss_mb']:12.0f} {row['peak_gpu_mb']:9.0f}"
        )
    print(f"RL step: {found['rl_step_s']:.2f} s, {found['tokens_per_completion']:.0f} tokens a completion")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen2.5-1.5b")
    parser.add_argument("--preset", default="gsm8k")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="key=value")
    parser.add_argument("--steps", type=int, default=6, help="RL steps")
    parser.add_argument(
        "--traces", type=int, default=64, help="teacher traces, of which the warm start makes one pass"
    )
    parser.add_argument("--test", type=int, default=32, help="test problems")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from flows.cli.check.distill import examine
    from flows.configure import configure
    from rlkd.io import expand_path

    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "student"
        rows = (
            (expand_path("$RLKD_DATA/gsm8k", "RLKD_DATA") / "train.jsonl")
            .read_text(encoding="utf-8")
            .splitlines()[:2000]
        )
        make_checkpoint(SHAPES[args.shape], rows, checkpoint)
        overrides = settings(args, checkpoint)
        output = Path(scratch) / "runs" / "real-size"
        estimated = examine(configure(args.preset, overrides), str(output)).costs
        found = figures(output, estimated, run(args.preset, overrides, output))
    show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
