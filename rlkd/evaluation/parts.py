"""One part of an evaluation: a checkpoint on a split, chunk by chunk, so that a killed run goes on where it was."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rlkd.evaluation.solvers import Solver
from rlkd.io import read_rows, recover_rows, sha256_text, write_rows
from rlkd.pipeline.shards import Shard, known_rows, own_file
from schemas.config.evaluation import EvaluateConfig
from schemas.evaluation import CheckpointName, EvalSplit, ProblemOutput, SampleStep
from schemas.problem import Problem
from schemas.rollout import Completion


@dataclass(frozen=True)
class Grade:
    """The scores of one completion.

    Attributes:
        answer: The answer that it states; ``None`` where none could be read.
        correct: Whether that is the reference answer; ``None`` where the verifier failed.
        format: Format score in [0, 1].
        structure: Structure score in [0, 1]; ``None`` where it is missing.
        undecided: Why nobody can say whether the answer is right; empty where that is known.
        f1: Word F1 in [0, 1] where the problem's benchmark is scored by it.
        own_answer: Whether the answer is what the completion's own path finds; ``None`` where that is not known.
    """

    answer: str | None
    correct: bool | None
    format: float
    structure: float | None
    undecided: str = ""
    f1: float | None = None
    own_answer: bool | None = None


@dataclass(frozen=True)
class PathComparison:
    """Student paths beside one teacher path: the steps of each, and which belong together.

    Attributes:
        teacher_path: The teacher's path; empty where there is none.
        teacher_steps: Its steps; their partners are steps of the last student path.
        student_steps: The steps of each student path, in order.
    """

    teacher_path: str
    teacher_steps: tuple[SampleStep, ...]
    student_steps: tuple[tuple[SampleStep, ...], ...]


class Examiner(Protocol):
    """What an evaluation needs of the outside: a student that answers, and scores of its answers."""

    def open(self, checkpoint: CheckpointName) -> None:
        """Loads a checkpoint, in place of the one before."""

    def complete(self, problems: Sequence[Problem], temperature: float | None, seed: int) -> list[Completion]:
        """Samples one completion per problem, in order; greedy where ``temperature`` is ``None``."""

    def grade(self, problems: Sequence[Problem], completions: Sequence[Completion]) -> list[Grade]:
        """Scores completions by everything that is evaluated, in order."""

    def right(
        self, problems: Sequence[Problem], completions: Sequence[Completion]
    ) -> list[tuple[bool | None, str]]:
        """Tells whether each completion's answer counts as right, in order; ``None`` has no verdict. And why it is undecided."""

    def solver(self, checkpoint: CheckpointName) -> Solver:
        """Makes a model of a checkpoint that answers benchmarks, in place of the one that was open."""

    def compare(self, problem: Problem, texts: Sequence[str]) -> PathComparison:
        """Shows completions of a problem beside the teacher's path that the last one follows best, for showing."""


@dataclass(frozen=True)
class Shares:
    """This process among those that share the work (``RANK`` and ``WORLD_SIZE``, as launchers set them)."""

    rank: int
    world: int

    @property
    def first(self) -> bool:
        """Whether it is the process that collects and writes."""
        return self.rank == 0


