"""What a cell cost, read from what its stages left behind: the reward ledger, the traces, the metrics.

A token costs 2N operations forward and 6N forward and backward, N being the student's weights (Kaplan et al. 2020, arXiv
2001.08361, section 2.1); a completion is sampled once and trained once per iteration, with its prompt. What the teacher
wrote into a group is trained and not sampled, a group that was replaced is sampled and not trained. A teacher model that
scores tokens costs 2 of its own N each, and a student that samples its own traces 2N. That a group shares its prompt,
and attention over long contexts, are left out.
"""

from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkd.data.drawn import Pair, drawn_pairs, training_pairs
from rlkd.errors import StageError
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
        prompt_tokens = _prompt_counter(config, model, count)
        prompts = {p.id: prompt_tokens(p.question) for p, _ in pairs}
        paths = {trace.id: count(trace.path) for _, trace in pairs}
        teacher = sum(paths.values())
        if "warm_start" in folders:
            rows = _metrics(folders["warm_start"])
            epochs = max((float(row["epoch"]) for row in rows if "epoch" in row), default=0.0)
            sft_steps = max((int(row["step"]) for row in rows), default=0)
            sft_tokens = round(epochs * (teacher + sum(prompts[p.id] for p, _ in pairs)))
    bought = _bought(config, folders)
    spent = _Spent(config, weights, _TRAIN * sft_tokens + _FORWARD * sum(bought.tokens), bought.tokens[1])
    points: list[CurvePoint] = []
    trained, steps, judged = sft_tokens, sft_steps, 0
    if "rl" in folders:
        by_step = _ledger(folders["rl"] / "ledger", prompts)
        points = _curve(folders["rl"], by_step, spent.copy())
        for step in by_step.values():
            spent.add(step)
            trained += config.rl.iterations * step.trained
            judged += step.judged
        # What was done, not what was planned: the watch may have stopped it.
        steps += max((int(row["step"]) for row in _metrics(folders["rl"])), default=0)
    return (
        Budget(
            parameters=weights,
            scored=spent.scored,
            judged=judged,
            money=bought.money,
            sampled=spent.sampled,
            trained=trained,
            teacher=teacher,
            steps=steps,
            flops=spent.flops,
            seconds=round(sum(e.seconds for name, e in entries.items() if name not in _FREE), 1),
        ),
        tuple(points),
    )


@dataclass
class _Step:
    """Tokens of one optimiser step: of completions alone, and with their prompts; and the judge's comparisons."""

    sampled: int = 0
    forward: int = 0
    trained: int = 0
    judged: int = 0


@dataclass(frozen=True)
class _Bought:
    """What the traces cost: money, and where the student is the teacher its tokens (prompt, completion) on training problems.

    Held-out problems get traces too, to be compared with in evaluation, which is not counted: with 48 problems to learn from and 800
    held out, RFT was charged 17 times what it learns from.
    """

    money: float = 0.0
    tokens: tuple[int, int] = (0, 0)


def _bought(config: PipelineConfig, folders: Mapping[str, Path]) -> _Bought:
    file = folders["traces"] / "manifest.json" if "traces" in folders else None
    if file is None or not file.is_file():
        return _Bought()
    costs = json.loads(file.read_text(encoding="utf-8")).get("result", {}).get("summary", {}).get("costs", ())
    money = sum(float(row.get("money") or 0.0) for row in costs)
    if not any(teacher.type == "student" for teacher in config.traces.teachers):
        return _Bought(money)
    own = [row for row in costs if str(row.get("teacher", "")).startswith("student")]
    tokens = (
        sum(int(row.get("train_prompt_tokens", row["prompt_tokens"])) for row in own),
        sum(int(row.get("train_completion_tokens", row["completion_tokens"])) for row in own),
    )
    return _Bought(money, tokens)


