"""``rlkd check``: everything that can be known before a run starts, in one list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.check.findings import Findings
from flows.cli.check.machine import (
    check_endpoints,
    check_launch,
    check_models,
    check_services,
    check_training,
)
from flows.cli.check.offline import absent_data, absent_student
from flows.cli.check.packing import note_packing
from flows.cli.check.shared import check_output, checkpoint, first_findings
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem, Split
from tasks.finished import finished_stages

if TYPE_CHECKING:
    from rlkd.estimates import Work
    from rlkd.student.examine import Sizes
    from rlkd.student.probe import Probe

_PROBED = 500
"""Problems whose prompts are measured."""
_SMALL = 20_000_000
"""Parameters under which a student's costs are small beside the libraries', and estimated from its sizes."""
_LARGE = 1_000_000_000
"""Parameters above which a CPU would take minutes for the smallest step."""


def examine(config: PipelineConfig, output: str | None = None, offline: bool = False) -> Findings:
    """All checks.

    Args:
        config: The configuration.
        output: The run folder; by default ``runs/<name>``.
        offline: Look only at what is on this machine: no hub, no services, no keys.
    """
    from rlkd.estimates import estimate
    from tasks.runs import default_folder

    found = first_findings(config, offline)
    splits: dict[Split, list[Problem]] = {}
    if offline and (absent := absent_data(config)):
        found.add("data", f"not looked at: {absent}", "note")
    else:
        with found.checking("data"):
            splits = _data(config, found)
    with found.checking("answers"):
        _answers(config, splits, found)
    student: Sizes | None = None
    if offline and (absent := absent_student(config)):
        found.add("student", f"not looked at: {absent}", "note")
    else:
        with found.checking("student"):
            student = _student(config, [problem for rows in splits.values() for problem in rows], found)
    runs = (Path(output) if output else default_folder(config)).resolve().parent
    if not offline:
        check_models(config, runs, found)
        check_endpoints(config, found)
    check_training(config, found, offline)
    check_launch(config, found, offline)
    if not offline:
        check_services(config, runs, found)
    with found.checking("qualification"):
        _qualification(config, found)
    costs = None
    if student is not None:
        probed = _probe(config, student) if not found.wrong else "there is something to mend first"
        costs = found.costs = estimate(config, student, _work(config, splits, found, probed))
    with found.checking("output"):
        check_output(config, output, costs.disk_mb if costs is not None else 200.0, found)
    _finished(config, output, found)
    if costs is not None:
        found.add("memory", costs.memory_text)
        found.add("time", costs.time_text)
    return found


def planned_work(config: PipelineConfig) -> tuple[Sizes, Work]:
    """The student's sizes and how much there is to do, from sizes alone; no step is measured."""
    found = Findings()
    splits = _data(config, found)
    student = _student(config, [problem for rows in splits.values() for problem in rows], found)
    return student, _work(config, splits, found)


def _work(
    config: PipelineConfig, splits: dict[Split, list[Problem]], found: Findings, probed: Probe | str = ""
) -> Work:
    """How much there is to do, by the problems and the lengths that were found."""
    from rlkd.estimates import Work

    lengths = found.prompt_tokens or [0.6 * config.student.max_prompt_tokens]
    traces = sum(found.trace_tokens) / len(found.trace_tokens) if found.trace_tokens else None
    held_out = sum(len(splits.get(split, [])) for split in config.evaluate.splits)
    probe, why = (None, probed) if isinstance(probed, str) else (probed, "")
    return Work(len(splits.get("train", [])), held_out, sum(lengths) / len(lengths), traces, probe, why)


def _data(config: PipelineConfig, found: Findings) -> dict[Split, list[Problem]]:
    """Loads the source as the data stage will, and cuts it to the sizes that are asked for."""
    from rlkd.data.sources import load_rows
    from rlkd.data.stage import planned_splits

    loaded = load_rows(config.data, config.seed)
    splits = planned_splits(loaded, config.data, config.seed)
    held, used = (
        ", ".join(f"{len(rows)} {split}" for split, rows in part.items() if rows)
        for part in (loaded.splits, splits)
    )
    taken = f"; a run takes {used} once duplicates and overlap are out" if used != held else ""
    bad = f"; {len(loaded.dropped)} rows cannot be used" if loaded.dropped else ""
    found.add("data", f"{loaded.rows} rows from {config.data.type}: {held}{taken}{bad}")
    return splits