def shares() -> Shares:
    """Tells which of the processes this one is."""
    return Shares(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@dataclass(frozen=True)
class Part:
    """One checkpoint on one split, or one process's share of it.

    Attributes:
        checkpoint: The checkpoint.
        split: The split.
        problems: Its problems.
        sampled: Ids of the problems that are sampled for pass@k.
        path: File that its rows are appended to while it is unfinished.
    """

    checkpoint: CheckpointName
    split: EvalSplit
    problems: tuple[Problem, ...]
    sampled: frozenset[str]
    path: Path

    def finished(self, chunk: int) -> list[ProblemOutput]:
        """Reads the rows of whole chunks that an earlier attempt left.

        A chunk that was cut off is done again as a whole, so that batches, and with them the samples, are
        the same as in an uninterrupted run.
        """
        rows = recover_rows(self.path, ProblemOutput)
        whole = len(rows) if len(rows) == len(self.problems) else len(rows) // chunk * chunk
        if whole != len(rows):
            write_rows(self.path, rows[:whole])
        return rows[:whole]


def run_part(
    part: Part,
    examiner: Examiner,
    settings: EvaluateConfig,
    seed: int,
    advance: Callable[[int], None] = lambda done: None,
    shard: Shard | None = None,
) -> list[ProblemOutput]:
    """Completes and scores the problems of a part that have no row yet; returns the rows of all.

    Args:
        part: The part.
        examiner: The student and the scores. Its checkpoint is opened only when there is something to do.
        settings: The evaluation's settings.
        seed: The run's seed.
        advance: Called with the number of problems finished since the last call.
        shard: Only the chunks of this shard, into a file of its own; else chunks that shards have made are taken over.
    """
    known = {row.problem_id: row for row in known_rows(part.path, ProblemOutput, shard)}
    if shard is not None:
        return _run_shard(part, examiner, settings, seed, advance, shard, known)
    rows = part.finished(settings.batch_size)
    advance(len(rows))
    if len(rows) == len(part.problems):
        return rows
    opened = False
    while len(rows) < len(part.problems):
        problems = part.problems[len(rows) : len(rows) + settings.batch_size]
        if all(problem.id in known for problem in problems):
            made = [known[problem.id] for problem in problems]
        else:
            if not opened:
                examiner.open(part.checkpoint)
                opened = True
            made = _run_chunk(part, problems, examiner, settings, _chunk_seed(part, len(rows), seed))
        with part.path.open("a", encoding="utf-8") as file:
            file.write("".join(row.model_dump_json() + "\n" for row in made))
        rows.extend(made)
        advance(len(made))
    return rows


def _run_shard(
    part: Part,
    examiner: Examiner,
    settings: EvaluateConfig,
    seed: int,
    advance: Callable[[int], None],
    shard: Shard,
    known: Mapping[str, ProblemOutput],
) -> list[ProblemOutput]:
    """Makes a shard's chunks: whole ones, so that batches and seeds are those of a run without shards."""
    made: list[ProblemOutput] = []
    opened = False
    for start in shard.of(range(0, len(part.problems), settings.batch_size)):
        problems = part.problems[start : start + settings.batch_size]
        if not all(problem.id in known for problem in problems):
            if not opened:
                examiner.open(part.checkpoint)
                opened = True
            rows = _run_chunk(part, problems, examiner, settings, _chunk_seed(part, start, seed))
            with own_file(part.path, shard).open("a", encoding="utf-8") as file:
                file.write("".join(row.model_dump_json() + "\n" for row in rows))
            made += rows
        advance(len(problems))
    return made


def gather_parts(parts: Sequence[Part], poll_s: float = 0.5) -> dict[str, ProblemOutput]:
    """Gathers the rows of all processes' shares by problem id; waits until the others have finished theirs.

    Through the files, not through a process group: the launcher ends every process when one fails, and no
    collective's time-out limits how unequal the shares may be.
    """
    rows: dict[str, ProblemOutput] = {}
    for part in parts:
        if not part.problems:
            continue
        while count_lines(part.path) < len(part.problems):
            time.sleep(poll_s)
        rows.update((row.problem_id, row) for row in read_rows(part.path, ProblemOutput))
    return rows


def count_lines(path: Path) -> int:
    """Counts the whole lines of a file; 0 where it is not there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _run_chunk(
    part: Part, problems: Sequence[Problem], examiner: Examiner, settings: EvaluateConfig, seed: int
) -> list[ProblemOutput]:
    greedy = examiner.complete(problems, None, seed)
    grades = examiner.grade(problems, greedy)
    sampled = [problem for problem in problems if problem.id in part.sampled]
    # The samples of one problem lie side by side: as many rows per problem as samples.
    asked = [problem for problem in sampled for _ in range(settings.samples)]
    verdicts: dict[str, list[bool]] = {problem.id: [] for problem in sampled}
    undecided: Counter[str] = Counter()
    if asked:
        for problem, (right, why) in zip(
            asked, examiner.right(asked, examiner.complete(asked, settings.temperature, seed)), strict=True
        ):
            if right is not None:
                verdicts[problem.id].append(right)
            undecided[problem.id] += bool(why)
    return [
        ProblemOutput(
            checkpoint=part.checkpoint,
            split=part.split,
            problem_id=problem.id,
            domain=problem.domain,
            difficulty=problem.difficulty,
            completion=completion.text,
            answer=grade.answer,
            correct=grade.correct,
            undecided=grade.undecided,
            f1=grade.f1,
            own_answer=grade.own_answer,
            structure=grade.structure,
            format=grade.format,
            tokens=completion.tokens,
            finish_reason=completion.finish_reason,
            samples=len(verdicts.get(problem.id, ())),
            correct_samples=sum(verdicts.get(problem.id, ())),
            undecided_samples=undecided[problem.id],
        )
        for problem, completion, grade in zip(problems, greedy, grades, strict=True)
    ]


def _chunk_seed(part: Part, start: int, seed: int) -> int:
    """A seed of its own for each chunk; the same for every checkpoint, so that luck is shared."""
    first = part.problems[start].id
    return int(sha256_text(f"evaluate/{seed}/{part.split}/{start}/{first}")[:8], 16)
