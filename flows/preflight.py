"""``rlkd check``: everything that can be known before a run starts, in one list."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.findings import Findings
from flows.readiness import check_launch, check_models, check_training
from flows.session import configure_any
from flows.terminal import print_table
from rlkd.errors import DataError, UserError
from rlkd.hub import go_offline_if_cut_off
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig
from schemas.config.run import RunConfig
from schemas.problem import Problem, Split

if TYPE_CHECKING:
    from flows.estimates import Student

_PROBED = 500
"""Problems whose prompts are measured."""


def check_configuration(preset: str, overrides: list[str], output: str | None) -> None:
    """Prints what a run of a configuration would find.

    Raises:
        UserError: Something must be mended; the message says what.
    """
    import logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of every retry
    config = configure_any(preset, overrides)
    if isinstance(config, GsrmConfig):
        from flows.gsrm_check import examine_gsrm

        found = examine_gsrm(config, output)
    else:
        found = examine(config, output)
    print_table(
        "", ["check", "", "found"], [[what, verdict, details] for what, verdict, details in found.rows]
    )
    if len(found.wrong) == 1:
        raise UserError(found.wrong[0])
    if found.wrong:
        raise UserError(f"{len(found.wrong)} things must be mended first: " + "; ".join(found.wrong))


def first_findings(config: RunConfig) -> Findings:
    """What every check begins with: the configuration itself, and whether the hub can be reached."""
    found = Findings()
    found.add("configuration", f"{config.name}: {config.description or 'no description'}")
    if cut_off := go_offline_if_cut_off(config):
        found.add("hub", cut_off, "note")
    return found


def examine(config: PipelineConfig, output: str | None = None) -> Findings:
    """All checks.

    Args:
        config: The configuration.
        output: The run folder; by default ``runs/<name>``.
    """
    from flows.estimates import Work, estimate
    from tasks.runs import default_folder

    found = first_findings(config)
    splits: dict[Split, list[Problem]] = {}
    with found.checking("data"):
        splits = _data(config, found)
    student: Student | None = None
    with found.checking("student"):
        student = _student(config, [problem for rows in splits.values() for problem in rows], found)
    check_models(config, (Path(output) if output else default_folder(config)).resolve().parent, found)
    check_training(config, found)
    check_launch(config, found)
    with found.checking("qualification"):
        _qualification(config, found)
    costs = None
    if student is not None:
        held_out = len(splits.get("test", [])) + len(splits.get("ood", []))
        train = len(splits.get("train", []))
        lengths = found.prompt_tokens or [0.6 * config.student.max_prompt_tokens]
        costs = found.costs = estimate(config, student, Work(train, held_out, sum(lengths) / len(lengths)))
    with found.checking("output"):
        check_output(config, output, costs.disk_mb if costs is not None else 200.0, found)
    _finished(config, output, found)
    if costs is not None:
        found.add("memory", costs.memory_text)
        found.add("time", costs.time_text)
    return found


def _data(config: PipelineConfig, found: Findings) -> dict[Split, list[Problem]]:
    """Loads the source as the data stage will, and cuts it to the sizes that are asked for."""
    from rlkd.data.sources import open_source
    from rlkd.data.stage import planned_splits

    loaded = open_source(config.data).load(config.seed)
    if not loaded.rows:
        where = getattr(config.data, "path", None)
        raise DataError(
            f"data{f'.path {where}' if where else ''}: there is not one row to read; name data with problems in it"
        )
    splits = planned_splits(loaded, config.data, config.seed)
    held, used = (
        ", ".join(f"{len(rows)} {split}" for split, rows in part.items() if rows)
        for part in (loaded.splits, splits)
    )
    taken = f"; a run takes {used} once duplicates and overlap are out" if used != held else ""
    bad = f"; {len(loaded.dropped)} rows cannot be used" if loaded.dropped else ""
    found.add("data", f"{loaded.rows} rows from {config.data.type}: {held}{taken}{bad}")
    return splits


def _qualification(config: PipelineConfig, found: Findings) -> None:
    """Says what the structure reward will be qualified on; reads a file of labelled solutions as the stage will."""
    from rlkd.qualification.pairs import file_pairs
    from rlkd.stages import is_enabled, pairs_source
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
    from flows.estimates import Student
    from rlkd.training.prompts import PromptBook
    from rlkd.training.student import fresh_student

    if config.student.model.type == "fresh":
        texts = [text for problem in problems[:_PROBED] for text in (problem.question, *problem.traces)] or [
            "1 2 3"
        ]
        made = fresh_student(config.student, texts, config.seed)
        student = Student.of(made.model.config, sum(p.numel() for p in made.model.parameters()))
        tokenizer = made.tokenizer
    else:
        student, tokenizer = checkpoint(config)
    found.add(
        "student",
        f"{student.parameters / 1e6:.1f} M parameters, {len(tokenizer)} tokens, context {student.context or 'unknown'}",
    )
    book = PromptBook(config.student, tokenizer)
    lengths = [len(book.encode(problem.question)) for problem in problems[:_PROBED]]
    found.prompt_tokens = [float(length) for length in lengths]
    long = sum(length > config.student.max_prompt_tokens for length in lengths)
    if lengths:
        text = f"{sum(lengths) / len(lengths):.0f} tokens on average, {max(lengths)} at most (limit {config.student.max_prompt_tokens})"
        found.add(
            "prompts",
            text + (f"; {long} of {len(lengths)} are too long" if long else ""),
            "note" if long else "ok",
        )
    budget = config.student.max_prompt_tokens + config.student.max_completion_tokens
    if student.context is not None and budget > student.context:
        raise UserError(
            f"student.max_prompt_tokens + student.max_completion_tokens = {budget} exceed the student's context of {student.context} tokens; lower one of them"
        )
    return student


def checkpoint(config: RunConfig) -> tuple[Student, Any]:
    """The sizes and the tokenizer of a student that is a checkpoint; its weights are not read.

    Raises:
        UserError: It is not there, or cannot be used.
    """
    from flows.estimates import describe
    from rlkd.training.student import prepare_tokenizer, resolve_model_path

    path = resolve_model_path(getattr(config.student.model, "path", ""))
    tokenizer = _tokenizer(config, path)
    prepare_tokenizer(tokenizer, path)
    return describe(config, path), tokenizer


def _tokenizer(config: RunConfig, path: str) -> Any:
    from transformers import AutoTokenizer

    model = config.student.model
    options = (
        {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
        if model.type == "checkpoint"
        else {}
    )
    try:
        return AutoTokenizer.from_pretrained(path, padding_side="left", **options)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"student.model.path: the tokenizer of {path} cannot be loaded ({first[:200]}); check the name and the connection, or name a local folder"
        ) from None


def check_output(config: RunConfig, output: str | None, needed_mb: float, found: Findings) -> None:
    """Checks that run folder and store can be written and have room.

    Raises:
        UserError: They cannot, or have not.
    """
    from tasks.runs import RUN_FILE, default_folder
    from tasks.storage import store_root

    folder = (Path(output) if output else default_folder(config)).resolve()
    if folder.is_file():
        raise UserError(f"{folder} is a file; choose another --output")
    for place in (folder, store_root(folder)):
        existing = next(parent for parent in (place, *place.parents) if parent.exists())
        if not os.access(existing, os.W_OK):
            raise UserError(
                f"{place} cannot be written (no permission for {existing}); choose another --output or RLKD_STORE"
            )
    existing = next(parent for parent in (store_root(folder), *store_root(folder).parents) if parent.exists())
    free_mb = shutil.disk_usage(existing).free / 2**20
    text = f"{folder}: {size(free_mb)} free, about {size(needed_mb)} needed"
    if free_mb < needed_mb:
        raise UserError(f"{text}; free some space or choose another --output")
    found.add(
        "output", text + ("; goes on with the run that is there" if (folder / RUN_FILE).exists() else "")
    )


def _finished(config: PipelineConfig, output: str | None, found: Findings) -> None:
    """Which stages a run would find finished."""
    done = finished_stages(config, output)
    if done:
        found.add("finished", ", ".join(done) + " (would be reused)")


def finished_stages(config: RunConfig, output: str | None = None) -> list[str]:
    """Names of the stages that the store holds already for a configuration, in order."""
    from rlkd.stages import is_enabled, resolve, stages_of
    from tasks.identity import identify
    from tasks.runs import default_folder
    from tasks.storage import Store, store_root

    root = store_root(Path(output) if output else default_folder(config))
    if not root.is_dir():
        return []
    store, digests = Store(root), dict[str, str]()
    for spec in (resolve(spec, config) for spec in stages_of(config)):
        wanted = [name for name in spec.inputs if is_enabled(config, name)]
        if not is_enabled(config, spec.name) or any(name not in digests for name in wanted):
            continue
        manifest = store.find(identify(spec, config, {name: digests[name] for name in wanted}))
        if manifest is not None:
            digests[spec.name] = manifest.sha256
    return list(digests)


def size(mb: float) -> str:
    """Mebibytes as a person writes them."""
    return f"{mb / 1024:.1f} GiB" if mb >= 1024 else f"{mb:.0f} MiB"
