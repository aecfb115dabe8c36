"""The evaluate stage: every checkpoint on every held-out problem."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import closing

from rlkd.errors import ConfigError, DataError, MissingScoreError
from rlkd.evaluation.benchmarks import (
    Benchmark,
    benchmark_figures,
    count_asks,
    evaluate_benchmark,
    load_benchmark,
    question_key,
    wait_for_rows,
)
from rlkd.evaluation.clusters import clusters_of
from rlkd.evaluation.differences import benchmark_differences
from rlkd.evaluation.metrics import (
    CHECKPOINTS,
    PAIRS,
    SPLITS,
    Resampling,
    build_report,
    count_undecided,
    headline,
)
from rlkd.evaluation.parts import Examiner, Part, Shares, gather_parts, run_part, shares
from rlkd.evaluation.samples import pick_samples
from rlkd.evaluation.solvers import Solver
from rlkd.io import iter_rows, read_rows, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.structure.backends.cached import last_fault
from schemas.artifact import StageResult
from schemas.benchmarks import AnswerRow, BenchmarkDifference, BenchmarkFigures
from schemas.config.evaluation import EvaluateConfig
from schemas.evaluation import CheckpointName, EvalSplit, ProblemOutput
from schemas.problem import Problem

MAX_MISSING_SHARE = 0.1
"""Share of answers without a verdict past which the stage refuses to report an accuracy."""


def evaluate(ctx: StageContext, examiner: Examiner | None = None) -> StageResult:
    """Evaluates the base, the warm-started and the final student, in and out of distribution.

    Greedy accuracy, structure score, format and length over all held-out problems; pass@k over a subset;
    95% bootstrap intervals over problems (over clusters of them where they share a passage or template); paired differences between checkpoints. Checkpoints whose stage was
    switched off are left out. Each checkpoint is then evaluated on ``evaluate.benchmarks``. Rows are kept chunk by chunk under ``work/``, and a chunk that is finished is not
    done again after a kill. Several processes (``accelerate launch``) share the problems; the first one collects
    and writes the results.

    Args:
        ctx: The stage's context; inputs ``data``, ``traces``, ``structures``, and ``warm_start`` and ``rl``
            where the run has them.
        examiner: Student and scores; by default those that the configuration asks for.

    Raises:
        DataError: There are no held-out problems.
        ConfigError: None of the checkpoints that are asked for is made by this run.
        MissingScoreError: The verifier failed on more than a tenth of the answers.
        CheckpointError: A checkpoint cannot be loaded.
    """
    problems = {
        split: found
        for split in SPLITS
        if split in ctx.config.evaluate.splits and (found := _problems(ctx, split))
    }
    if not problems:
        raise DataError(
            "there are no held-out problems to evaluate on; set data.sizes.test or add a test file"
            if "test" in ctx.config.evaluate.splits
            else f"there is no problem in the splits that evaluate.splits names ({', '.join(ctx.config.evaluate.splits)})"
        )
    checkpoints = _checkpoints(ctx)
    if examiner is not None:
        return _evaluate(ctx, problems, checkpoints, examiner)
    from rlkd.evaluation.examiner import StudentExaminer
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    with closing(StudentExaminer(ctx.config, ctx.inputs)) as own:
        return _evaluate(ctx, problems, checkpoints, own)


def _evaluate(
    ctx: StageContext,
    problems: dict[EvalSplit, list[Problem]],
    checkpoints: tuple[CheckpointName, ...],
    examiner: Examiner,
) -> StageResult:
    settings = ctx.config.evaluate
    outputs = _run_parts(ctx, problems, checkpoints, examiner)
    further, differences = _run_benchmarks(ctx, checkpoints, examiner)
    if ctx.shard is not None or not shares().first:
        return StageResult()
    clusters = clusters_of(problem for rows in problems.values() for problem in rows)
    how = Resampling(settings.resamples, settings.confidence, ctx.config.seed, clusters)
    report = build_report(outputs, [k for k in settings.pass_at if k <= settings.samples], how)
    report = report.model_copy(
        update={
            "benchmarks": tuple(further),
            "benchmark_differences": tuple(differences),
            "undecided_counts_as": settings.undecided,
        }
    )
    undecided = count_undecided(outputs)
    if undecided:
        ctx.events.message(f"nobody can say whether these answers are right: {_reasons(undecided)}")
    missing = sum(row.structure is None for row in outputs)
    if missing and (fault := last_fault(examiner)):
        report = report.model_copy(update={"structure_fault": fault})
        ctx.events.message(
            f"{missing} of {len(outputs)} structure scores are missing (last fault: {fault}); "
            "see to structures.decomposer and structures.judge"
        )
    samples = pick_samples(problems, outputs, checkpoints, examiner, ctx.config.seed)
    write_rows(ctx.folder / "outputs.jsonl", outputs)
    write_rows(ctx.folder / "samples.jsonl", samples)
    write_json_atomic(ctx.folder / "eval_report.json", report)
    return StageResult(
        rows=len(outputs),
        summary={
            "checkpoints": list(checkpoints),
            "problems": {split: len(rows) for split, rows in problems.items()},
            "missing_structure": missing,
            "structure_fault": report.structure_fault,
            "missing_accuracy": sum(row.correct is None for row in outputs),
            "undecided": undecided,
        },
        metrics=headline(report),
    )


def _checkpoints(ctx: StageContext) -> tuple[CheckpointName, ...]:
    """The checkpoints that are asked for and that the run makes, in training order."""
    made = {"base": True, "warm_start": "warm_start" in ctx.inputs, "rlkd": "rl" in ctx.inputs}
    asked = ctx.config.evaluate.checkpoints
    checkpoints = tuple(name for name in CHECKPOINTS if name in asked and made[name])
    if not checkpoints:
        raise ConfigError(
            f"evaluate.checkpoints asks for {', '.join(asked)}, which this run does not make; "
            "add base, or switch on warm_start or rl"
        )
    return checkpoints


def _problems(ctx: StageContext, split: EvalSplit) -> list[Problem]:
    path = ctx.inputs["data"] / f"{split}.jsonl"
    return read_rows(path, Problem)[: ctx.config.evaluate.max_problems] if path.exists() else []


def _run_parts(
    ctx: StageContext,
    problems: dict[EvalSplit, list[Problem]],
    checkpoints: Sequence[CheckpointName],
    examiner: Examiner,
) -> list[ProblemOutput]:
    settings, share = ctx.config.evaluate, shares()
    work = ctx.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    sampled = {split: _sampled(rows, settings, ctx.config.seed) for split, rows in problems.items()}
    total = len(checkpoints) * sum(len(rows[share.rank :: share.world]) for rows in problems.values())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        ctx.events.progress(done, total, "problems")

    def part_of(checkpoint: CheckpointName, split: EvalSplit, rank: int) -> Part:
        name = f"{checkpoint}-{split}" + (f"-{rank}of{share.world}" if share.world > 1 else "")
        mine = tuple(problems[split][rank :: share.world])
        return Part(checkpoint, split, mine, sampled[split], work / f"{name}.jsonl")

    for checkpoint in checkpoints:
        for split in problems:
            part = part_of(checkpoint, split, share.rank)
            run_part(part, examiner, settings, ctx.config.seed, advance, ctx.shard)
    outputs: list[ProblemOutput] = []
    for checkpoint in checkpoints if share.first and ctx.shard is None else ():
        for split, asked in problems.items():
            rows = gather_parts([part_of(checkpoint, split, rank) for rank in range(share.world)])
            made = [rows[problem.id] for problem in asked]
            _check_missing(made, checkpoint, split)
            right = sum(row.correct is True for row in made)
            ctx.events.message(f"{checkpoint} on {split}: {right} of {len(made)} right")
            outputs.extend(made)
    return outputs


def _run_benchmarks(
    ctx: StageContext, checkpoints: Sequence[CheckpointName], examiner: Examiner
) -> tuple[list[BenchmarkFigures], list[BenchmarkDifference]]:
    """Evaluates every checkpoint on ``evaluate.benchmarks``; figures in the first process only, and in no shard."""
    settings, seed = ctx.config.evaluate, ctx.config.seed
    named = settings.named_benchmarks
    if not named:
        return [], []
    train = ctx.inputs["data"] / "train.jsonl"
    rows = iter_rows(train, Problem) if train.exists() else ()
    seen = frozenset(question_key(problem.question) for problem in rows)
    benchmarks = [load_benchmark(name, seed, settings.max_problems, seen) for name in named]
    answers: dict[tuple[str, str], list[AnswerRow]] = {}
    figures = []
    for checkpoint in checkpoints:
        solver = examiner.solver(checkpoint)
        for i, benchmark in enumerate(benchmarks):
            made = _answer_benchmark(ctx, solver, benchmark, f"benchmark{i}-{checkpoint}", checkpoint)
            if shares().first and ctx.shard is None:
                found = benchmark_figures(benchmark, made, settings, checkpoint)
                ctx.events.message(f"{checkpoint} on {benchmark.name}: {_told(found)}")
                figures.append(found)
                answers[benchmark.name, checkpoint] = made
    differences = [
        difference
        for benchmark in benchmarks
        for a, b in PAIRS
        if (benchmark.name, a) in answers and (benchmark.name, b) in answers
        for difference in benchmark_differences(
            benchmark.name, (a, answers[benchmark.name, a]), (b, answers[benchmark.name, b]), settings
        )
    ]
    return figures, differences


def _answer_benchmark(
    ctx: StageContext, solver: Solver, benchmark: Benchmark, name: str, checkpoint: str
) -> list[AnswerRow]:
    """The answers of a checkpoint to a benchmark; in the first process those of all processes."""
    settings, share = ctx.config.evaluate, shares()

    def advance(done: int, total: int) -> None:
        ctx.events.progress(done, total, f"answers of {checkpoint} to {benchmark.name}")

    paths = [ctx.folder / "work" / f"{name}-{rank}of{share.world}.jsonl" for rank in range(share.world)]
    rows = evaluate_benchmark(
        benchmark, solver, settings, ctx.config.seed, paths[share.rank], share, advance, ctx.shard
    )
    if not share.first:
        return rows
    others = {
        path: count_asks(benchmark, settings, Shares(rank, share.world))
        for rank, path in enumerate(paths)
        if rank != share.rank
    }
    return [*rows, *wait_for_rows(others)]


def _told(found: BenchmarkFigures) -> str:
    return ", ".join(f"{name} {figure.mean:.1%}" for name, figure in found.greedy.items())


def _check_missing(rows: Sequence[ProblemOutput], checkpoint: str, split: str) -> None:
    """Refuses figures over what is left when the verifier failed on many."""
    missing = sum(row.correct is None for row in rows)
    if missing > MAX_MISSING_SHARE * len(rows):
        raise MissingScoreError(
            f"evaluate: there is no verdict on {missing} of {len(rows)} answers of {checkpoint} on {split} "
            f"({_reasons(count_undecided(rows))}); "
            "check the verifier (math-verify, reasoning-gym) and run the stage again"
        )


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in counts.items())


def _sampled(problems: Sequence[Problem], settings: EvaluateConfig, seed: int) -> frozenset[str]:
    """Ids of the problems that are sampled for pass@k: the same for every checkpoint."""
    if settings.samples == 0:
        return frozenset()
    ids = [problem.id for problem in problems]
    count = len(ids) if settings.pass_problems is None else min(settings.pass_problems, len(ids))
    return frozenset(random.Random(seed).sample(ids, count))
