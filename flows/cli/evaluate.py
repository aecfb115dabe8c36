"""``rlkd evaluate``: any model on named benchmarks, without a run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.cli.models import NamedModel, find_model
from flows.cli.terminal import print_table, terminal
from rlkd.errors import UserError
from rlkd.io import held_lock, iter_rows, write_json_atomic
from rlkd.pipeline.run_folder import make_folder
from schemas.benchmarks import (
    AnswerRow,
    BenchmarkDifference,
    BenchmarkFigures,
    Figure,
    HarnessFigure,
    ModelEvaluation,
)
from schemas.config.evaluation import NamedBenchmark
from schemas.problem import Problem
from tasks.disk import disk_faults

RESULT = "evaluation.json"
Answers = dict[str, list[AnswerRow]]
"""The answers of a model to each benchmark."""
_HEAD = ["model", "benchmark", "problems", "greedy", "strict", "avg@k", "pass@k", "majority@k", "tokens", "cut", "no answer", "undecided"]  # fmt: skip


def evaluate_model(
    model: str,
    benchmarks: Sequence[str],
    config: str | None,
    overrides: Sequence[str],
    output: str | None,
    as_json: bool,
    harness: Sequence[str] = (),
    against: Sequence[str] = (),
) -> None:
    """Evaluates a model on benchmarks; prints its figures beside those of other models in the same folder.

    Args:
        model: Whatever :func:`flows.cli.models.find_model` takes.
        benchmarks: Names, each as ``NAME`` or ``NAME=PATH`` of one's own copy.
        config: Preset or YAML file that says how the model is asked.
        overrides: ``key=value`` settings.
        output: Folder of answers and figures; by default ``runs/evaluations``.
        as_json: Whether the figures are printed as JSON instead of a table.
        harness: Tasks of lm-eval.
        against: Further models that are evaluated, and that its paired differences are to.

    Raises:
        UserError: Model, benchmark, configuration or folder cannot be used.
        StageError: The disk is full.
    """
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    named = [
        NamedBenchmark(name=name, path=path or None)
        for name, _, path in (b.partition("=") for b in benchmarks)
    ]
    if not (named or harness):
        raise UserError("name at least one benchmark: rlkd evaluate MODEL --on gsm8k")
    own, *others = found = [find_model(name, config, overrides) for name in (model, *against)]
    if len({one.name for one in found}) < len(found):
        raise UserError(f"a model is named twice: {', '.join(one.name for one in found)}; name each once")
    root = Path(output) if output else Path("runs") / "evaluations"
    make_folder(root)
    with disk_faults(None, root, kept="every answer that was written"):
        evaluation, folder = _measure(own, others, named, root, harness)
    if as_json:
        print(evaluation.model_dump_json(indent=2))
        return
    _show(evaluation, _others(root, folder, {b.benchmark for b in evaluation.benchmarks}))
    print(f"answers and figures: {folder}")


def _measure(
    own: NamedModel,
    others: Sequence[NamedModel],
    named: Sequence[NamedBenchmark],
    root: Path,
    harness: Sequence[str],
) -> tuple[ModelEvaluation, Path]:
    """Evaluates a model and those that it is compared with, and writes down the figures; its own, and their folder."""
    evaluation, folder, answers = _evaluate(own, named, root)
    differences: list[BenchmarkDifference] = []
    for other in others:
        theirs, place, compared = _evaluate(other, named, root)
        write_json_atomic(place / RESULT, theirs)
        _track(other, theirs, place)
        differences += _differences((other, compared), (own, answers))
    evaluation = evaluation.model_copy(update={"differences": tuple(differences)})
    if harness:
        evaluation = evaluation.model_copy(update={"lm_eval": tuple(_hand_over(own, harness))})
    write_json_atomic(folder / RESULT, evaluation)
    _track(own, evaluation, folder)
    return evaluation, folder


def _differences(
    a: tuple[NamedModel, Answers], b: tuple[NamedModel, Answers]
) -> Iterator[BenchmarkDifference]:
    """The differences b - a on each benchmark."""
    from rlkd.evaluation.differences import benchmark_differences

    for name, rows in a[1].items():
        yield from benchmark_differences(
            name, (a[0].name, rows), (b[0].name, b[1][name]), b[0].config.evaluate
        )


def _evaluate(
    found: NamedModel, named: Sequence[NamedBenchmark], root: Path
) -> tuple[ModelEvaluation, Path, Answers]:
    from contextlib import closing

    from rlkd.evaluation.benchmarks import benchmark_figures, evaluate_benchmark, load_benchmark
    from rlkd.evaluation.solvers import EndpointSolver, Solver, StudentSolver

    config = found.config
    settings, seen = config.evaluate, _trained_on(found)
    problems = [load_benchmark(name, config.seed, settings.max_problems, seen) for name in named]
    solver: Solver = (
        EndpointSolver(found.teacher, ask_first=True)
        if found.teacher is not None
        else StudentSolver(config.student, found.folder, settings.batch_size)
    )
    figures: list[BenchmarkFigures] = []
    answers: Answers = {}
    with closing(solver), terminal() as display:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", found.name).strip("-")[-60:]
        folder = root / f"{slug}-{solver.identity[:8]}"
        make_folder(folder)
        wait = f"another process evaluates {found.name} in {folder}; waiting for it to end"
        with held_lock(folder / ".lock", lambda: print(wait, file=sys.stderr, flush=True)):
            for benchmark in problems:
                title = benchmark.name
                display.stage_started(title)
                rows = evaluate_benchmark(
                    benchmark,
                    solver,
                    settings,
                    config.seed,
                    folder / f"{benchmark.name.replace('/', '-')}.jsonl",
                    advance=lambda done, total, title=title: display.progress(title, done, total, "answers"),  # type: ignore[misc]
                )
                figures.append(benchmark_figures(benchmark, rows, settings, fault=solver.fault))
                answers[title] = rows
        evaluation = ModelEvaluation(
            model=found.name,
            identity=solver.identity,
            asked=solver.asked,
            temperature=settings.temperature,
            seed=config.seed,
            confidence=settings.confidence,
            cost=solver.cost,
            benchmarks=tuple(figures),
        )
    return evaluation, folder, answers


def _hand_over(found: NamedModel, tasks: Sequence[str]) -> list[HarnessFigure]:
    """Figures of tasks of lm-eval.

    Raises:
        UserError: The model is behind an endpoint, or lm-eval refuses.
    """
    from flows.cli.export import served_folder
    from rlkd.evaluation.harness import run_lm_eval

    if found.teacher is not None:
        raise UserError(
            "--lm-eval takes checkpoints; for an endpoint run `lm_eval --model local-chat-completions` yourself"
        )
    settings = found.config.evaluate
    return run_lm_eval(
        served_folder(found),
        tasks,
        found.config.student,
        settings.max_problems,
        settings.batch_size,
        found.config.seed,
    )


def _trained_on(found: NamedModel) -> frozenset[str]:
    """Questions of the run's training data, which are left out: for its teacher too, so that all rows are over the same problems."""
    from rlkd.evaluation.benchmarks import question_key

    if found.run is None:
        return frozenset()
    data = next(
        (Path(entry.uri) for entry in found.run[1].stages if entry.name == "data" and entry.uri), None
    )
    file = data / "train.jsonl" if data else None
    if file is None or not file.is_file():
        return frozenset()
    return frozenset(question_key(problem.question) for problem in iter_rows(file, Problem))


