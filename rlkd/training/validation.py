"""Greedy accuracy and structure on a few validation problems while RL trains: a curve that the reward cannot bend."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlkd.errors import DataError
from rlkd.io import iter_rows
from rlkd.pipeline.context import StageContext
from rlkd.rewards.scoring import RewardModel
from rlkd.student.generate import generate_ids
from rlkd.student.prompts import PromptBook
from rlkd.student.sampling import Sampling
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure
from schemas.trace import TeacherTrace

ACCURACY = "validation_accuracy"
STRUCTURE = "validation_structure"
TRUNCATED = "validation_truncated"
Score = Callable[[RewardModel, Sequence[Completion]], list[RewardRecord]]


@dataclass(frozen=True)
class Validation:
    """Problems that are asked now and then, always the same ones, always greedily.

    Attributes:
        problems: The problems.
        prompts: Their prompts as token ids.
        model: Scores completions.
        every: Optimiser steps between evaluations.
        batch_size: Completions generated at once.
        whole: Makes the whole completion of a sampled text: puts back what the prompt has opened.
    """

    problems: Sequence[Problem]
    prompts: Sequence[Sequence[int]]
    model: RewardModel
    every: int
    batch_size: int
    whole: Callable[[str], str] = str

    def due(self, step: int, total: int) -> bool:
        """Whether the student is evaluated after a step: at the start, every so often, and at the end."""
        return step % self.every == 0 or step == total

    def ask(
        self, student: Any, tokenizer: Any, sampling: Sampling, score: Score, share: slice
    ) -> list[RewardRecord]:
        """What the student writes now, scored. No random number is drawn.

        Args:
            student: A causal LM (unwrapped), on its device.
            tokenizer: Its tokenizer.
            sampling: Greedy.
            score: Runs the reward model.
            share: The problems that this process asks.
        """
        problems, prompts = self.problems[share], self.prompts[share]
        ids: list[list[int]] = []
        for start in range(0, len(prompts), self.batch_size):
            ids += generate_ids(student, prompts[start : start + self.batch_size], sampling)
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        rows = [
            Completion(
                problem_id=problem.id,
                text=self.whole(text),
                tokens=len(own),
                finish_reason="stop" if own and own[-1] in sampling.eos_ids else "length",
            )
            for problem, text, own in zip(problems, texts, ids, strict=True)
        ]
        return score(self.model, rows) if rows else []


def make_validation(
    ctx: StageContext, book: PromptBook, model: RewardModel, boundary: int
) -> Validation | None:
    """What the student is asked now and then; ``None`` where the configuration asks nothing.

    Args:
        ctx: The stage's context.
        book: Renders prompts.
        model: Scores training completions; its scorer and weights are used.
        boundary: Optimiser steps that a round of samples serves: the student is evaluated only where a checkpoint can be saved.

    Raises:
        DataError: The best checkpoint is asked for, and there is no validation problem to tell it by.
    """
    config = ctx.config.rl
    if config.eval_every is None:
        return None
    rows = list(iter_rows(ctx.inputs["data"] / "validation.jsonl", Problem))
    problems = choose_validation(book, rows, config.eval_problems, ctx.config.seed)
    if not problems:
        if config.keep == "best":
            raise DataError(
                "rl.keep is best, but no validation problem has a prompt within student.max_prompt_tokens to tell the best by; "
                "set data.sizes.validation (or data.world.n_validation), or rl.keep=last"
            )
        ctx.events.message("rl.eval_every is set, but there is no validation problem to evaluate on")
        return None
    teachers: dict[str, list[Structure]] = {problem.id: [] for problem in problems}
    for structure in iter_rows(ctx.inputs["structures"] / "structures.jsonl", Structure):
        if structure.problem_id in teachers and structure.steps:
            teachers[structure.problem_id].append(structure)
    paths: dict[str, list[str]] = {problem.id: [] for problem in problems}
    for trace in iter_rows(ctx.inputs["traces"] / "accepted.jsonl", TeacherTrace):
        if trace.problem_id in paths:
            paths[trace.problem_id].append(trace.path)
    return Validation(
        problems,
        [book.encode(problem.question) for problem in problems],
        replace(
            model, problems={problem.id: problem for problem in problems}, teachers=teachers, paths=paths
        ),
        every=math.ceil(config.eval_every / boundary) * boundary,
        batch_size=ctx.config.evaluate.batch_size,
        whole=book.whole,
    )


def choose_validation(book: PromptBook, problems: Sequence[Problem], count: int, seed: int) -> list[Problem]:
    """At most ``count`` problems whose prompts fit, drawn by seed, in the order of the split."""
    fit = [i for i, problem in enumerate(problems) if book.fits(book.encode(problem.question))]
    drawn = random.Random(f"validation/{seed}").sample(fit, min(count, len(fit)))
    return [problems[i] for i in sorted(drawn)]


def figures(records: Sequence[RewardRecord]) -> dict[str, float]:
    """Accuracy and mean structure over what could be scored, and the share at the length limit; without values none."""
    found = {
        ACCURACY: [float(record.outcome >= 1.0) for record in records if record.outcome is not None],
        STRUCTURE: [record.structure for record in records if record.structure is not None],
        TRUNCATED: [float(record.finish_reason == "length") for record in records],
    }
    return {name: math.fsum(values) / len(values) for name, values in found.items() if values}


def best_step(rows: Sequence[Mapping[str, float]]) -> int | None:
    """The step after which the student was best on validation: by accuracy, then structure; the earliest of equals.

    The student that RL started from (step 0) is not meant. ``None`` where nothing was evaluated.
    """
    evaluated = [row for row in rows if row["step"] > 0 and ACCURACY in row]
    if not evaluated:
        return None
    best = max(evaluated, key=lambda row: (row[ACCURACY], row.get(STRUCTURE, 0.0), -row["step"]))
    return int(best["step"])