class _Spent:
    """Tokens sampled and operations so far."""

    def __init__(self, config: PipelineConfig, weights: int | None, units: float, sampled: int) -> None:
        self.config, self.weights, self.units, self.sampled = config, weights, units, sampled
        self.scored = 0
        distil = config.rl.objective.distil
        self.teacher = None if distil is None else _parameters(_local(distil.path))

    def copy(self) -> _Spent:
        """The same, to be counted on from here."""
        return copy.copy(self)

    @property
    def flops(self) -> float | None:
        """Operations; ``None`` where the weights of the student, or of a teacher that scored, are not known."""
        if self.weights is None or (self.scored and self.teacher is None):
            return None
        return float(self.units * self.weights + _FORWARD * self.scored * (self.teacher or 0))

    def add(self, step: _Step) -> None:
        """Adds a step: sampled, trained, and read by the reference model where there is a KL term, or by a teacher."""
        rl = self.config.rl
        reference = _FORWARD if rl.kl > 0 else 0
        self.units += _FORWARD * step.forward + (_TRAIN * rl.iterations + reference) * step.trained
        self.sampled += step.sampled
        self.scored += step.trained if rl.objective.distil is not None else 0


def _curve(folder: Path, by_step: Mapping[int, _Step], spent: _Spent) -> list[CurvePoint]:
    """Validation accuracy against what was spent by then."""
    waiting = sorted(by_step)
    points = []
    for row in sorted(_metrics(folder), key=lambda row: row["step"]):
        while waiting and waiting[0] < row["step"]:  # the ledger counts steps from 0
            spent.add(by_step[waiting.pop(0)])
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


def _ledger(ledger: Path, prompts: Mapping[str, int]) -> dict[int, _Step]:
    """Tokens by step, of the completions of a ledger."""
    import pyarrow.parquet as pq

    found: dict[int, _Step] = {}
    for part in sorted(ledger.glob("part-*.parquet")):
        known = set(pq.read_schema(part).names)
        names = [
            name
            for name in ("step", "problem_id", "tokens", "advantage", "member", "judged")
            if name in known
        ]
        for row in pq.read_table(part, columns=names).to_pylist():
            step = found.setdefault(row["step"], _Step())
            step.judged += row.get("judged") or 0
            whole = row["tokens"] + prompts.get(row["problem_id"], 0)
            if row.get("member") != "teacher":
                step.sampled += row["tokens"]
                step.forward += whole
            if row.get("advantage") is not None:  # else it is of a group that was replaced
                step.trained += whole
    return found


def matching_epochs(flops: float, config: PipelineConfig, entries: Entries) -> float:
    """Computes the epochs of SFT that cost as many operations as something else, at least one.

    Args:
        flops: The operations.
        config: Configuration of a finished run on the same traces.
        entries: Its finished stages.

    Raises:
        StageError: It has no trace, or the student's weights are not known.
    """
    folders = {name: Path(entry.uri) for name, entry in entries.items()}
    model = _model_folder(config, folders)
    weights, count = _parameters(model), _token_counter(model)
    prompt_tokens = _prompt_counter(config, model, count)
    pairs: Sequence[Pair] = ()
    if "warm_start" in folders:
        pairs = drawn_pairs(folders)
    elif "traces" in folders:  # RL without a warm start takes all traces; SFT takes as many as it is told to
        pairs = training_pairs(folders["data"], folders["traces"], config.warm_start.traces, config.seed)
    tokens = sum(prompt_tokens(p.question) + count(trace.path) for p, trace in pairs)
    if not weights or not tokens:
        raise StageError("its operations cannot be told: the student's weights or its traces are not known")
    return max(1.0, round(flops / (_TRAIN * weights * tokens), 2))


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


def _local(path: str) -> Path | None:
    """Folder of a checkpoint; ``None`` for a hub's id."""
    folder = Path(resolve_model_path(os.path.expandvars(path)))
    return folder if folder.is_dir() else None


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


def _prompt_counter(
    config: PipelineConfig, model: Path | None, count: Callable[[str], int]
) -> Callable[[str], int]:
    """Counts the tokens of a question as the student is given it: a chat template and a system message are part of it."""
    student = config.student
    if not student.chat:
        return lambda question: count(student.prompt.replace("{question}", question))
    if model is None or not (model / "tokenizer_config.json").is_file():
        return lambda question: count(f"{student.system} {question}")
    from transformers import AutoTokenizer

    from rlkd.student.prompts import PromptBook

    book = PromptBook(student, AutoTokenizer.from_pretrained(model))
    return lambda question: len(book.encode(question))


def _token_counter(model: Path | None) -> Callable[[str], int]:
    """Counts tokens as the student does; words, where its tokenizer is not at hand."""
    file = None if model is None else model / "tokenizer.json"
    if file is None or not file.is_file():
        return lambda text: len(text.split())
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
