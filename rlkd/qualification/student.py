"""The student's own samples as labelled pairs: what RL will score first."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from rlkd.qualification.pairs import Labelled, drawn, labelled_pair
from rlkd.rewards.components.standard import outcome_reward
from rlkd.rewards.scoring import read_rollout
from rlkd.structure.scorer import path_item, teacher_item
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import StudentPairs
from schemas.problem import Problem
from schemas.qualification import LabelledPair
from schemas.rollout import Completion


def student_pairs(
    settings: StudentPairs,
    config: PipelineConfig,
    problems: Sequence[Problem],
    teachers: Mapping[str, Sequence[str]],
    folder: Path | None,
    split: str = "validation",
) -> Labelled:
    """Samples the student before RL and labels the samples by the verifier; those that it gave no verdict on are left out.

    Args:
        settings: How many, and how.
        config: The configuration; its ``student`` section says how to ask.
        problems: Problems that have a teacher's path.
        teachers: The teacher's paths by problem id.
        folder: The warm-started student; ``None`` takes the student as it is.
        split: Where the problems come from, for the report.

    Raises:
        DataError: There are no problems.
        CheckpointError: The student cannot be loaded.
    """
    chosen = drawn(problems, settings.problems, random.Random(f"qualify/{config.seed}"))
    asked = [problem for problem in chosen for _ in range(settings.per_problem)]
    completions = sample_student(settings, config, asked, folder)
    pairs, unverified = label(config, asked, completions, teachers)
    who = "the warm-started student" if folder is not None else "the student as it is"
    notes = (
        (f"The verifier gave no verdict on {unverified} samples; they are left out.",) if unverified else ()
    )
    return Labelled(tuple(pairs), f"samples of {who} on {len(chosen)} {split} problems", notes)


def label(
    config: PipelineConfig,
    problems: Sequence[Problem],
    completions: Sequence[Completion],
    teachers: Mapping[str, Sequence[str]],
) -> tuple[list[LabelledPair], int]:
    """Labels completions, and counts those that the verifier gave no verdict on."""
    taught = {name: [teacher_item("", path) for path in paths] for name, paths in teachers.items()}
    pairs = []
    for problem, completion in zip(problems, completions, strict=True):
        rollout = read_rollout(completion, problem, config.student)
        outcome = outcome_reward(rollout)
        if outcome is None:
            continue
        student = path_item(problem.question, rollout.parsed)
        pairs.append(
            labelled_pair(
                problem.id, problem.question, taught[problem.id], student, outcome >= 1.0, problem.domain
            )
        )
    return pairs, len(problems) - len(pairs)


def sample_student(
    settings: StudentPairs, config: PipelineConfig, problems: Sequence[Problem], folder: Path | None
) -> list[Completion]:
    """Draws one sample per entry of ``problems``, in order; an empty one where the prompt is too long."""
    from rlkd.evaluation.solvers import StudentSolver
    from rlkd.student.quiet import quiet_libraries

    quiet_libraries()
    solver = StudentSolver(config.student, folder, config.evaluate.batch_size)
    return solver.generate(problems, settings.temperature, config.seed)