def _track(found: NamedModel, evaluation: ModelEvaluation, folder: Path) -> None:
    """Logs to MLflow where a run or a configuration asks for tracking, or MLFLOW_TRACKING_URI is set."""
    if not (found.config.tracking.enabled or os.environ.get("MLFLOW_TRACKING_URI")):
        return
    from tasks import tracking

    def notice(text: str) -> None:
        print(text, file=sys.stderr)

    runs = found.run[0].resolve().parent if found.run else folder.resolve().parent.parent
    with tracking.tolerated("the evaluation", notice):
        uri = tracking.tracking_uri(runs)
        tracking.log_evaluation(uri, found.config.tracking.experiment, evaluation, folder / RESULT)


def _others(root: Path, own: Path, names: set[str]) -> list[ModelEvaluation]:
    """Evaluations of other models in the same folder on the same benchmarks."""
    found = []
    for file in sorted(root.glob(f"*/{RESULT}")):
        if file.parent != own:
            try:
                evaluation = ModelEvaluation.model_validate_json(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # not to lose the answers that were just made over a file of others
                print(
                    f"{file} cannot be read (damaged, or from another version) and is not shown",
                    file=sys.stderr,
                )
                continue
            kept = tuple(b for b in evaluation.benchmarks if b.benchmark in names)
            if kept:
                found.append(evaluation.model_copy(update={"benchmarks": kept}))
    return found


def _show(evaluation: ModelEvaluation, others: Sequence[ModelEvaluation]) -> None:
    if evaluation.lm_eval:
        _show_harness(evaluation)
    if not evaluation.benchmarks:
        return
    every = [*others, evaluation]
    rows = [_row(e.model, b) for e in every for b in e.benchmarks]
    rows.sort(key=lambda row: row[1])
    print_table("", _HEAD, rows if sys.stdout.isatty() else [_HEAD, *rows])
    percent = f"percent, with standard errors (clustered where problems share a passage or template); k is {'/'.join(sorted({str(b.samples) for e in every for b in e.benchmarks}))}"
    print(percent)
    if evaluation.differences:
        _show_differences(evaluation)
    for found in evaluation.benchmarks:
        for note in notes_of(found):
            print(f"{found.benchmark}: {note}")
    if evaluation.cost:
        print(f"cost of this call, answers that were kept included: {evaluation.cost}")


def _show_harness(evaluation: ModelEvaluation) -> None:
    head = ["task of lm-eval", "metric", "value", "problems"]
    rows = [
        [
            found.task,
            found.metric,
            f"{found.value:.4f}" + (f" ±{found.se:.4f}" if found.se is not None else ""),
            str(found.n),
        ]
        for found in evaluation.lm_eval
    ]
    print_table("", head, rows if sys.stdout.isatty() else [head, *rows])


def _show_differences(evaluation: ModelEvaluation) -> None:
    head = [
        "benchmark",
        "difference to",
        "answers",
        "problems",
        "points",
        f"{evaluation.confidence:.0%} interval",
    ]
    from rlkd.reporting.labels import BENCHMARK_METRIC_LABELS, READING_LABELS

    rows = [
        [
            found.benchmark,
            found.a,
            f"{READING_LABELS[found.reading]} {BENCHMARK_METRIC_LABELS.get(found.metric, found.metric)}",
            str(found.difference.n),
            f"{100 * found.difference.mean:+.1f}"
            + (f" ±{100 * found.difference.se:.1f}" if found.difference.se else ""),
            f"{100 * found.difference.low:+.1f} to {100 * found.difference.high:+.1f}",
        ]
        for found in evaluation.differences
    ]
    print_table("", head, rows if sys.stdout.isatty() else [head, *rows])
    print(f"{evaluation.model} minus each of the others, on the same problems")


def _row(model: str, found: BenchmarkFigures) -> list[str]:
    most = max(found.pass_at, key=int, default="")
    return [
        model,
        found.benchmark,
        str(found.problems),
        cell(found.greedy),
        cell(found.greedy_strict),
        cell(found.sampled),
        cell({"": found.pass_at[most]}) if most else "",
        cell({"": found.majority}) if found.majority else "",
        f"{found.tokens:.0f}",
        f"{100 * found.truncated:.1f}",
        str(found.no_answer),
        str(sum(found.undecided.values())),
    ]


def cell(figures: dict[str, Figure]) -> str:
    """Figures with their standard errors in one cell (at 0 and 1, where that is 0 too, the interval); accuracy alone needs no name."""
    from rlkd.reporting.labels import BENCHMARK_METRIC_LABELS

    parts = []
    for name, figure in figures.items():
        spread = (
            f"±{100 * figure.se:.1f}" if figure.se else f"({100 * figure.low:.0f} to {100 * figure.high:.0f})"
        )
        label = BENCHMARK_METRIC_LABELS.get(name, "") if name != "accuracy" else ""
        parts.append(f"{label} {100 * figure.mean:.1f} {spread}".lstrip())
    return ", ".join(parts)


def notes_of(found: BenchmarkFigures) -> list[str]:
    """What is to be known beside the figures, each in a sentence."""
    notes = list(found.notes)
    clusters = next(iter(found.greedy.values())).clusters if found.greedy else found.problems
    if clusters < found.problems:
        notes.append(f"{found.problems} problems in {clusters} clusters")
    if found.undecided:
        counts = ", ".join(f"{count} x {reason}" for reason, count in found.undecided.items())
        notes.append(
            f"nobody can say whether these answers are right (they count as {found.undecided_counts_as}): {counts}"
        )
    if found.too_long:
        notes.append(f"{found.too_long} prompts are too long for the model (they count as wrong)")
    if found.unanswered:
        notes.append(
            f"{found.unanswered} requests failed and are in no figure; the same command asks for them again"
        )
    return notes
