"""Teachers by themselves."""

from __future__ import annotations

import pytest

from rlkd.data.teachers import none, open_teacher, world
from rlkd.data.teachers.column import ColumnTeacher as DatasetColumns
from rlkd.data.teachers.world import WorldTeacher as WorldSolver
from rlkd.errors import DataError
from rlkd.worlds import make_splits
from schemas.config.traces import ColumnTeacher, NoTeacher, WorldTeacher
from schemas.config.world import StepRange, WorldSettings
from schemas.problem import Problem

SETTINGS = WorldSettings.model_validate({"n_train": 10, "n_validation": 0, "n_test": 0, "n_ood": 0})


def test_world_paths_depend_on_problem_and_seed_alone() -> None:
    problems = make_splits(SETTINGS, 0)["train"]
    alone = WorldSolver().paths(problems[7], 3, 5)
    solver = WorldSolver()
    after_others = [solver.paths(problem, 3, 5) for problem in problems][7]
    assert alone == after_others
    assert all(1 <= len(solver.paths(problem, 3, 5)) <= 3 for problem in problems)
    assert any(solver.paths(problem, 3, 5) != solver.paths(problem, 3, 6) for problem in problems)


def test_the_first_world_path_is_the_teachers_own_order() -> None:
    for problem in make_splits(SETTINGS, 1)["train"]:
        assert WorldSolver().paths(problem, 1, 0) == WorldSolver().paths(problem, 4, 9)[:1]


def test_a_teacher_of_random_branches_takes_another_walk_for_another_seed() -> None:
    solver = open_teacher(WorldTeacher(type="world", branches="random"), [])
    deep = SETTINGS.model_copy(
        update={"steps": StepRange(min=5, max=7)}
    )  # shallow ones are often a single chain
    problems = make_splits(deep, 1)["train"]
    walks = {seed: [solver.paths(problem, 1, seed)[0][0] for problem in problems] for seed in (0, 1)}
    assert walks[0] == [solver.paths(problem, 1, 0)[0][0] for problem in problems]
    assert walks[0] != walks[1]
    # the same lines (a plan and a solution for each needed quantity) in another order
    assert [sorted(path.split("\n")) for path in walks[0]] == [sorted(path.split("\n")) for path in walks[1]]


def test_columns_give_their_paths_in_order_without_repeats() -> None:
    problem = Problem(id="a", question="q", answer="1", traces=("x", "y", "x", "z"))
    assert [path for path, _ in DatasetColumns().paths(problem, 2, 0)] == ["x", "y"]
    assert [path for path, _ in DatasetColumns().paths(problem, 9, 0)] == ["x", "y", "z"]


def test_the_configuration_names_the_teacher() -> None:
    with_trace = Problem(id="a", question="q", answer="1", traces=("x",))
    assert isinstance(open_teacher(WorldTeacher(type="world"), []), world.WorldTeacher)
    assert isinstance(open_teacher(ColumnTeacher(type="column"), [with_trace]), DatasetColumns)
    assert isinstance(open_teacher(NoTeacher(type="none"), []), none.NoTeacher)
    with pytest.raises(DataError, match=r"name the columns that hold them in data\.columns\.traces"):
        open_teacher(ColumnTeacher(type="column"), [])
