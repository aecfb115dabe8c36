"""How fast a student of real size writes: the library's generate, and the graphed loop that stands in for it on a GPU.

Usage: ``python benchmarks/generation.py [--shape qwen2.5-1.5b] [--rows 128] [--prompt 192] [--tokens 512] [--lora 32] [--json FILE]``

Random weights; nothing ends before the length limit. The library writes ``--library-tokens`` only, since it is slow. Also
says how often the two choose the same greedy token before they first differ: in bfloat16 they round differently.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from real_size import SHAPES, random_model

from rlkd.student.generate import _library_generate
from rlkd.student.sampling import Sampling


def timed(write: Callable[[], list[list[int]]]) -> tuple[float, float, list[list[int]]]:
    """Seconds, most GPU memory in MiB, and what was written; the GPU has finished."""
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    written = write()
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return seconds, torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0, written


def agreement(one: list[list[int]], other: list[list[int]]) -> float:
    """Share of the tokens before the first difference, mean over rows."""
    same = [
        next((i for i, (a, b) in enumerate(zip(x, y, strict=False)) if a != b), min(len(x), len(y)))
        / min(len(x), len(y))
        for x, y in zip(one, other, strict=True)
    ]
    return sum(same) / len(same)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both, on the same prompts."""
    import torch
    from peft import LoraConfig, get_peft_model

    from rlkd.student.cuda_graph import graphed_generate

    model: Any = random_model(SHAPES[args.shape])
    if args.lora:
        model = get_peft_model(
            model,
            LoraConfig(
                r=args.lora, lora_alpha=2 * args.lora, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(10, 4000, (args.rows, args.prompt), generator=generator).tolist()

    def sampling(tokens: int, temperature: float | None = 1.0) -> Sampling:
        return Sampling(tokens, temperature, 1.0, (10**9,), 0)

    short, rows = args.library_tokens, []
    with torch.inference_mode():
        graphed_generate(model, prompts, sampling(8))  # kernels are chosen and loaded
        for name, tokens, write in (
            ("library", short, _library_generate),
            ("graphed", short, graphed_generate),
            ("graphed", args.tokens, graphed_generate),
        ):
            seconds, memory, _ = timed(
                lambda write=write, tokens=tokens: write(model, prompts, sampling(tokens))
            )  # type: ignore[misc]
            rows.append(
                {
                    "loop": name,
                    "tokens": tokens,
                    "seconds": seconds,
                    "tokens_per_s": args.rows * tokens / seconds,
                    "gpu_mb": memory,
                }
            )
            print(
                f"{name:8} {tokens:5} tokens x {args.rows} rows: {seconds:7.2f} s, {args.rows * tokens / seconds:9.0f} tokens/s, GPU {memory:.0f} MiB",
                flush=True,
            )
        greedy = [
            write(model, prompts[:16], sampling(32, None)) for write in (_library_generate, graphed_generate)
        ]
    found = {
        "rows": rows,
        "faster": rows[1]["tokens_per_s"] / rows[0]["tokens_per_s"],
        "greedy_agreement": agreement(*greedy),
    }
    print(
        f"the graphed loop is {found['faster']:.1f} times as fast at {short} tokens; greedy agreement {found['greedy_agreement']:.3f}"
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen2.5-1.5b")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=192, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--library-tokens", type=int, default=48)
    parser.add_argument("--lora", type=int, default=32, help="rank of adapters; 0 for none")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
