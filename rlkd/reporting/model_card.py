"""The model card of an exported student: what it learned from, how, how well, under which licences, and how to run it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rlkd.data.benchmarks import benchmark_names, find_benchmark
from rlkd.reporting.benchmarks import BENCHMARK_COLUMNS, BENCHMARKS_NOTE, benchmark_rows
from rlkd.reporting.labels import CHECKPOINT_LABELS, SPLIT_LABELS, interval, intervals_note
from rlkd.reporting.markdown import cell, table
from schemas.config.data import BenchmarkData, DataConfig, FileData, HubData, single_sources
from schemas.config.pipeline import PipelineConfig
from schemas.config.student import CheckpointModel
from schemas.config.traces import EndpointTeacher, LocalTeacher
from schemas.evaluation import EvalReport

_OWN = {"builtin:demo-base": "apache-2.0", "builtin:smollm2-135m": "apache-2.0"}
"""Licences of the students that are built in."""


def model_card(
    name: str, checkpoint: str, config: PipelineConfig, evaluation: EvalReport | None, folder: str
) -> str:
    """Writes the card (README.md) of a student.

    Args:
        name: Its name.
        checkpoint: Which of a run's checkpoints it is: base, warm_start or rlkd.
        config: The configuration of its run.
        evaluation: What the run measured; ``None`` where it did not.
        folder: The folder that it is exported to, for the commands.
    """
    base = config.student.model.path if isinstance(config.student.model, CheckpointModel) else ""
    return (
        "\n\n".join(
            part
            for part in (
                _front_matter(config, base),
                f"# {cell(name)}",
                cell(config.description),
                f"A causal language model, {_what(checkpoint, base)}. Made with rlkd (RLKD, arXiv 2505.16142).",
                "## Data and teacher",
                _data(config),
                "## Method",
                _method(checkpoint, config),
                "## Evaluation",
                _evaluation(checkpoint, evaluation),
                "## Licences",
                _licences(config, base),
                "## Use",
                _use(config, folder),
            )
            if part
        )
        + "\n"
    )


def _front_matter(config: PipelineConfig, base: str) -> str:
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"license: {_OWN.get(base, 'other')}",
    ]
    if base and not base.startswith("builtin:"):
        lines.append(f"base_model: {json.dumps(base)}")
    datasets = [data.dataset for data in single_sources(config.data).values() if isinstance(data, HubData)]
    if datasets:
        lines.append(f"datasets: {json.dumps(datasets)}")
    return "\n".join([*lines, "tags: [rlkd, distillation, grpo]", "---"])


def _what(checkpoint: str, base: str) -> str:
    from_what = f"from {base}" if base else "from random weights"
    return {
        "base": f"{from_what}, before any training",
        "warm_start": f"{from_what}, fine-tuned on a teacher's reasoning paths",
        "rlkd": f"{from_what}, trained by reinforcement learning with a structure reward",
    }[checkpoint]


def _where(data: DataConfig) -> str:
    return {
        "benchmark": f"benchmark {data.name}" if isinstance(data, BenchmarkData) else "",
        "hub": f"dataset {data.dataset}" if isinstance(data, HubData) else "",
        "file": f"file {data.path}" if isinstance(data, FileData) else "",
        "world": "the built-in world of rlkd",
    }.get(data.type) or data.type


def _data(config: PipelineConfig) -> str:
    where = ", ".join(_where(data) for data in single_sources(config.data).values())
    teachers = [
        f"{t.endpoint.model} behind an endpoint"
        if isinstance(t, EndpointTeacher)
        else f"{t.endpoint.path} (local)"
        if isinstance(t, LocalTeacher)
        else {"column": "paths that came with the data", "world": "the world's solver", "none": "none"}.get(
            t.type, t.type
        )
        for t in config.traces.teachers
    ]
    return f"- Problems: {cell(where)}.\n- Teacher: {cell('; '.join(teachers))}. Only traces with a verified answer teach."


def _method(checkpoint: str, config: PipelineConfig) -> str:
    lines = []
    if checkpoint != "base" and config.warm_start.enabled:
        warm = config.warm_start
        lines.append(
            f"- Warm start: SFT on {warm.traces or 'all'} accepted traces, at most {warm.max_epochs:g} epochs, learning rate "
            f"{warm.optimizer.learning_rate:g}."
        )
    if checkpoint == "rlkd":
        rl, rewards = config.rl, config.rewards
        lines.append(
            f"- RL: GRPO ({rl.loss}), {rl.steps} steps of {rl.prompts_per_step} problems x {rl.group_size} completions, learning rate "
            f"{rl.optimizer.learning_rate:g}, temperature {rl.temperature:g}, KL weight {rl.kl:g}."
        )
        lines.append(
            f"- Reward: structure against outcome at alpha = {rewards.alpha:g}, format {rewards.format:g}; decomposer "
            f"{config.structures.decomposer.type}, judge {config.structures.judge.type}, alignment {config.structures.alignment.type}."
        )
    if config.student.lora is not None and checkpoint != "base":
        lines.append(f"- LoRA of rank {config.student.lora.rank}, merged into the weights.")
    return "\n".join([*lines, f"- Seed {config.seed}; weights in {config.student.dtype}."])


def _evaluation(checkpoint: str, evaluation: EvalReport | None) -> str:
    if evaluation is None:
        return "Not evaluated by its run. `rlkd evaluate` does it on benchmarks by name."
    parts: list[str] = []
    rows: list[Sequence[str]] = [
        (
            SPLIT_LABELS[m.split],
            CHECKPOINT_LABELS[m.checkpoint] + (" (this one)" if m.checkpoint == checkpoint else ""),
            str(m.overall.accuracy.n),
            interval(m.overall.accuracy),
            interval(m.overall.structure, as_percent=False),
        )
        for m in evaluation.checkpoints
    ]
    if rows:
        said = f"Greedy answers to held-out problems, {intervals_note(evaluation)}."
        parts += [said, table(("Problems", "Checkpoint", "n", "Accuracy", "Structure"), rows, left=2)]
    if evaluation.benchmarks:
        parts += [BENCHMARKS_NOTE, table(BENCHMARK_COLUMNS, benchmark_rows(evaluation), left=2)]
    return "\n\n".join(parts)


def _licences(config: PipelineConfig, base: str) -> str:
    named = [b.name for b in config.evaluate.named_benchmarks]
    used = [data.name for data in single_sources(config.data).values() if isinstance(data, BenchmarkData)]
    named = list(dict.fromkeys([*used, *named]))
    known = [f"{name}: {find_benchmark(name).licence}" for name in named if name in benchmark_names()]
    model = (
        f"- Base model {base}: {_OWN.get(base, 'its own licence, which binds this model too')}."
        if base
        else ""
    )
    if any(isinstance(t, EndpointTeacher) for t in config.traces.teachers):
        known.append("the teacher's terms of use may bind models that learned from its answers")
    return "\n".join(
        [line for line in (model, f"- Data: {'; '.join(known) or 'see where the data comes from'}.") if line]
    )


def _use(config: PipelineConfig, folder: str) -> str:
    student = config.student
    asked = (
        "the chat template"
        if student.chat
        else f"the prompt {json.dumps(student.prompt)}, which its chat template writes too"
    )
    system = (
        f" It was trained with this text {'as the system message' if student.system_role == 'system' else 'at the top of the question'}: "
        f"{json.dumps(student.system)}."
        if student.chat and student.system
        else ""
    )
    return "\n\n".join(
        [
            f"It is asked by {asked}, and states its answer as `{student.output}` (`student.json` holds all settings).{system}",
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f"model = AutoModelForCausalLM.from_pretrained({json.dumps(folder)})\n"
            f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(folder)})\n```",
            f"```sh\ntransformers serve {folder}      # OpenAI-compatible\nvllm serve {folder}\nrlkd evaluate {folder} --on gsm8k\n```",
        ]
    )
