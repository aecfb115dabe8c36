"""Evaluates a model on named benchmarks: rows that are kept as they are made, and the figures over them.

`rlkd evaluate` and the evaluate stage (``evaluate.benchmarks``) both go through :func:`evaluate_benchmark`.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlkd.answers.conventions import OutputFormat
from rlkd.data.benchmarks import evaluated_split
from rlkd.data.sources import open_source
from rlkd.errors import DataError, UserError
from rlkd.evaluation.answers import GRADER, grade_answer, majority_share
from rlkd.evaluation.clusters import clustered_figure, clusters_of
from rlkd.evaluation.parts import Shares, count_lines
from rlkd.evaluation.solvers import Ask, Solver
from rlkd.evaluation.stats import pass_at_k
from rlkd.io import read_rows, sha256_json, sha256_text
from rlkd.pipeline.shards import Shard, known_rows, own_file
from rlkd.rewards.components.standard import VERIFIER_FAILED
from rlkd.user_files import clean_text
from schemas.benchmarks import AnswerRow, BenchmarkFigures, Figure
from schemas.config.data import BenchmarkData
from schemas.config.evaluation import EvaluateConfig, NamedBenchmark
from schemas.problem import Problem, Split
from schemas.rollout import Completion

_GYM_PROBLEMS = 200
"""Problems that are drawn of a reasoning-gym dataset where no number is given."""
ALONE = Shares(0, 1)
"""The share of a process that shares the work with no other."""


@dataclass(frozen=True)
class Benchmark:
    """The problems of a benchmark that are evaluated.

    Attributes:
        name: Its name.
        split: The split that they are of.
        problems: They, in an order that depends on seed and id alone: the first N are a fair draw, and part of the first N + 1.
        notes: What was left out.
    """

    name: str
    split: Split
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def benchmark_data(named: NamedBenchmark, problems: int | None = None) -> BenchmarkData:
    """Makes the data section of a benchmark that is only evaluated."""
    sizes = {"test": problems or _GYM_PROBLEMS, "train": 1, "validation": 0}
    return BenchmarkData.model_validate(
        {"name": named.name, "path": named.path, "sizes": sizes if "/" in named.name else {}}
    )


def load_benchmark(
    named: NamedBenchmark, seed: int, limit: int | None = None, seen: frozenset[str] = frozenset()
) -> Benchmark:
    """Loads the problems of a benchmark that are evaluated.

    Args:
        named: The benchmark.
        seed: Seed of the draw.
        limit: Most problems; ``None`` takes all.
        seen: Questions that the model was trained on (:func:`question_key`): such problems are left out, and counted.

    Raises:
        DataError: There is no such benchmark, it cannot be read, or no problem is left.
    """
    loaded = open_source(benchmark_data(named, limit)).load(seed)
    found = {split: rows for split, rows in loaded.splits.items() if rows}
    if not found:
        raise DataError(f"benchmark {named.name}: no problem could be read; see to its files")
    split = evaluated_split(found)
    notes = [] if split == "test" else [f"it has no test split: {split} is evaluated"]
    if loaded.dropped:
        notes.append(f"{len(loaded.dropped)} malformed rows left out")
    unique = {problem.id: problem for problem in found[split][::-1]}
    if len(unique) < len(found[split]):
        notes.append(f"{len(found[split]) - len(unique)} rows whose id occurs twice left out")
    fresh = [problem for problem in unique.values() if question_key(problem.question) not in seen]
    if len(fresh) < len(unique):
        notes.append(f"{len(unique) - len(fresh)} problems that were trained on left out")
    if not fresh:
        raise DataError(f"benchmark {named.name}: no problem is left ({'; '.join(notes)})")
    drawn = sorted(fresh, key=lambda problem: sha256_text(f"{seed}:{problem.id}"))
    return Benchmark(named.name, split, tuple(drawn[:limit]), tuple(notes))


def question_key(question: str) -> str:
    """A question without case and spaces, by which a problem that was trained on is found again."""
    return sha256_text("".join(question.casefold().split()))


def evaluate_benchmark(
    benchmark: Benchmark,
    solver: Solver,
    settings: EvaluateConfig,
    seed: int,
    path: Path,
    share: Shares = ALONE,
    advance: Callable[[int, int], None] = lambda done, total: None,
    shard: Shard | None = None,
) -> list[AnswerRow]:
    """Answers and scores what has no row yet; returns the rows of this process's share of the problems.

    Args:
        benchmark: The problems.
        solver: The model.
        settings: Samples, temperature, and how many problems are sampled.
        seed: Seed of the sampling.
        path: File that rows are appended to, a batch in one write; a torn last line is made again.
        share: Which of the processes that share the work this one is.
        advance: Called with the answers that are there, and all that there will be.
        shard: Only the batches of this shard, into a file of its own; else rows that shards have made are taken over. Batches are
            whole ones, so that samples are those of a run without shards.

    Raises:
        UserError: The model cannot be asked any more; what was finished is kept.
    """
    rows = {row.key: row for row in known_rows(path, AnswerRow, shard)}
    batches = [
        (
            temperature,
            [(_key(solver, ask, temperature, seed), ask) for ask in asks[start : start + solver.batch]],
        )
        for temperature, asks in _parts(benchmark, settings, share)
        for start in range(0, len(asks), solver.batch)
    ]
    if shard is not None:
        batches = shard.of(batches)
    keys = [key for _, batch in batches for key, _ in batch]
    done = sum(key in rows for key in keys)
    advance(done, len(keys))
    for temperature, batch in batches:
        missing = [(key, ask) for key, ask in batch if key not in rows]
        if not missing:
            continue
        made = _answer(missing, solver, temperature, seed)
        with own_file(path, shard).open("a", encoding="utf-8") as file:
            file.write("".join(row.model_dump_json() + "\n" for row in made))
        rows.update((row.key, row) for row in made)
        done += len(made)
        advance(done, len(keys))
    return [rows[key] for key in keys if key in rows]


def _parts(
    benchmark: Benchmark, settings: EvaluateConfig, share: Shares
) -> list[tuple[float | None, list[Ask]]]:
    """What one process asks: the greedy answers, then the samples, each with its temperature."""
    mine = benchmark.problems[share.rank :: share.world]
    sampled = {problem.id for problem in benchmark.problems[: settings.pass_problems]}
    return [
        (None, [(problem, None) for problem in mine]),
        (settings.temperature, [(p, i) for p in mine if p.id in sampled for i in range(settings.samples)]),
    ]


def count_asks(benchmark: Benchmark, settings: EvaluateConfig, share: Shares) -> int:
    """Counts the answers that one process asks for."""
    return sum(len(asks) for _, asks in _parts(benchmark, settings, share))


def _key(solver: Solver, ask: Ask, temperature: float | None, seed: int) -> str:
    """What an answer is found by. A greedy answer depends on no seed."""
    problem, index = ask
    drawn = [] if index is None else [temperature, seed, index]
    return sha256_json([GRADER, solver.identity, problem.id, problem.question, problem.answer, *drawn])


def _answer(
    batch: Sequence[tuple[str, Ask]], solver: Solver, temperature: float | None, seed: int
) -> list[AnswerRow]:
    """The rows of a batch; a request that failed has none, and is made again by the next call."""
    completions = solver.complete([ask for _, ask in batch], temperature, seed)
    return [
        _row(key, ask, completion, solver.output)
        for (key, ask), completion in zip(batch, completions, strict=True)
        if completion is not None
    ]


def _row(key: str, ask: Ask, completion: Completion, output: OutputFormat) -> AnswerRow:
    problem, index = ask
    graded = grade_answer(problem, completion, output)
    return AnswerRow(
        key=key,
        problem_id=problem.id,
        cluster=clusters_of([problem]).get(problem.id, ""),
        sample=index,
        completion=clean_text(completion.text),
        answer=None if graded.answer is None else clean_text(graded.answer),
        right=graded.right,
        scores=graded.scores,
        strict=graded.strict,
        undecided=graded.undecided,
        tokens=completion.tokens,
        finish_reason=completion.finish_reason,
        asked=completion.tokens > 0 or bool(completion.text),
    )


def benchmark_figures(
    benchmark: Benchmark,
    rows: Sequence[AnswerRow],
    settings: EvaluateConfig,
    model: str = "",
    fault: str = "",
) -> BenchmarkFigures:
    """Computes the figures of one model on one benchmark.

    Args:
        benchmark: The problems.
        rows: The answers of one model to them.
        settings: The k of pass@k, and the coverage of the intervals.
        model: Name of the checkpoint, in a run.
        fault: Why the last request failed that did.

    Raises:
        UserError: No problem was answered.
    """
    rows = [with_undecided_as(row, settings.undecided) for row in rows]
    greedy = _greedy(benchmark, rows, fault)
    sampled: defaultdict[str, list[AnswerRow]] = defaultdict(list)
    for row in rows:
        if row.sample is not None:
            sampled[row.problem_id].append(row)
    groups = list(sampled.values())
    missing = settings.samples * len(benchmark.problems[: settings.pass_problems]) - sum(map(len, groups))

    def figures(groups: Sequence[Sequence[AnswerRow]], kind: str) -> dict[str, Figure]:
        named = dict.fromkeys(name for group in groups for name in group[0].scores)
        return {name: figure for name in named if (figure := _mean(groups, kind, name, settings)) is not None}

    return BenchmarkFigures(
        benchmark=benchmark.name,
        split=benchmark.split,
        model=model,
        problems=len(greedy),
        greedy=figures([[row] for row in greedy], "scores"),
        greedy_strict=figures([[row] for row in greedy], "strict"),
        samples=settings.samples if groups else 0,
        sampled=figures(groups, "scores"),
        sampled_strict=figures(groups, "strict"),
        pass_at=_pass_at(groups, settings),
        majority=_majority(benchmark, groups, settings),
        tokens=sum(row.tokens for row in greedy) / len(greedy),
        truncated=sum(row.finish_reason == "length" and row.asked for row in greedy) / len(greedy),
        no_answer=sum(row.answer is None and row.asked for row in greedy),
        too_long=sum(not row.asked for row in greedy),
        unanswered=len(benchmark.problems) - len(greedy) + missing,
        undecided=dict(Counter(row.undecided for row in rows if row.undecided).most_common()),
        undecided_counts_as=settings.undecided,
        notes=benchmark.notes,
    )


def _majority(
    benchmark: Benchmark, groups: Sequence[Sequence[AnswerRow]], settings: EvaluateConfig
) -> Figure | None:
    """Computes how often the most common of a problem's answers is right; ``None`` without samples."""
    problems = {problem.id: problem for problem in benchmark.problems}
    shares = [majority_share(problems[group[0].problem_id], group) for group in groups]
    clusters = [group[0].cluster for group in groups]
    return clustered_figure(shares, clusters, settings.confidence) if groups else None


