"""The real examiner: students on this machine, and the scores that the configuration asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rlkd.answers.conventions import ParsedOutput, read_output
from rlkd.evaluation.answers import f1_score
from rlkd.evaluation.parts import Grade, PathComparison
from rlkd.evaluation.solvers import StudentSolver
from rlkd.io import iter_rows
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.standard import outcome_reward
from rlkd.rewards.scoring import make_components, measure, read_rollout
from rlkd.structure.backends.cached import last_fault
from rlkd.structure.factory import make_scorer
from rlkd.structure.scorer import ScoreItem, path_item
from schemas.alignment import StructureScore
from schemas.config.pipeline import PipelineConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import PrefixAlignmentConfig, StructuresConfig
from schemas.evaluation import CheckpointName, SampleStep
from schemas.problem import Problem
from schemas.rollout import Completion
from schemas.structure import Structure
from schemas.trace import TeacherTrace


class StudentExaminer:
    """Samples from a run's checkpoints and scores what they write.

    The structure score is the configured one, against all teacher paths of the problem, and always in [0, 1]: the
    paper's unbounded sum is divided by the teacher's number of steps here, or it could not be averaged.

    Args:
        config: The configuration; sections ``student``, ``structures`` and ``evaluate`` are read.
        inputs: Folders of the stages ``traces`` and ``structures``, and of ``warm_start`` and ``rl`` where there are.
    """

    def __init__(self, config: PipelineConfig, inputs: Mapping[str, Path]) -> None:
        self.config = config
        self.inputs = inputs
        self.scorer = make_scorer(_bounded(config.structures))
        self.teachers = _teachers(inputs["structures"])
        # The standard components, whatever RL was paid for.
        self.components = make_components(RewardsConfig(undecided=config.evaluate.undecided))
        self._runner = asyncio.Runner()
        self._paths: dict[str, str] | None = None
        self._solver: StudentSolver | None = None

    def close(self) -> None:
        """Lets go of the student and ends the event loop."""
        if self._solver is not None:
            self._solver.close()
        self._runner.close()

    @property
    def last_fault(self) -> str:
        """What went wrong last in the decomposer or the judge; empty where nothing is known."""
        return last_fault(self.scorer)

    def open(self, checkpoint: CheckpointName) -> None:
        """Loads a checkpoint, in place of the one before.

        Raises:
            CheckpointError: It cannot be loaded.
        """
        opened, self._solver = self.solver(checkpoint), None
        opened.load()
        self._solver = opened

    def solver(self, checkpoint: CheckpointName) -> StudentSolver:
        """Makes a model of a checkpoint, in place of the one that was open."""
        if self._solver is not None:
            self._solver.close()  # before the next one is loaded: two large students may not fit
        self._solver = StudentSolver(
            self.config.student, self._folder(checkpoint), self.config.evaluate.batch_size
        )
        return self._solver

    def complete(self, problems: Sequence[Problem], temperature: float | None, seed: int) -> list[Completion]:
        """Samples one completion per problem, in order; greedy where ``temperature`` is ``None``.

        A prompt over ``student.max_prompt_tokens`` gets an empty completion: the student cannot be asked, and that
        counts against it.
        """
        if self._solver is None:
            raise RuntimeError("no checkpoint is open")
        return self._solver.generate(problems, temperature, seed)

    def grade(self, problems: Sequence[Problem], completions: Sequence[Completion]) -> list[Grade]:
        """Scores completions by everything that is evaluated, in order; each is read once."""
        rollouts = self._read(problems, completions)
        scores = self._structure(problems, rollouts)
        rollouts = [
            replace(rollout, structure=score) for rollout, score in zip(rollouts, scores, strict=True)
        ]
        return [
            Grade(
                answer=rollout.parsed.answer,
                correct=None if values["outcome"] is None else values["outcome"] >= 1.0,
                format=values["format"],
                structure=values["structure"],
                undecided=rollout.notes.get("outcome", ""),
                f1=f1_score(problem, rollout.parsed.answer),
                own_answer=rollout.structure.own_answer if rollout.structure else None,
            )
            for problem, rollout, values in zip(
                problems, rollouts, measure(rollouts, self.components), strict=True
            )
        ]

    def right(
        self, problems: Sequence[Problem], completions: Sequence[Completion]
    ) -> list[tuple[bool | None, str]]:
        """Judges each completion's answer as :meth:`grade` does, in order; equal answers to a problem are verified once."""
        known: dict[tuple[str, str | None], tuple[bool | None, str]] = {}
        found: list[tuple[bool | None, str]] = []
        for problem, rollout in zip(problems, self._read(problems, completions), strict=True):
            key = problem.id, rollout.parsed.answer
            if key not in known:
                score = outcome_reward(rollout, undecided=self.config.evaluate.undecided)
                known[key] = None if score is None else score >= 1.0, rollout.notes.get("outcome", "")
            found.append(known[key])
        return found

    def _read(self, problems: Sequence[Problem], completions: Sequence[Completion]) -> list[Rollout]:
        return [
            read_rollout(completion, problem, self.config.student)
            for problem, completion in zip(problems, completions, strict=True)
        ]

    def compare(self, problem: Problem, texts: Sequence[str]) -> PathComparison:
        """Shows completions beside the teacher's path that the last of them follows best, by its steps."""
        teachers = self.teachers.get(problem.id, [])
        if not teachers:
            return PathComparison("", (), ((),) * len(texts))
        # The texts as they are: the steps are marked in them.
        read = [replace(read_output(text, self.config.student.output), path=text) for text in texts]
        best = self._score([_item(problem, teachers, read[-1])])[0]
        shown = teachers[_teacher_of(best)]
        scores = self._score([_item(problem, [shown], own) for own in read])
        structures = self._runner.run(
            self.scorer.decomposer.decompose(
                [path_item(problem.question, own, problem.domain) for own in read]
            )
        )
        followers = (
            {}
            if scores[-1] is None
            else {m.teacher_step: m.index for m in scores[-1].steps if m.teacher_step is not None}
        )
        return PathComparison(
            teacher_path=self._trace_path(shown.trace_id),
            teacher_steps=_steps(shown, followers),
            student_steps=tuple(
                () if structure is None else _marked(structure, score)
                for structure, score in zip(structures, scores, strict=True)
            ),
        )

    def _folder(self, checkpoint: CheckpointName) -> Path | None:
        if checkpoint == "warm_start":
            return self.inputs["warm_start"] / "model"
        if checkpoint == "rlkd":
            return self.inputs["rl"] / "model"
        if self.config.student.model.type == "checkpoint":
            return None
        # A fresh student was made by the first stage that trained it.
        made = [self.inputs[stage] / "base" for stage in ("warm_start", "rl") if stage in self.inputs]
        return made[0] if made else None

    def _structure(
        self, problems: Sequence[Problem], rollouts: Sequence[Rollout]
    ) -> list[StructureScore | None]:
        """Structure scores of what RL rewards, the path; missing where the problem has no teacher path."""
        taught = [i for i, problem in enumerate(problems) if problem.id in self.teachers]
        scores = self._score(
            [_item(problems[i], self.teachers[problems[i].id], rollouts[i].parsed) for i in taught]
        )
        found: list[StructureScore | None] = [None] * len(problems)
        for i, score in zip(taught, scores, strict=True):
            found[i] = score
        return found

    def _score(self, items: Sequence[ScoreItem]) -> list[StructureScore | None]:
        return self._runner.run(self.scorer.score(items)) if items else []

    def _trace_path(self, trace_id: str) -> str:
        if self._paths is None:
            rows = iter_rows(self.inputs["traces"] / "accepted.jsonl", TeacherTrace)
            self._paths = {row.id: row.path for row in rows}
        return self._paths.get(trace_id, "")


