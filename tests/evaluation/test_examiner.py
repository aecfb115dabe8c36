from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlkd.answers.conventions import write_output
from rlkd.data.stage import prepare_data
from rlkd.data.traces import collect_traces
from rlkd.errors import CheckpointError
from rlkd.evaluation.examiner import StudentExaminer
from rlkd.evaluation.stage import evaluate
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.rewards.components import Rollout
from rlkd.structure.stage import decompose_traces
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import EvalReport, ProblemOutput, SampleProblem
from schemas.problem import Problem
from schemas.rollout import Completion
from schemas.structure import Structure
from schemas.trace import TeacherTrace

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "type": "world",
        "world": {
            "n_train": 8,
            "n_validation": 2,
            "n_test": 6,
            "n_ood": 3,
            "domains": {"arithmetic": 1, "logic": 1},
        },
    },
    "structures": {"decomposer": {"type": "world"}},
    "student": {
        "model": {"type": "fresh", "vocabulary": 400, "layers": 1, "width": 16, "heads": 2, "context": 1024},
        "max_prompt_tokens": 900,
        "max_completion_tokens": 12,
    },
    "evaluate": {"batch_size": 4, "samples": 2, "pass_at": [1, 2], "pass_problems": 2, "resamples": 100},
}


@pytest.fixture(scope="module")
def config() -> PipelineConfig:
    return PipelineConfig.model_validate(CONFIG)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, config: PipelineConfig) -> dict[str, Path]:
    """The stages before training, for real, and an untrained student in every role."""
    root = tmp_path_factory.mktemp("store")
    found: dict[str, Path] = {}
    for name, stage in (("data", prepare_data), ("traces", collect_traces), ("structures", decompose_traces)):
        (root / name).mkdir()
        stage(StageContext(config, dict(found), root / name, NullSink()))
        found[name] = root / name
    return found


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, config: PipelineConfig, inputs: dict[str, Path]
) -> dict[str, Path]:
    pytest.importorskip("torch")
    from rlkd.student.checkpoints import save_student
    from rlkd.student.fresh import fresh_student

    texts = [problem.question for problem in read_rows(inputs["data"] / "train.jsonl", Problem)]
    folder = tmp_path_factory.mktemp("students")
    for i, name in enumerate(("warm_start/base", "warm_start/model", "rl/model")):
        (folder / name).parent.mkdir(exist_ok=True)
        student = fresh_student(config.student, texts, i)
        for weights in student.model.parameters():  # untrained ones only repeat the last token of the prompt
            weights.data.normal_()
        save_student(student.model, student.tokenizer, folder / name)
    return {**inputs, "warm_start": folder / "warm_start", "rl": folder / "rl"}


def taught(inputs: dict[str, Path]) -> list[tuple[Problem, TeacherTrace]]:
    problems = {row.id: row for row in read_rows(inputs["data"] / "test.jsonl", Problem)}
    traces = read_rows(inputs["traces"] / "accepted.jsonl", TeacherTrace)
    return [(problems[trace.problem_id], trace) for trace in traces if trace.problem_id in problems]


def completion(problem: Problem, text: str) -> Completion:
    return Completion(problem_id=problem.id, text=text, tokens=9, finish_reason="stop")


def test_the_teachers_own_paths_get_full_marks(config: PipelineConfig, inputs: dict[str, Path]) -> None:
    pairs = taught(inputs)
    assert {problem.domain for problem, _ in pairs} == {"arithmetic", "logic"}
    examiner = StudentExaminer(config, inputs)
    texts = [write_output(trace.path, problem.answer, "answer_line") for problem, trace in pairs]
    grades = examiner.grade(
        [p for p, _ in pairs], [completion(p, t) for (p, _), t in zip(pairs, texts, strict=True)]
    )
    assert all(grade.correct is True and grade.format == 1 for grade in grades)
    assert all(grade.structure == pytest.approx(1) for grade in grades)
    assert [grade.answer for grade in grades] == [problem.answer for problem, _ in pairs]
    examiner.close()


def test_what_is_scored_is_the_path_that_rl_rewards(config: PipelineConfig, inputs: dict[str, Path]) -> None:
    problem, trace = taught(inputs)[0]
    boxed = config.model_copy(update={"student": config.student.model_copy(update={"output": "think_boxed"})})
    examiner = StudentExaminer(boxed, inputs)
    asked: list[str] = []
    score = examiner.scorer.score

    async def watched(items: Any) -> Any:
        asked.extend(item.student.path for item in items)
        return await score(items)

    examiner.scorer.score = watched  # type: ignore[method-assign]
    text = f"<think>\n{trace.path}\n</think>\n<answer>\\boxed{{{problem.answer}}}</answer>"
    examiner.grade([problem], [completion(problem, text)])
    assert asked == [trace.path]
    examiner.close()