def _greedy(benchmark: Benchmark, rows: Sequence[AnswerRow], fault: str) -> list[AnswerRow]:
    """The greedy answers; refuses where there is none."""
    greedy = [row for row in rows if row.sample is None]
    if not greedy:
        why = f" (last fault: {fault})" if fault else ""
        raise UserError(
            f"benchmark {benchmark.name}: none of {len(benchmark.problems)} problems was answered{why}; see to the model or endpoint"
        )
    return greedy


def with_undecided_as(row: AnswerRow, counts_as: str) -> AnswerRow:
    """Returns a row whose undecided answer counts as ``evaluate.undecided`` says; where the verifier failed there is no verdict."""
    if not row.undecided or row.undecided == VERIFIER_FAILED or counts_as == "missing":
        return row
    right = counts_as == "right"
    own = {name: float(right) if value is None else value for name, value in row.scores.items()}
    strict = {name: float(right) if value is None else value for name, value in row.strict.items()}
    return row.model_copy(update={"right": right, "scores": own, "strict": strict})


def _mean(
    groups: Sequence[Sequence[AnswerRow]], kind: str, name: str, settings: EvaluateConfig
) -> Figure | None:
    """The mean over problems of the mean over their answers that have a value; ``None`` where none has."""
    values, clusters = [], []
    for group in groups:
        found = [value for row in group if (value := getattr(row, kind).get(name)) is not None]
        if found:
            values.append(sum(found) / len(found))
            clusters.append(group[0].cluster)
    return clustered_figure(values, clusters, settings.confidence) if values else None