def _bounded(config: StructuresConfig) -> StructuresConfig:
    if isinstance(config.alignment, PrefixAlignmentConfig):
        return config.model_copy(
            update={"alignment": config.alignment.model_copy(update={"normalize": True})}
        )
    return config


def _teachers(folder: Path) -> dict[str, list[Structure]]:
    """Teacher structures that have steps, by problem id."""
    found: dict[str, list[Structure]] = {}
    for row in iter_rows(folder / "structures.jsonl", Structure):
        if row.steps:
            found.setdefault(row.problem_id, []).append(row)
    return found


def _item(problem: Problem, teachers: Sequence[Structure], read: ParsedOutput) -> ScoreItem:
    return ScoreItem(path_item(problem.question, read, problem.domain), tuple(teachers))


def _teacher_of(score: StructureScore | None) -> int:
    """The teacher path that most steps go with; the first one where none does."""
    if score is None:
        return 0
    votes = [match.teacher_path for match in score.steps if match.teacher_path is not None]
    return max(sorted(set(votes)), key=votes.count, default=0)


def _steps(structure: Structure, partners: Mapping[int, int]) -> tuple[SampleStep, ...]:
    return tuple(
        SampleStep(
            index=step.index,
            start=step.start,
            end=step.end,
            sub_problem=step.sub_problem,
            answer=step.answer,
            partner=partners.get(step.index),
        )
        for step in structure.steps
    )


def _marked(structure: Structure, score: StructureScore | None) -> tuple[SampleStep, ...]:
    """A student's steps with partners and verdicts."""
    matches = (
        {}
        if score is None
        else {match.index: match for match in score.steps if match.teacher_step is not None}
    )
    steps = _steps(structure, {index: match.teacher_step or 0 for index, match in matches.items()})
    return tuple(
        step.model_copy(update={"verdict": matches[step.index]}) if step.index in matches else step
        for step in steps
    )