def test_what_is_left_of_a_worded_statement_is_no_step(
    config: PipelineConfig, inputs: dict[str, Path]
) -> None:
    problem, trace = next(pair for pair in taught(inputs) if pair[0].domain == "logic")
    examiner = StudentExaminer(config, inputs)
    asked: list[str] = []
    score = examiner.scorer.score

    async def watched(items: Any) -> Any:
        asked.extend(item.student.path for item in items)
        return await score(items)

    examiner.scorer.score = watched  # type: ignore[method-assign]
    examiner.grade([problem], [completion(problem, f"{trace.path}\nSo the answer is {problem.answer}.")])
    # "So" stood there as a step in evaluation, and not in RL.
    assert [path.strip() for path in asked] == [trace.path]
    examiner.close()


def test_an_empty_completion_is_wrong_and_scores_0(config: PipelineConfig, inputs: dict[str, Path]) -> None:
    examiner = StudentExaminer(config, inputs)
    problem, _ = taught(inputs)[0]
    (grade,) = examiner.grade([problem], [completion(problem, "")])
    assert (grade.answer, grade.correct, grade.format, grade.structure) == (None, False, 0, 0)
    examiner.close()


def test_a_problem_without_a_teacher_path_has_no_structure_score(
    config: PipelineConfig, inputs: dict[str, Path]
) -> None:
    examiner = StudentExaminer(config, inputs)
    problem, trace = taught(inputs)[0]
    del examiner.teachers[problem.id]
    (grade,) = examiner.grade([problem], [completion(problem, trace.path)])
    assert grade.structure is None
    assert grade.correct is True
    compared = examiner.compare(problem, ["a path", "another"])
    assert (compared.teacher_path, compared.student_steps) == ("", ((), ()))
    examiner.close()


def test_comparison_marks_the_steps_that_belong_together(
    config: PipelineConfig, inputs: dict[str, Path]
) -> None:
    examiner = StudentExaminer(config, inputs)
    problem, trace = taught(inputs)[0]
    structure = next(
        s for s in read_rows(inputs["structures"] / "structures.jsonl", Structure) if s.trace_id == trace.id
    )
    compared = examiner.compare(problem, ["", trace.path])
    empty, whole = compared.student_steps
    assert empty == ()
    assert compared.teacher_path == trace.path
    assert [(step.start, step.end) for step in compared.teacher_steps] == [
        (s.start, s.end) for s in structure.steps
    ]
    # The same path: every step goes with itself, on both sides.
    assert [step.partner for step in compared.teacher_steps] == list(range(len(structure.steps)))
    assert [step.partner for step in whole] == list(range(len(structure.steps)))
    assert all(step.verdict is not None and step.verdict.p_answer == 1 for step in whole)
    examiner.close()


def test_the_best_of_several_teacher_paths_is_shown(config: PipelineConfig, inputs: dict[str, Path]) -> None:
    examiner = StudentExaminer(config, inputs)
    (problem, trace), (_, foreign) = taught(inputs)[0], next(pair for pair in taught(inputs)[1:])
    structures = {s.trace_id: s for s in read_rows(inputs["structures"] / "structures.jsonl", Structure)}
    examiner.teachers[problem.id] = [structures[foreign.id], structures[trace.id]]
    assert examiner.compare(problem, [trace.path]).teacher_path == trace.path
    examiner.close()


def test_the_unbounded_sum_is_normalised(config: PipelineConfig, inputs: dict[str, Path]) -> None:
    values = {
        **CONFIG,
        "structures": {**CONFIG["structures"], "alignment": {"type": "prefix", "normalize": False}},
    }
    examiner = StudentExaminer(PipelineConfig.model_validate(values), inputs)
    problem, trace = taught(inputs)[0]
    (grade,) = examiner.grade([problem], [completion(problem, trace.path)])
    assert grade.structure == pytest.approx(1)
    examiner.close()