def _answers(config: PipelineConfig, splits: dict[Split, list[Problem]], found: Findings) -> None:
    """Whether the traces that came with the data state answers, and the right ones: others would teach nothing."""
    from rlkd.data.stated_answers import examine_traces

    if all(teacher.type != "column" for teacher in config.traces.teachers):
        return
    stated = examine_traces([problem for rows in splits.values() for problem in rows])
    if stated.traces:
        found.add("answers", stated.text(), "ok" if stated.mostly_usable else "wrong")


def _qualification(config: PipelineConfig, found: Findings) -> None:
    """Says what the structure reward will be qualified on; reads a file of labelled solutions as the stage will."""
    from rlkd.config.derived import is_enabled, pairs_source
    from rlkd.qualification.pairs import file_pairs
    from schemas.config.qualify import FilePairs, StudentPairs

    if not is_enabled(config, "qualify"):
        return
    source = pairs_source(config)
    if isinstance(source, FilePairs):
        labelled = file_pairs(source)
        right = sum(pair.right for pair in labelled.pairs)
        text = f"{len(labelled.pairs)} {labelled.source}, {right} of them right"
    elif isinstance(source, StudentPairs):
        text = f"{source.per_problem} samples of the student on each of {source.problems} problems"
    else:
        text = f"{source.per_problem} paths of the built-in world for each of {source.problems} problems"
    found.add("qualification", f"{text}; a missed threshold: {config.qualify.action}")


def _student(config: PipelineConfig, problems: list[Problem], found: Findings) -> Any:
    """Checks weights, tokenizer, template and lengths without loading the weights."""
    from rlkd.student.examine import Sizes, check_budget, check_prompt
    from rlkd.student.fresh import fresh_student
    from rlkd.student.lengths import LengthFit
    from rlkd.student.prompts import PromptBook, trace_lengths

    if config.student.model.type == "fresh":
        texts = [text for problem in problems[:_PROBED] for text in (problem.question, *problem.traces)] or [
            "1 2 3"
        ]
        made = fresh_student(config.student, texts, config.seed)
        parameters = sum(p.numel() for p in made.model.parameters())
        student = Sizes.of(made.model.config, parameters, made.model.config._attn_implementation)
        tokenizer = made.tokenizer
    else:
        student, tokenizer = checkpoint(config, found)
    found.add(
        "student",
        f"{student.parameters / 1e6:.1f} M parameters, {len(tokenizer)} tokens, context {student.context or 'unknown'}",
    )
    book = PromptBook(config.student, tokenizer)
    lengths = [len(book.encode(problem.question)) for problem in problems[:_PROBED]]
    found.prompt_tokens = [float(length) for length in lengths]
    check_prompt(config, book)
    if book.opening:
        found.add("prompt", f"ends with {book.opening.strip()}, from which traces and completions go on")
    completions = trace_lengths(book, problems[:_PROBED])
    found.trace_tokens = [float(length) for length in completions]
    for what, values, limit in (
        ("prompts", lengths, "max_prompt_tokens"),
        ("traces", completions, "max_completion_tokens"),
    ):
        if values:
            fit = LengthFit(values, getattr(config.student, limit), f"student.{limit}")
            found.add(what, fit.text(), "note" if fit.cut else "ok")
    tuning = config.warm_start if config.warm_start.enabled else None
    rl = config.rl if config.rl.enabled else None
    note_packing(student, tuning, rl, config.student.max_completion_tokens, found)
    check_budget(config.student, student.context)
    return student


def _probe(config: PipelineConfig, student: Sizes) -> Probe | str:
    """Measures a student whose cost matters, where its weights are at hand and this machine is fit to train it; else says why not."""
    import torch

    from rlkd.student.checkpoints import resolve_model_path
    from rlkd.student.probe import ProbeError, measure

    model, on_gpu = config.student.model, torch.cuda.is_available()
    if model.type != "checkpoint" or student.parameters < _SMALL:
        return f"under {_SMALL / 1e6:.0f} M parameters the libraries count for more"
    if not on_gpu and (student.parameters > _LARGE or config.student.dtype == "bfloat16"):
        what = "bfloat16" if config.student.dtype == "bfloat16" else "a student of this size"
        return f"without a GPU the smallest step of {what} would take minutes"
    if not Path(resolve_model_path(model.path)).is_dir():
        return "its weights are on the hub, and a check fetches none"
    try:
        return measure(config.student, config.rl.optimizer.gradient_checkpointing)
    except ProbeError as error:
        return str(error)


def _finished(config: PipelineConfig, output: str | None, found: Findings) -> None:
    """Which stages a run would find finished."""
    done = finished_stages(config, output)
    if done:
        found.add("finished", ", ".join(done) + " (would be reused)")
