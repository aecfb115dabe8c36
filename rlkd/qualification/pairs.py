"""Labelled pairs: a teacher's paths, a solution, and whether it is right."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlkd.answers.gsm8k import without_marks
from rlkd.errors import DataError
from rlkd.io import expand_path, iter_rows, read_rows
from rlkd.qualification.last_step import drop_answer_lines
from rlkd.qualification.world_changes import WorldChanges
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import teacher_item
from rlkd.worlds import World, world_of
from schemas.config.qualify import FilePairs, WorldPairs
from schemas.problem import Problem
from schemas.qualification import LabelledPair
from schemas.trace import TeacherTrace

_SHAPES = "{problem, teacher, solution, right} or {question, ground_truth, <model>: {solution, is_correct}}"


@dataclass(frozen=True)
class Labelled:
    """Pairs and where they come from.

    Attributes:
        pairs: The pairs; those of one problem side by side.
        source: Where they come from, in words.
        notes: What a reader should know of them.
    """

    pairs: tuple[LabelledPair, ...]
    source: str
    notes: tuple[str, ...] = ()


def limited(pairs: Sequence[LabelledPair], limit: int | None, seed: int) -> tuple[LabelledPair, ...]:
    """Draws at most ``limit`` pairs: whole problems, drawn by seed, in their own order."""
    if limit is None or len(pairs) <= limit:
        return tuple(pairs)
    sizes: dict[str, int] = {}
    for pair in pairs:
        sizes[pair.group] = sizes.get(pair.group, 0) + 1
    names = list(sizes)
    random.Random(f"qualify/{seed}").shuffle(names)
    kept: set[str] = set()
    room = limit
    for name in names:
        if sizes[name] <= room:
            kept.add(name)
            room -= sizes[name]
    return tuple(pair for pair in pairs if pair.group in kept)


# -- a file --------------------------------------------------------------------------------------------


def file_pairs(config: FilePairs) -> Labelled:
    """Reads labelled solutions.

    Raises:
        DataError: The file or a row of it cannot be used; the message names file, line and field.
    """
    path = _existing(config.path, "qualify.pairs.path")
    references = _references(config.references) if config.references else None
    pairs: list[LabelledPair] = []
    for number, row in _rows(path):
        if number - 1 < config.start or (config.stop is not None and number - 1 >= config.stop):
            continue
        pairs += _pairs_of(row, f"{path}, line {number}", f"row-{number}", references)
    if not pairs:
        raise DataError(f"{path}: no row between qualify.pairs.start and qualify.pairs.stop; change them")
    if config.strip_marks:
        pairs = [_without_marks(pair) for pair in pairs]
    end = f"{config.stop}" if config.stop is not None else "the end"
    rows = f", rows {config.start + 1} to {end}" if config.start or config.stop is not None else ""
    notes = ("Calculator marks are taken out.",) if config.strip_marks else ()
    return Labelled(tuple(pairs), f"labelled solutions in {path.name}{rows}", notes)


def _existing(text: str, setting: str) -> Path:
    path = expand_path(text, setting)
    if not path.is_file():
        raise DataError(f"{setting}: there is no file {path}; name a JSONL file with labelled solutions")
    return path


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, row) of every row; empty lines do not count."""
    number = 0
    with path.open(encoding="utf-8") as file:
        for line_number, line in enumerate(file, 1):
            if not line.strip():
                continue
            number += 1
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {line_number}: no JSON ({error})") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {line_number}: a row must be an object such as {_SHAPES}")
            yield number, row


def _references(text: str) -> dict[str, str]:
    path = _existing(text, "qualify.pairs.references")
    found: dict[str, str] = {}
    for number, row in _rows(path):
        question = _text(row, "question", f"{path}, line {number}")
        found[question.strip()] = _text(row, "answer", f"{path}, line {number}")
    return found


def _pairs_of(
    row: Mapping[str, Any], where: str, name: str, references: Mapping[str, str] | None
) -> list[LabelledPair]:
    if "question" in row and any(isinstance(value, dict) for value in row.values()):
        return _model_solutions(row, where, name, references)
    problem = _text(row, "problem", where)
    right = row.get("right")
    if not isinstance(right, bool):
        raise DataError(f"{where}: right must be true or false; rows are {_SHAPES}")
    teachers = _teachers(row, "teacher", problem, where, references)
    solution = _item(_text(row, "solution", where, empty=True))
    domain = str(row.get("domain") or "math")
    return [labelled_pair(problem, problem, teachers, solution, right, domain)]


def _model_solutions(
    row: Mapping[str, Any], where: str, name: str, references: Mapping[str, str] | None
) -> list[LabelledPair]:
    """One pair for each model that solved the question."""
    problem = _text(row, "question", where)
    teachers = _teachers(row, "ground_truth", problem, where, references)
    found = []
    for model, made in row.items():
        if not isinstance(made, dict):
            continue
        right = made.get("is_correct")
        if not isinstance(right, bool):
            raise DataError(f"{where}: {model}.is_correct must be true or false")
        solution = _text(made, "solution", f"{where}, {model}", empty=True)
        found.append(labelled_pair(name, problem, teachers, _item(solution), right))
    return found


