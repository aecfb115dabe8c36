"""Paths of every source, split so that no problem is on both sides."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import DataError
from rlkd.gsrm.paths import alter, collect_paths, read_paths, world_paths
from rlkd.io import write_json_atomic, write_rows
from rlkd.rewards.ledger import Ledger
from rlkd.worlds import get_world
from schemas.artifact import RunManifest, StageEntry
from schemas.config.gsrm import WorldPaths
from schemas.problem import Problem
from schemas.rollout import RewardRecord
from schemas.trace import TeacherTrace

from .conftest import WORLD

Make = Callable[..., Any]


def test_world_paths_wander_solve_and_are_altered_on_unseen_problems(context: Make) -> None:
    ctx = context("paths")
    result = collect_paths(ctx)
    rows = read_paths(ctx.folder)
    assert result.summary["paths"] == {"train": 30, "validation": 4, "test": 12}
    assert result.rows == len(rows) == 46
    groups = {
        split: {row.group for row in rows if row.split == split} for split in ("train", "validation", "test")
    }
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]
    assert {row.kind for row in rows} == {"wandering", "solved", "altered"}
    assert {row.domain for row in rows} == {"arithmetic", "logic", "relations"}
    # Some paths that the model is measured on end wrong: their stated answer is not the one that the graph gives.
    wrong = 0
    for split, problems in _problems(ctx.config.paths, ctx.config.seed).items():
        for row in rows:
            if row.split == split == "test":
                world = get_world(row.domain)
                wrong += not world.verify(problems[row.group], world.read_answer(row.path))
    assert wrong >= 3


def _problems(source: Any, seed: int) -> dict[str, dict[str, Problem]]:
    from rlkd.worlds import make_splits

    return {split: {row.id: row for row in rows} for split, rows in make_splits(source.world, seed).items()}


def test_the_same_seed_gives_the_same_paths_and_another_number_changes_none() -> None:
    def made(count: int, seed: int = 0) -> list[str]:
        source = WorldPaths.model_validate({**WORLD, "world": {**WORLD["world"], "n_train": count}})
        return [row.path for row in world_paths(source, seed) if row.split == "train"]

    assert made(10) == made(10)
    assert made(12)[:10] == made(10)
    assert made(10, seed=1) != made(10)


def test_several_paths_of_a_training_problem_but_one_of_a_held_out_one() -> None:
    source = WorldPaths.model_validate({**WORLD, "per_problem": 3, "solved": 0, "altered": 0})
    rows = list(world_paths(source, 0))
    assert sum(row.split == "train" for row in rows) == 90
    assert sum(row.split == "test" for row in rows) == 12
    assert {row.kind for row in rows} == {"wandering"}


def test_an_altered_path_differs_in_one_line() -> None:
    path = "To find Val, I need Pam and Kim.\nSo Val: Pam 2 plus Kim 6 is 8.\nThe answer is 8."
    kinds = set()
    for seed in range(40):
        made = alter(path, ("2", "6", "8", "9"), random.Random(seed))
        difference = len(made.split("\n")) - 3
        kinds.add(difference)
        if difference == 0 and made != path:
            changed = [b for a, b in zip(path.split("\n"), made.split("\n"), strict=True) if a != b]
            assert len(changed) == 1 and changed[0][-2] in "269"
    assert kinds == {-1, 0, 1}
    assert alter("alone", ("1",), random.Random(0)) in ("alone", "alone\nalone")


def test_shares_of_more_than_all_are_refused() -> None:
    with pytest.raises(ValueError, match="shares of all paths"):
        WorldPaths(type="world", solved=0.6, altered=0.5)


# -- files -------------------------------------------------------------------------------------------


def _file(tmp_path: Path, rows: list[Any]) -> Path:
    path = tmp_path / "paths.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def _row(i: int, problem: str | None = None) -> dict[str, Any]:
    text = problem if problem is not None else f"Problem {i}?"
    return {"id": i, "problem": text, "path": f"{i}+1={i + 1}", "extra": True}


def test_a_file_is_split_by_problem(context: Make, tmp_path: Path) -> None:
    rows = [_row(i, problem=f"Problem  {i // 4}?" if i % 2 else f"Problem {i // 4}?") for i in range(40)]
    source = {"type": "file", "path": str(_file(tmp_path, rows)), "split": {"test": 0.2, "validation": 0.1}}
    ctx = context("paths", paths=source)
    result = collect_paths(ctx)
    # 10 problems of 4 paths (white space aside): 2 for the test, 1 for validation.
    assert result.summary["paths"] == {"train": 28, "test": 8, "validation": 4}
    where: dict[str, set[str]] = {}
    for row in read_paths(ctx.folder):
        where.setdefault(row.group, set()).add(row.split)
    assert len(where) == 10 and all(len(splits) == 1 for splits in where.values())


def test_a_limit_draws_and_what_came_twice_is_dropped(context: Make, tmp_path: Path) -> None:
    rows = [_row(i) for i in range(20)] + [{**_row(3), "id": "again"}]
    source = {"type": "file", "path": str(_file(tmp_path, rows))}
    result = collect_paths(context("all", paths=source))
    assert result.rows == 20
    assert result.summary["dropped"] == {"malformed": 0, "the same path again": 1}
    assert collect_paths(context("some", paths={**source, "limit": 7})).rows == 7


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([_row(1), "{", _row(2)], r"line 2: .*mend the file"),
        ([_row(1), {"id": 2, "problem": "x"}], "line 2: path: Field required"),
        ([_row(1), {**_row(2), "path": ""}], "line 2: path: String should have at least 1"),
        ([_row(1), {**_row(2), "id": 1}], "the id '1' occurs twice"),
        ([_row(1)], "gives 1 training and 0 test paths"),
        ([], "gives 0 training and 0 test paths"),
    ],
)
def test_a_file_that_cannot_be_used(context: Make, tmp_path: Path, rows: list[Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        collect_paths(context("paths", paths={"type": "file", "path": str(_file(tmp_path, rows))}))


def test_a_file_that_is_not_there_or_not_text(context: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        collect_paths(context("paths", paths={"type": "file", "path": str(tmp_path / "none.jsonl")}))
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        collect_paths(context("paths", paths={"type": "file", "path": str(tmp_path / "binary.jsonl")}))


# -- runs --------------------------------------------------------------------------------------------


def _run(tmp_path: Path, stages: tuple[str, ...] = ("data", "traces", "rl")) -> Path:
    """A finished run: 10 problems, a trace of each, and 20 completions, one of them blank."""
    root = tmp_path / "run"
    for name in ("data", "traces", "rl"):
        (root / name).mkdir(parents=True)
    problems = [Problem(id=f"p{i}", question=f"{i}+1?", answer=str(i + 1)) for i in range(10)]
    write_rows(root / "data" / "train.jsonl", problems)
    traces = [
        TeacherTrace(
            id=f"{p.id}/0", problem_id=p.id, teacher="t", path=f"{p.id} is {p.answer}", accepted=True
        )
        for p in problems
    ]
    write_rows(root / "traces" / "accepted.jsonl", traces)
    ledger = Ledger(root / "rl" / "ledger")
    for step in range(2):
        ledger.add(
            RewardRecord(
                step=step,
                group=i,
                problem_id=p.id,
                completion=" "
                if (step, i) == (0, 0)
                else f"{p.id} by the student in {step}\nSo the answer is {p.answer}.",
                tokens=4,
                finish_reason="stop",
            )
            for i, p in enumerate(problems)
        )
    ledger.flush()
    entries = tuple(StageEntry(name=name, status="done", uri=str(root / name)) for name in stages)  # type: ignore[arg-type]
    write_json_atomic(
        root / "run.json", RunManifest(name="r", config={}, config_digest="", store="", stages=entries)
    )
    return root


@pytest.mark.parametrize(
    ("take", "kinds"),
    [
        ("traces", {"teacher": 10}),
        ("ledger", {"student": 19}),
        ("both", {"teacher": 10, "student": 19}),
    ],
)
def test_a_run_gives_its_teachers_traces_and_its_students_completions(
    context: Make, tmp_path: Path, take: str, kinds: dict[str, int]
) -> None:
    source = {"type": "run", "path": str(_run(tmp_path)), "take": take, "split": {"test": 0.2}}
    ctx = context("paths", paths=source)
    assert collect_paths(ctx).summary["kinds"] == kinds
    rows = read_paths(ctx.folder)
    assert len({row.id for row in rows}) == len(rows)
    assert {row.problem for row in rows} <= {f"{i}+1?" for i in range(10)}
    # The stated answer is no part of a path, nor the "So" before it, which a decomposer does not see in RL either.
    assert not any("answer is" in row.path or "So" in row.path for row in rows)
    assert not {r.group for r in rows if r.split == "test"} & {r.group for r in rows if r.split == "train"}


def test_a_run_that_cannot_be_used(context: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run folder"):
        collect_paths(context("paths", paths={"type": "run", "path": str(tmp_path / "none")}))
    root = _run(tmp_path, stages=("data", "traces"))
    with pytest.raises(DataError, match="has not finished rl; finish it first"):
        collect_paths(context("paths", paths={"type": "run", "path": str(root)}))
    (root / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot be read \(damaged"):
        collect_paths(context("paths", paths={"type": "run", "path": str(root)}))
