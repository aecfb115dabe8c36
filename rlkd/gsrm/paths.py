"""The first stage of GSRM training: reasoning paths, split so that no problem is on both sides."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from rlkd.errors import DataError, UserError
from rlkd.io import expand_path, read_rows, sha256_text, write_json_atomic, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.run_folder import read_run
from rlkd.structure.scorer import teacher_item
from schemas.artifact import StageResult
from schemas.base import Schema
from schemas.config.gsrm import FilePaths, GsrmConfig, HeldOut, RunPaths, WorldPaths
from schemas.gsrm import GsrmPath
from schemas.problem import Problem, Split
from schemas.trace import TeacherTrace

PATHS = "paths.jsonl"
_MAX_MALFORMED = 0.01
_SHOWN = 3


class PathRow(Schema):
    """One row of a JSONL file of paths; ``teacher``, ``answer`` and the like may stand beside and are ignored."""

    model_config = Schema.model_config | {"extra": "ignore"}

    id: str | int
    path: str
    problem: str = ""
    domain: str = "math"
    steps: tuple[dict[str, Any], ...] | None = None


def collect_paths(ctx: StageContext[GsrmConfig]) -> StageResult:
    """Collects the paths and splits them by problem. Writes ``paths.jsonl`` and ``summary.json``.

    Raises:
        DataError: The source cannot be read, or a split that is needed has no path.
    """
    source, seed = ctx.config.paths, ctx.config.seed
    dropped: Counter[str] = Counter()
    if isinstance(source, WorldPaths):
        found = _unique(world_paths(source, seed), dropped)
    else:
        rows = _file_rows(source, dropped) if isinstance(source, FilePaths) else _run_rows(source)
        found = _split(_draw(_unique(rows, dropped), source.limit, seed), source.split, seed)
    counts = Counter(row.split for row in found)
    if not counts["train"] or not counts["test"]:
        raise DataError(
            f"{_name(source)} gives {counts['train']} training and {counts['test']} test paths, and both are needed; "
            "give more problems, or change paths.split"
        )
    write_rows(ctx.folder / PATHS, found)
    summary = {
        "paths": dict(counts),
        "kinds": dict(Counter(row.kind for row in found)),
        "domains": dict(Counter(row.domain for row in found)),
        "problems": len({row.group for row in found}),
        "dropped": dict(dropped),
    }
    write_json_atomic(ctx.folder / "summary.json", summary)
    return StageResult(
        rows=len(found), summary=summary, metrics={split: float(n) for split, n in counts.items()}
    )


def _name(source: WorldPaths | FilePaths | RunPaths) -> str:
    return "the built-in world" if isinstance(source, WorldPaths) else source.path


def _unique(rows: Iterable[GsrmPath], dropped: Counter[str]) -> list[GsrmPath]:
    """Drops a path that a problem has twice."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        key = (row.group, row.path)
        if key in seen:
            dropped["the same path again"] += 1
        else:
            seen.add(key)
            kept.append(row)
    return kept


# -- the built-in world ------------------------------------------------------------------------------


def world_paths(source: WorldPaths, seed: int) -> Iterator[GsrmPath]:
    """Draws paths from the built-in world; no graph is in two splits. Held-out problems get one wandering path each.

    Among the held-out paths the shares of solved and altered ones are the same as in training.
    """
    from rlkd.worlds import make_splits, world_of

    for split, problems in make_splits(source.world, seed).items():
        for problem in problems:
            rng = random.Random(f"{seed}:gsrm:{problem.id}")
            world = world_of(problem)
            for i in range(source.per_problem if split == "train" else 1):
                draw = rng.random()
                kind = "solved" if draw < source.solved else "wandering"
                path = (
                    world.solve(problem, rng)
                    if kind == "solved"
                    else world.wander(problem, rng, source.wander)
                )
                if draw > 1 - source.altered:
                    kind, path = "altered", alter(path, world.values, rng)
                yield GsrmPath(
                    id=f"{problem.id}/{i}",
                    group=problem.id,
                    problem=problem.question,
                    path=path,
                    domain=problem.domain,
                    kind=kind,
                    split=split,
                )


def alter(path: str, values: tuple[str, ...], rng: random.Random) -> str:
    """Changes one line of a path as a student might: another result, the line twice, or the line lost."""
    lines = path.split("\n")
    at = rng.randrange(len(lines))
    match rng.choice(("value", "twice", "lost")):
        case "value":
            head, _, last = lines[at].rpartition(" ")
            others = [value for value in values if f"{value}." != last]
            if last.removesuffix(".") in values:
                lines[at] = f"{head} {rng.choice(others)}."
        case "twice":
            lines.insert(at, lines[at])
        case _:
            if len(lines) > 1:
                del lines[at]
    return "\n".join(lines)