def _teachers(
    row: Mapping[str, Any], field: str, problem: str, where: str, references: Mapping[str, str] | None
) -> list[PathItem]:
    if references is not None:
        if problem.strip() not in references:
            raise DataError(
                f"{where}: qualify.pairs.references has no row with this question: {problem[:60]!r}"
            )
        return [_item(references[problem.strip()])]
    value = row.get(field)
    paths = [value] if isinstance(value, str) else value
    if (
        not isinstance(paths, list)
        or not paths
        or not all(isinstance(path, str) and path.strip() for path in paths)
    ):
        raise DataError(f"{where}: {field} must be a path or a list of paths; rows are {_SHAPES}")
    return [_item(path) for path in paths]


def _text(row: Mapping[str, Any], field: str, where: str, empty: bool = False) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not (empty or value.strip()):
        raise DataError(f"{where}: {field} must be a text; rows are {_SHAPES}")
    return value


def _item(text: str) -> PathItem:
    """A path without its stated final answer (lines such as ``A: 18`` and ``#### 18``, else whatever its convention), and that answer."""
    read, without = teacher_item("", text), drop_answer_lines(text, hidden=False)
    return replace(read, path=without) if without != text else read


def labelled_pair(
    group: str,
    problem: str,
    teachers: Sequence[PathItem],
    student: PathItem,
    right: bool,
    domain: str = "math",
) -> LabelledPair:
    """Makes a pair of what was read of its texts."""
    return LabelledPair(
        group=group,
        problem=problem,
        teachers=tuple(teacher.path for teacher in teachers),
        teacher_answers=tuple(teacher.answer for teacher in teachers),
        student=student.path,
        answer=student.answer,
        right=right,
        domain=domain,
    )


def _without_marks(pair: LabelledPair) -> LabelledPair:
    plain = tuple(without_marks(path) for path in pair.teachers)
    return pair.model_copy(update={"teachers": plain, "student": without_marks(pair.student)})


# -- the built-in world --------------------------------------------------------------------------------


def world_pairs(
    config: WorldPairs,
    problems: Sequence[Problem],
    teachers: Mapping[str, Sequence[str]],
    seed: int,
    split: str = "validation",
) -> Labelled:
    """Makes pairs of paths for held-out problems of the built-in world, right and wrong.

    Of every problem: one path of the solver (its independent branches in another order where there is one), from three
    paths on one of the solver's with a wrong value that is carried on, and wandering ones, whose single steps are right
    and whose choices often are not the teacher's. Right is a path that works out what is asked by steps that are all
    right: a lucky guess is wrong.

    Args:
        config: How many.
        problems: Problems of the world that have a teacher's path.
        teachers: The teacher's paths by problem id.
        seed: Seed of the draw.
        split: Where the problems come from, for the report.

    Raises:
        DataError: There are no problems.
    """
    rng = random.Random(f"qualify/{seed}")
    chosen = drawn(problems, config.problems, rng)
    pairs: list[LabelledPair] = []
    for problem in chosen:
        world = world_of(problem)
        paths = _world_paths(world, problem, config.per_problem, rng)
        taught = [teacher_item("", path) for path in teachers[problem.id]]
        for path in paths:
            right, student = _reached(world, problem, path), teacher_item("", path)
            pairs.append(labelled_pair(problem.id, problem.question, taught, student, right, problem.domain))
    return Labelled(tuple(pairs), f"paths that the built-in world makes for {len(chosen)} {split} problems")


def _world_paths(world: World, problem: Problem, count: int, rng: random.Random) -> list[str]:
    paths = [world.solve(problem, rng)]
    if count > 2:
        changed = WorldChanges(world.name).wrong_value(paths[0], rng)
        paths += [changed + _stated(world, changed)] if changed else []
    return [*paths, *(world.wander(problem, rng) for _ in range(count - len(paths)))]


def _reached(world: World, problem: Problem, path: str) -> bool:
    """Whether a path works out what is asked by steps that are all right; luck is not: no guess, no faults that cancel."""
    asked = world.question.format(a=world.graph_of(problem).target)
    found = [step.answer for step in world.decompose(path).steps if step.sub_problem == asked]
    steps_right, steps = world.check_steps(problem, path)
    return bool(found) and steps_right == steps and world.verify(problem, world.read_answer(path))


def _stated(world: World, path: str) -> str:
    """The final answer as a path of the world states it: what its last step found."""
    return f"\nThe answer is {world.decompose(path).steps[-1].answer}."


def drawn(problems: Sequence[Problem], count: int, rng: random.Random) -> list[Problem]:
    """Draws at most ``count`` problems at random, in their own order.

    Raises:
        DataError: There is none.
    """
    if not problems:
        raise DataError(
            "no problem has a teacher's path to qualify the reward on; raise data.sizes.validation, or name labelled "
            "solutions with qualify.pairs={type: file, path: ...}, or set qualify.enabled=false"
        )
    places = sorted(rng.sample(range(len(problems)), min(count, len(problems))))
    return [problems[i] for i in places]


def taught_problems(data: Path, traces: Path) -> tuple[list[Problem], dict[str, list[str]], str]:
    """Finds the validation problems with an accepted teacher path, or, where there are none, training ones.

    Args:
        data: Folder of the data stage.
        traces: Folder of the traces stage.

    Returns:
        The problems, their teacher paths by id, and the split.
    """
    taught: dict[str, list[str]] = {}
    for row in iter_rows(traces / "accepted.jsonl", TeacherTrace):
        taught.setdefault(row.problem_id, []).append(row.path)
    for split in ("validation", "train"):
        path = data / f"{split}.jsonl"
        problems = (
            [problem for problem in read_rows(path, Problem) if problem.id in taught] if path.exists() else []
        )
        if problems:
            return problems, taught, split
    return [], taught, "validation"
