"""Stage functions without models, for tests of what surrounds them.

Environment: ``FAKE_LOG`` (a file that gets one line per unit of work: stage, attempt's process, unit),
``FAKE_KILL`` (``before:`` or ``after:`` and the name of a stage: the run is killed when that finished stage is written down),
``FAKE_FAIL`` (name of a stage that fails, or @ and a file that holds it), ``FAKE_FAULT`` (how), ``FAKE_DELAY`` (seconds per unit of traces and rl).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import rlkd.pipeline.stages
from rlkd.errors import DataError, TrainingError
from rlkd.io import (
    append_row,
    read_rows,
    recover_rows,
    sha256_file,
    sha256_text,
    write_json_atomic,
    write_rows,
)
from rlkd.pipeline.context import StageContext
from schemas.artifact import StageEntry, StageResult
from schemas.config.data import WorldData
from schemas.problem import Problem
from schemas.qualification import Auroc, Qualification, Separation
from schemas.report import ReportContent
from schemas.structure import Structure
from schemas.trace import TeacherTrace

UNITS = 8


def install() -> None:
    """Puts the fakes into the stage table of this process."""
    names = {
        "data": fake_data,
        "traces": fake_traces,
        "structures": fake_structures,
        "warm_start": fake_warm_start,
        "qualify": fake_qualify,
        "rl": fake_rl,
        "evaluate": fake_evaluate,
        "report": fake_report,
    }
    rlkd.pipeline.stages.STAGES = tuple(
        replace(spec, function=f"fake_stages:{names[spec.name].__name__}")
        for spec in rlkd.pipeline.stages.STAGES
    )
    if os.environ.get("FAKE_KILL"):
        _kill_between(*os.environ["FAKE_KILL"].split(":"))


def _kill_between(when: str, stage: str) -> None:
    """Kills this process without warning when a stage has finished, before or after the run has taken note of it."""
    from tasks.runs import Run

    record = Run.record

    def watched(run: Run, entry: StageEntry) -> None:
        if entry.name == stage and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        record(run, entry)
        if entry.name == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    Run.record = watched  # type: ignore[method-assign]


def _note(stage: str, unit: object) -> None:
    if path := os.environ.get("FAKE_LOG"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{stage} {os.getpid()} {unit}\n")


def _perhaps_fail(stage: str) -> None:
    chosen = os.environ.get("FAKE_FAIL", "")
    if chosen.startswith("@"):  # a file that says it, so that a test can change its mind
        path = Path(chosen[1:])
        chosen = path.read_text().strip() if path.exists() else ""
    if chosen != stage:
        return
    fault = os.environ.get("FAKE_FAULT", "crash")
    if fault == "user":
        raise DataError("rows.jsonl, line 3: answer is missing; add it")
    if fault == "stage":
        raise TrainingError("the loss is NaN at step 4; the last good checkpoint is kept")
    if fault == "full":
        raise OSError(28, "No space left on device")
    if fault == "exit":
        sys.stdout.flush()
        os._exit(0)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ZeroDivisionError("something nobody foresaw")


def _delay() -> None:
    time.sleep(float(os.environ.get("FAKE_DELAY", "0")))


def fake_data(ctx: StageContext) -> StageResult:
    _note("data", "start")
    _perhaps_fail("data")
    problems = [
        Problem(id=f"p{i}", question=f"What is {i} + {ctx.config.seed}?", answer=str(i + ctx.config.seed))
        for i in range(UNITS)
    ]
    write_rows(ctx.folder / "train.jsonl", problems)
    write_rows(
        ctx.folder / "test.jsonl",
        [Problem(id=f"t{i}", question=f"{i}?", answer="0") for i in range(held_out(ctx))],
    )
    write_json_atomic(ctx.folder / "summary.json", {"loaded": UNITS, "dropped": {}, "kept": {"train": UNITS}})
    return StageResult(rows=UNITS, summary={"loaded": UNITS, "dropped": {}, "kept": {"train": UNITS}})


def held_out(ctx: StageContext) -> int:
    """Test problems that a configuration asks for."""
    return ctx.config.data.world.n_test if isinstance(ctx.config.data, WorldData) else 2


def _trace(problem: str) -> TeacherTrace:
    return TeacherTrace(
        id=f"{problem}/0", problem_id=problem, teacher="fake", path=problem[1:], accepted=True
    )


def fake_traces(ctx: StageContext) -> StageResult:
    _note("traces", "start")
    partial = ctx.folder / "work" / "accepted.jsonl"
    done = recover_rows(partial, TeacherTrace)
    for i in range(len(done), UNITS):
        if i == UNITS // 2:
            _perhaps_fail("traces")
        _note("traces", i)
        append_row(partial, _trace(f"p{i}"))
        ctx.events.progress(i + 1, UNITS, "traces")
        _delay()
    taught = [*recover_rows(partial, TeacherTrace), *(_trace(f"t{i}") for i in range(held_out(ctx)))]
    write_rows(ctx.folder / "accepted.jsonl", taught)
    return StageResult(rows=UNITS, summary={"accepted": UNITS, "rejected": 0})


def fake_structures(ctx: StageContext) -> StageResult:
    _note("structures", "start")
    _perhaps_fail("structures")
    traces = read_rows(ctx.inputs["traces"] / "accepted.jsonl", TeacherTrace)
    rows = [Structure(trace_id=trace.id, problem_id=trace.problem_id) for trace in traces]
    write_rows(ctx.folder / "structures.jsonl", rows)
    return StageResult(rows=UNITS)


def fake_warm_start(ctx: StageContext) -> StageResult:
    _note("warm_start", "start")
    _perhaps_fail("warm_start")
    return _train(ctx, "warm_start", ctx.config.warm_start.max_epochs)


def fake_qualify(ctx: StageContext) -> StageResult:
    """A score that separates right from wrong with a hidden AUROC of at least 0.80 and at most 0.90."""
    _note("qualify", "start")
    _perhaps_fail("qualify")
    hidden = Separation(pairs=200, right=90, structure=Auroc(value=0.85, low=0.80, high=0.90))
    figures = Qualification(
        source="made up", decomposer="fake", judge="fake", alignment="structure", pairs=200, right=90,
        full=hidden, hidden=hidden,
    )  # fmt: skip
    write_json_atomic(ctx.folder / "qualification.json", figures)
    return StageResult(rows=200, metrics={"qualify/auroc_hidden": 0.85})


def fake_rl(ctx: StageContext) -> StageResult:
    _note("rl", "start")
    return _train(ctx, "rl", (ctx.config.rewards.alpha, ctx.config.rl.steps))


def _train(ctx: StageContext, stage: str, settings: object) -> StageResult:
    state_path = ctx.folder / "work" / "checkpoints" / "state.json"
    state_path.parent.mkdir(exist_ok=True)
    state = (
        json.loads(state_path.read_text()) if state_path.exists() else {"step": 0, "weights": f"{settings}"}
    )
    for step in range(state["step"], UNITS):
        if stage == "rl" and step == UNITS // 2:
            _perhaps_fail("rl")
        _note(stage, step)
        state = {"step": step + 1, "weights": sha256_text(state["weights"])}
        write_json_atomic(state_path, state)
        ctx.events.metrics(step, {"loss": 1.0 / (step + 1), "pass@4": 0.5})
        ctx.events.progress(step + 1, UNITS, "steps")
        if stage == "rl":
            _delay()
    model = ctx.folder / "model"
    model.mkdir(exist_ok=True)
    (model / "model.safetensors").write_text(state["weights"])
    rows = [{"step": step, "loss": 1.0 / (step + 1), "seconds": time.time()} for step in range(UNITS)]
    (ctx.folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    write_json_atomic(ctx.folder / "traces.json", {"trace_ids": [f"p{i}/0" for i in range(UNITS)]})
    ctx.events.message("trained")
    return StageResult(rows=UNITS, metrics={"loss": 0.1})


def fake_evaluate(ctx: StageContext) -> StageResult:
    _note("evaluate", "start")
    _perhaps_fail("evaluate")
    models = {name: path / "model" / "model.safetensors" for name, path in ctx.inputs.items()}
    weights = {name: sha256_file(path) for name, path in models.items() if path.exists()}
    write_json_atomic(
        ctx.folder / "eval_report.json", {"checkpoints": sorted(ctx.inputs), "weights": weights}
    )
    return StageResult(rows=2, metrics={"test_accuracy_rlkd": 0.75, "test_structure_rlkd": 0.5})


def fake_report(ctx: StageContext) -> StageResult:
    _note("report", "start")
    _perhaps_fail("report")
    write_json_atomic(ctx.folder / "content.json", ReportContent(title=ctx.config.name))
    return StageResult(rows=1)


def logged(path: Path) -> list[tuple[str, str]]:
    """(stage, unit) of every line of ``FAKE_LOG``, in order."""
    if not path.exists():
        return []
    return [(line.split()[0], line.split()[2]) for line in path.read_text().splitlines()]