@pytest.mark.parametrize(("counts_as", "right"), [("wrong", False), ("missing", None), ("right", True)])
def test_undecided_answers_count_alike_in_accuracy_and_in_samples(
    config: PipelineConfig, inputs: dict[str, Path], counts_as: str, right: bool | None
) -> None:
    told = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"undecided": counts_as})})
    problem = Problem(id="p", question="How many?", answer="5 apples", split="test")
    done = [completion(problem, f"The answer is {answer}.") for answer in ("5 pears", "5 apples", "6")]
    with closing(StudentExaminer(told, inputs)) as examiner:
        graded = examiner.grade([problem] * 3, done)
        sampled = examiner.right([problem] * 3, done)
    assert [(grade.correct, grade.undecided) for grade in graded] == sampled
    assert sampled == [(right, "units that are not known"), (True, ""), (False, "")]


def test_a_verifier_that_fails_is_missing_and_asked_once(
    config: PipelineConfig, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def broken(rollout: Rollout, undecided: str) -> None:
        calls.append(rollout.text)

    monkeypatch.setattr("rlkd.evaluation.examiner.outcome_reward", broken)
    examiner = StudentExaminer(config, inputs)
    problem, _ = taught(inputs)[0]
    found = examiner.right(
        [problem] * 3,
        [
            completion(problem, "So, the answer is 3."),
            completion(problem, "The answer is 3."),
            completion(problem, "?"),
        ],
    )
    assert [right for right, _ in found] == [None, None, None]
    assert len(calls) == 2  # "3" once, no answer once
    examiner.close()


@pytest.mark.slow
def test_evaluates_real_students(
    tmp_path: Path, config: PipelineConfig, trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = StageContext(config, trained, tmp_path, NullSink())
    result = evaluate(ctx)
    rows = read_rows(tmp_path / "outputs.jsonl", ProblemOutput)
    assert result.rows == len(rows) == 3 * (6 + 3)
    assert all(row.structure is not None and row.tokens <= 12 for row in rows)
    assert (
        len({row.completion for row in rows if row.problem_id == rows[0].problem_id}) == 3
    )  # three different students
    assert sum(row.samples for row in rows) == 3 * (2 + 2) * 2
    report = EvalReport.model_validate_json((tmp_path / "eval_report.json").read_text())
    assert len(report.paired) == 3 * 2 * 2
    samples = read_rows(tmp_path / "samples.jsonl", SampleProblem)
    assert samples
    assert all(sample.teacher_path and sample.teacher_steps for sample in samples)
    # Several processes share the problems, and end with the same greedy rows.
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        outcome = evaluate(StageContext(config, trained, shared, NullSink()))
        assert (outcome.rows == 0) is (rank == "1")
        assert (shared / "outputs.jsonl").exists() is (rank == "0")
    again = read_rows(shared / "outputs.jsonl", ProblemOutput)
    assert [(r.checkpoint, r.problem_id, r.completion) for r in again] == [
        (r.checkpoint, r.problem_id, r.completion) for r in rows
    ]


def test_a_prompt_that_is_too_long_counts_against_the_student(trained: dict[str, Path]) -> None:
    values = {**CONFIG, "student": {**CONFIG["student"], "max_prompt_tokens": 20}}
    examiner = StudentExaminer(PipelineConfig.model_validate(values), trained)
    examiner.open("rlkd")
    problem, _ = taught(trained)[0]
    short = problem.model_copy(update={"question": "b?"})
    made = examiner.complete([problem, short], None, 0)
    assert (made[0].text, made[0].tokens, made[0].finish_reason) == ("", 0, "length")
    assert made[1].tokens > 0
    assert [one.problem_id for one in made] == [problem.id, short.id]
    examiner.close()


def test_an_incomplete_checkpoint_is_a_user_error(
    tmp_path: Path, config: PipelineConfig, trained: dict[str, Path]
) -> None:
    (tmp_path / "rl" / "model").mkdir(parents=True)
    examiner = StudentExaminer(config, {**trained, "rl": tmp_path / "rl"})
    with pytest.raises(CheckpointError, match="incomplete"):
        examiner.open("rlkd")
    with pytest.raises(RuntimeError, match="no checkpoint is open"):
        examiner.complete([], None, 0)
    examiner.close()


def test_teacher_structures_without_steps_do_not_teach(
    tmp_path: Path, config: PipelineConfig, inputs: dict[str, Path]
) -> None:
    (tmp_path / "structures").mkdir()
    write_rows(tmp_path / "structures" / "structures.jsonl", [Structure(trace_id="a/0", problem_id="a")])
    examiner = StudentExaminer(config, {**inputs, "structures": tmp_path / "structures"})
    assert examiner.teachers == {}
    examiner.close()
