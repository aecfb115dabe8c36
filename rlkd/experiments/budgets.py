"""What a cell cost, read from what its stages left behind: the reward ledger, the traces, the metrics.

A token costs 2N operations forward and 6N forward and backward, N being the student's weights (Kaplan et al. 2020, arXiv
2001.08361, section 2.1); a completion is sampled once and trained once per iteration, with its prompt. That a group
shares its prompt, and attention over long contexts, are left out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlkd.data.drawn import drawn_pairs
from rlkd.student.checkpoints import resolve_model_path
from schemas.artifact import StageEntry
from schemas.config.pipeline import PipelineConfig
from schemas.experiment import Budget, CurvePoint

Entries = Mapping[str, StageEntry]
_FORWARD, _TRAIN = 2, 6
_FREE = ("evaluate", "report")
"""Stages that every method pays alike and that teach the student nothing."""


def read_costs(config: PipelineConfig, entries: Entries) -> tuple[Budget, tuple[CurvePoint, ...]]:
    """Reads a finished cell's budget and its validation curve.

    Args:
        config: Its configuration.
        entries: Its finished stages by name.
    """
    folders = {name: Path(entry.uri) for name, entry in entries.items()}
    model = _model_folder(config, folders)
    count = _token_counter(model)
    weights = _parameters(model)
    prompts: dict[str, int] = {}
    sft_tokens = sft_steps = teacher = 0
    if "traces" in folders and ("warm_start" in folders or "rl" in folders):
        pairs = drawn_pairs(folders)
        form = "{question}" if config.student.chat else config.student.prompt
        prompts = {p.id: count(form.replace("{question}", p.question)) for p, _ in pairs}
        paths = {trace.id: count(trace.path) for _, trace in pairs}
        teacher = sum(paths.values())
        if "warm_start" in folders:
            rows = _metrics(folders["warm_start"])
            epochs = max((float(row["epoch"]) for row in rows if "epoch" in row), default=0.0)
            sft_steps = max((int(row["step"]) for row in rows), default=0)
            sft_tokens = round(epochs * (teacher + sum(prompts[p.id] for p, _ in pairs)))
    spent = _Spent(weights, _TRAIN * sft_tokens)
    points: list[CurvePoint] = []
    trained, steps = sft_tokens, sft_steps
    if "rl" in folders:
        by_step = _sampled(folders["rl"] / "ledger", prompts)
        points = _curve(config, folders["rl"], by_step, spent)
        prompted = sum(prompt for _, prompt in by_step.values())
        trained += config.rl.iterations * (sum(tokens for tokens, _ in by_step.values()) + prompted)
        steps += config.rl.steps
        for tokens, prompt in by_step.values():
            spent.add(config, tokens, prompt)
    return (
        Budget(
            parameters=weights,
            sampled=spent.sampled,
            trained=trained,
            teacher=teacher,
            steps=steps,
            flops=spent.flops,
            seconds=round(sum(e.seconds for name, e in entries.items() if name not in _FREE), 1),
        ),
        tuple(points),
    )


class _Spent:
    """Tokens sampled and operations (in units of N) so far."""

    def __init__(self, weights: int | None, units: float) -> None:
        self.weights, self.units, self.sampled = weights, units, 0

    @property
    def flops(self) -> float | None:
        return None if self.weights is None else float(self.units * self.weights)

    def add(self, config: PipelineConfig, tokens: int, prompt: int) -> None:
        """One step's completions: sampled, trained, and read by the reference model where there is a KL term."""
        reference = _FORWARD if config.rl.kl > 0 else 0
        self.units += (_FORWARD + _TRAIN * config.rl.iterations + reference) * (tokens + prompt)
        self.sampled += tokens


def _curve(
    config: PipelineConfig, folder: Path, by_step: Mapping[int, tuple[int, int]], start: _Spent
) -> list[CurvePoint]:
    """Validation accuracy against what was spent by then."""
    spent = _Spent(start.weights, start.units)
    waiting = sorted(by_step)
    points = []
    for row in sorted(_metrics(folder), key=lambda row: row["step"]):
        while waiting and waiting[0] < row["step"]:  # the ledger counts steps from 0
            spent.add(config, *by_step[waiting.pop(0)])
        if row.get("validation_accuracy") is not None:
            points.append(
                CurvePoint(
                    step=int(row["step"]),
                    sampled=spent.sampled,
                    flops=spent.flops,
                    accuracy=float(row["validation_accuracy"]),
                    structure=row.get("validation_structure"),
                )
            )
    return points


def _sampled(ledger: Path, prompts: Mapping[str, int]) -> dict[int, tuple[int, int]]:
    """Tokens of completions and of their prompts, by step."""
    import pyarrow.parquet as pq

    found: dict[int, tuple[int, int]] = {}
    for part in sorted(ledger.glob("part-*.parquet")):
        table = pq.read_table(part, columns=["step", "problem_id", "tokens"]).to_pydict()
        for step, problem, tokens in zip(
            *(table[name] for name in ("step", "problem_id", "tokens")), strict=True
        ):
            done, prompt = found.get(step, (0, 0))
            found[step] = done + tokens, prompt + prompts.get(problem, 0)
    return found


def _metrics(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _model_folder(config: PipelineConfig, folders: Mapping[str, Path]) -> Path | None:
    """Folder of the student that a cell ends with; of one that it never trained, where it came from."""
    for name in ("rl", "warm_start"):
        if name in folders and (folders[name] / "model").is_dir():
            return folders[name] / "model"
    if config.student.model.type == "checkpoint":
        path = Path(resolve_model_path(config.student.model.path))
        return path if path.is_dir() else None
    return None


def _parameters(model: Path | None) -> int | None:
    """Weights of a checkpoint, from the headers of its files; ``None`` where they do not hold all (an adapter, a hub's id)."""
    if model is None or (model / "adapter_config.json").exists():
        return None
    total = 0
    for file in sorted(model.glob("*.safetensors")):
        with file.open("rb") as opened:
            (size,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(size))
        for name, tensor in header.items():
            if name != "__metadata__":
                product = 1
                for length in tensor["shape"]:
                    product *= length
                total += product
    return total or None


def _token_counter(model: Path | None) -> Callable[[str], int]:
    """Counts tokens as the student does; words, where its tokenizer is not at hand."""
    file = None if model is None else model / "tokenizer.json"
    if file is None or not file.is_file():
        return lambda text: len(text.split())
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