def _pass_at(groups: Sequence[Sequence[AnswerRow]], settings: EvaluateConfig) -> dict[str, Figure]:
    """pass@k over the problems with at least k judged samples."""
    judged = [[row for row in group if row.right is not None] for group in groups]
    found = {}
    for k in sorted({k for k in settings.pass_at if k <= settings.samples}):
        enough = [group for group in judged if len(group) >= k]
        if enough:
            values = [pass_at_k(len(group), sum(row.right is True for row in group), k) for group in enough]
            found[str(k)] = clustered_figure(
                values, [group[0].cluster for group in enough], settings.confidence
            )
    return found


def wait_for_rows(paths: Mapping[Path, int], poll_s: float = 0.5) -> list[AnswerRow]:
    """Reads the rows of all processes' shares; waits until the others have written theirs.

    Args:
        paths: File of each process, with the number of rows that it will have.
        poll_s: Seconds between two looks.
    """
    rows: dict[str, AnswerRow] = {}
    for path, expected in paths.items():
        while count_lines(path) < expected:
            time.sleep(poll_s)
        rows.update((row.key, row) for row in read_rows(path, AnswerRow))
    return list(rows.values())


def named_figures(found: BenchmarkFigures) -> dict[str, float]:
    """Lists the figures of a benchmark by the names that trackers get: ``gsm8k/accuracy``, ``gsm8k/avg_at_8``, ``coqa/f1``."""
    at = f"at_{found.samples}"
    values: dict[str, float] = {}
    for name, figure in found.greedy.items():
        values[name] = figure.mean
        if figure.se is not None:
            values[f"{name}_se"] = figure.se
    values |= {f"{name}_strict": figure.mean for name, figure in found.greedy_strict.items()}
    for name, figure in found.sampled.items():
        values["avg_" + at if name == "accuracy" else f"{name}_avg_{at}"] = figure.mean
    values |= {f"pass_at_{k}": figure.mean for k, figure in found.pass_at.items()}
    if found.majority is not None:
        values["majority_" + at] = found.majority.mean
    values |= {"tokens": found.tokens, "undecided": float(sum(found.undecided.values()))}
    return {f"{found.benchmark}/{name}": value for name, value in values.items()}