# -- files and runs ----------------------------------------------------------------------------------


def _file_rows(source: FilePaths, dropped: Counter[str]) -> list[GsrmPath]:
    file = expand_path(source.path, "paths.path")
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(
            f"paths.path: there is no file {file}; name a JSONL file of {{id, problem, path}}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"paths.path: {file} cannot be read ({error}); give a JSONL file in UTF-8") from None
    rows: list[GsrmPath] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = PathRow.model_validate_json(line)
            group = sha256_text(" ".join(row.problem.split()) or str(row.id))[:16]
            rows.append(
                GsrmPath(
                    id=str(row.id),
                    group=group,
                    problem=row.problem,
                    path=row.path,
                    domain=row.domain,
                    steps=row.steps,
                )
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "row"
            faults.append(f"{file}, line {number}: {where}: {first['msg']}")
    dropped["malformed"] = len(faults)
    if len(faults) > _MAX_MALFORMED * (len(rows) + len(faults)):
        shown = "; ".join(faults[:_SHOWN])
        raise DataError(
            f"{len(faults)} of {len(rows) + len(faults)} rows cannot be used: {shown}; mend the file"
        )
    repeated = next((name for name, count in Counter(row.id for row in rows).items() if count > 1), None)
    if repeated is not None:
        raise DataError(f"{file}: the id {repeated!r} occurs twice; ids must be unique")
    return rows


def _run_rows(source: RunPaths) -> list[GsrmPath]:
    folder = expand_path(source.path, "paths.path")
    try:
        stages = {name: Path(entry.uri) for name, entry in read_run(folder).finished.items()}
    except UserError as error:
        raise DataError(f"paths.path: {error}") from None
    wanted = {"traces": ("traces",), "ledger": ("rl",), "both": ("traces", "rl")}[source.take]
    absent = [name for name in ("data", *wanted) if name not in stages]
    if absent:
        raise DataError(
            f"paths.path: the run {folder} has not finished {', '.join(absent)}; finish it first, or change paths.take"
        )
    problems = {
        row.id: row
        for split in get_args(Split)
        if (file := stages["data"] / f"{split}.jsonl").is_file()
        for row in read_rows(file, Problem)
    }
    rows: list[GsrmPath] = []
    if "traces" in wanted:
        for trace in read_rows(stages["traces"] / "accepted.jsonl", TeacherTrace):
            rows += _of_run(trace.id, problems[trace.problem_id], trace.path, "teacher")
    if "rl" in wanted:
        from rlkd.rewards.ledger import read_ledger

        for i, record in enumerate(read_ledger(stages["rl"] / "ledger")):
            if record.problem_id in problems:
                name = f"{record.problem_id}/{record.step}.{record.group}.{i}"
                rows += _of_run(name, problems[record.problem_id], record.completion, "student")
    return rows


def _of_run(name: str, problem: Problem, text: str, kind: str) -> Iterator[GsrmPath]:
    """A path as the reward gives it to a decomposer, which the model that is trained on it will be; none where nothing is left of it."""
    path = teacher_item(problem.question, text, problem.domain).path
    if path.strip():
        yield GsrmPath(
            id=name, group=problem.id, problem=problem.question, path=path, domain=problem.domain, kind=kind
        )


def _draw(rows: list[GsrmPath], limit: int | None, seed: int) -> list[GsrmPath]:
    if limit is None or limit >= len(rows):
        return rows
    chosen = sorted(random.Random(f"{seed}:gsrm:limit").sample(range(len(rows)), limit))
    return [rows[i] for i in chosen]


def _split(rows: list[GsrmPath], shares: HeldOut, seed: int) -> list[GsrmPath]:
    """Splits by problem: the problems in random order, the first for the test, the next for validation."""
    groups = sorted({row.group for row in rows})
    random.Random(f"{seed}:gsrm:split").shuffle(groups)
    test = round(shares.test * len(groups)) or int(len(groups) > 1)
    validation = round(shares.validation * len(groups))
    where: dict[str, Split] = dict.fromkeys(groups, "train")
    where |= dict.fromkeys(groups[:test], "test")
    where |= dict.fromkeys(groups[test : test + validation], "validation")
    return [row.model_copy(update={"split": where[row.group]}) for row in rows]


def read_paths(folder: Path) -> list[GsrmPath]:
    """Reads the rows that :func:`collect_paths` wrote."""
    with (folder / PATHS).open(encoding="utf-8") as file:
        return [GsrmPath.model_validate(json.loads(line)) for line in file if line.strip()]
