"""How fast students write: this project's loops beside every fast way of the library, on the same prompts, in one run.

Usage: ``python benchmarks/generation.py [--shape demo|tiny|smollm2-135m|qwen2.5-0.5b|qwen2.5-1.5b] [--prompts 16] [--group 8]
[--prompt 64] [--tokens 64] [--rounds 2] [--lora 0] [--only NAME]... [--json FILE]``

Random weights; nothing ends before the length limit, which is the library's best case (our loop for the CPU drops rows that
have ended, the library computes them to the end). Groups of equal prompts, as RL samples them. The ways are interleaved:
each round runs all of them, so that other work on the machine falls on all alike, and the ratios are taken within a round.
A way's first run (compilation, kernels) is reported apart. A way that fails on this machine says why.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from real_size import SHAPES, random_model

from rlkd.student.generate import generate_ids, graph_supported, lean_supported, library_generate
from rlkd.student.sampling import Sampling

Write = Callable[[list[list[int]], Sampling], list[list[int]]]


def library(model: Any, **settings: Any) -> Write:
    """The library's generate with a cache of its own choice."""
    return lambda prompts, sampling: library_generate(model, prompts, sampling, **settings)


def compiled(model: Any) -> Write:
    """The library's static cache with a compiled step, which it does by itself on a GPU and on the CPU when told to."""
    from transformers import CompileConfig

    config = CompileConfig(mode="default", fullgraph=False)
    config._compile_all_devices = True
    return library(model, cache_implementation="static", disable_compile=False, compile_config=config)


def continuous(model: Any) -> Write:
    """The library's continuous batching, which TRL offers as ``use_transformers_continuous_batching``."""

    def write(prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        settings = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=sampling.temperature is not None,
            temperature=sampling.temperature or 1.0,
            top_k=0,
            eos_token_id=list(sampling.eos_ids),
            pad_token_id=sampling.pad_id,
        )
        length = max(map(len, prompts)) + sampling.max_new_tokens
        batching = ContinuousBatchingConfig(
            block_size=32,
            num_blocks=None if next(model.parameters()).is_cuda else len(prompts) * (length // 32 + 2),
            max_batch_tokens=None if next(model.parameters()).is_cuda else len(prompts) * 8,
        )
        found = model.generate_batch(
            prompts, generation_config=settings, continuous_batching_config=batching, progress_bar=False
        )
        written = [result.generated_tokens for result in found.values()]
        if len(written) != len(prompts) or not all(written):
            raise RuntimeError(f"{sum(map(bool, written))} of {len(prompts)} completions came back")
        return written

    return write


def ways(model: Any) -> dict[str, Write]:
    """Every way to sample, by name; ours first."""
    import torch

    ours: dict[str, Write] = {}
    if lean_supported(model) or graph_supported(model):
        ours["ours"] = lambda prompts, sampling: generate_ids(model, prompts, sampling)
    found = {
        **ours,
        "dynamic cache": library(model),
        "static cache": library(model, cache_implementation="static"),
        "static, compiled": compiled(model),
        "continuous batching": continuous(model),
    }
    if not ours and not torch.cuda.is_available():
        from rlkd.student.cpu_loop import lean_generate

        found = {"lean": lambda prompts, sampling: lean_generate(model, prompts, sampling), **found}
    return found


def timed(write: Write, prompts: list[list[int]], sampling: Sampling) -> tuple[float, float]:
    """Seconds, and most GPU memory in MiB; the GPU has finished."""
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    with (
        torch.no_grad()
    ):  # the continuous batches write into tensors from another thread, which inference mode refuses
        write(prompts, sampling)
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0


def make_model(args: argparse.Namespace) -> Any:
    """Random weights of a shape; with adapters where they are asked for."""
    import torch

    if args.shape == "demo":
        from rlkd.demo.tiny_model import build_model, build_tokenizer
        from schemas.config.pretrain import TinyModelSettings

        model: Any = build_model(TinyModelSettings(), build_tokenizer(), 0)
    elif args.shape.startswith("smollm2"):
        from transformers import LlamaConfig, LlamaForCausalLM

        model = LlamaForCausalLM(LlamaConfig(**SHAPES[args.shape], tie_word_embeddings=True))
        if torch.cuda.is_available():
            model = model.to("cuda", torch.bfloat16)
    else:
        model = random_model(SHAPES[args.shape])
        if not torch.cuda.is_available():
            model = model.float()  # CPUs without such instructions multiply 200 times slower in bfloat16
    if args.lora:
        from peft import LoraConfig, get_peft_model

        adapters = LoraConfig(
            r=args.lora, lora_alpha=2 * args.lora, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, adapters)
    return model.eval()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All ways on the same prompts, round after round."""
    import torch

    torch.set_num_threads(args.threads)
    model = make_model(args)
    high = model.config.get_text_config().vocab_size
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, high, (args.prompts, args.prompt), generator=generator).tolist()
    grouped = [ids for ids in prompts for _ in range(args.group)]
    sampling = Sampling(args.tokens, 1.0, 1.0, (10**9,), 0)
    runs: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    faults: dict[str, str] = {}
    memory: dict[str, float] = {}
    for number in range(args.rounds + 1):
        for name, write in ways(model).items():
            if name in faults or (args.only and name not in args.only):
                continue
            try:
                seconds, memory[name] = timed(write, grouped, sampling)
            except Exception as error:
                faults[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[
                    :160
                ]
                continue
            if number:
                runs.setdefault(name, []).append(seconds)
            else:
                first[name] = seconds
    return table(args, runs, first, memory, faults)


def table(
    args: argparse.Namespace,
    runs: dict[str, list[float]],
    first: dict[str, float],
    memory: dict[str, float],
    faults: dict[str, str],
) -> dict[str, Any]:
    """Prints and returns tokens per second, and how much longer than the first way each takes (median over rounds)."""
    tokens = args.prompts * args.group * args.tokens
    base = next(iter(runs))
    rows = []
    for name, seconds in runs.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, runs[base], strict=True))
        rows.append(
            {
                "way": name,
                "first_s": first[name],
                "seconds": statistics.median(seconds),
                "tokens_per_s": tokens / statistics.median(seconds),
                "times_as_long": ratio,
                "gpu_mb": memory[name],
            }
        )
        print(
            f"{name:20} first {first[name]:7.2f} s, then {rows[-1]['seconds']:7.2f} s, {rows[-1]['tokens_per_s']:9.0f} tokens/s, "
            f"{ratio:5.2f} times as long as {base}, GPU {memory[name]:.0f} MiB"
        )
    for name, fault in faults.items():
        print(f"{name:20} fails here: {fault}")
    return {"settings": {k: str(v) for k, v in vars(args).items()}, "rows": rows, "faults": faults}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=["demo", *sorted(SHAPES)], default="demo")
    parser.add_argument("--prompts", type=int, default=16, help="different prompts")
    parser.add_argument("--group", type=int, default=8, help="completions of each prompt")
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of a completion")
    parser.add_argument(
        "--rounds", type=int, default=2, help="rounds after the first, which is reported apart"
    )
    parser.add_argument("--lora", type=int, default=0, help="rank of adapters; 0 for none")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--only", action="append", default=[], help="ways to run")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
