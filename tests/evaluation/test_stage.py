from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlkd.errors import ConfigError, DataError, MissingScoreError
from rlkd.evaluation.parts import Grade, PathComparison
from rlkd.evaluation.stage import evaluate
from rlkd.io import read_rows, write_rows
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.shards import Shard
from rlkd.pipeline.stages import resolve, stage_spec
from rlkd.reporting.findings import describe_findings
from schemas.config.evaluation import EvaluateConfig
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import CheckpointName, EvalReport, ProblemOutput, SampleProblem
from schemas.problem import Problem
from schemas.rollout import Completion

SKILL = {"base": 1, "warm_start": 4, "rlkd": 9}
"""A checkpoint of the fake student solves the problems up to this difficulty."""


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


class FakeExaminer:
    """A student that solves problems up to its skill; samples are right on every other seed."""

    def __init__(self, die_after: int | None = None) -> None:
        self.opened: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.seeds: list[int] = []
        self.die_after = die_after
        self.checkpoint = ""

    def open(self, checkpoint: CheckpointName) -> None:
        self.opened.append(checkpoint)
        self.checkpoint = checkpoint

    def complete(self, problems: Sequence[Problem], temperature: float | None, seed: int) -> list[Completion]:
        if temperature is None:
            if self.die_after is not None and len(self.asked) >= self.die_after:
                raise Killed
            self.asked.extend((self.checkpoint, problem.id) for problem in problems)
            self.seeds.append(seed)
        return [self._complete(problem, i if temperature else 0) for i, problem in enumerate(problems)]

    def _complete(self, problem: Problem, turn: int) -> Completion:
        right = (problem.difficulty or 0) <= SKILL[self.checkpoint] and turn % 2 == 0
        text = problem.answer if right else "wrong"
        return Completion(problem_id=problem.id, text=text, tokens=5, finish_reason="stop")

    def grade(self, problems: Sequence[Problem], completions: Sequence[Completion]) -> list[Grade]:
        right = [ok for ok, _ in self.right(problems, completions)]
        return [
            Grade(done.text, ok, 1.0, None if problem.id == "test-3" else (0.75 if ok else 0.25))
            for problem, done, ok in zip(problems, completions, right, strict=True)
        ]

    def right(
        self, problems: Sequence[Problem], completions: Sequence[Completion]
    ) -> list[tuple[bool | None, str]]:
        return [
            (done.text == problem.answer, "") for problem, done in zip(problems, completions, strict=True)
        ]

    def solver(self, checkpoint: CheckpointName) -> Any:
        return FakeSolver(SKILL[checkpoint])

    def compare(self, problem: Problem, texts: Sequence[str]) -> PathComparison:
        return PathComparison(f"teacher of {problem.id}", (), ((),) * len(texts))


class FakeSolver:
    """Solves easy_math problems whose answer is at most its skill."""

    output, batch, cost, identity = "boxed", 2, "", ""

    def __init__(self, skill: int) -> None:
        self.skill = skill
        self.asked: dict[str, Any] = {}

    def complete(self, asks: Any, temperature: float | None, seed: int) -> list[Completion]:
        return [
            Completion(
                problem_id=problem.id,
                text=f"\\boxed{{{problem.answer if int(problem.answer) <= self.skill else 'none'}}}",
                tokens=3,
                finish_reason="stop",
            )
            for problem, _ in asks
        ]

    def close(self) -> None: ...


def problem(split: str, i: int) -> Problem:
    return Problem(id=f"{split}-{i}", question=f"Question {i}?", answer=str(i), difficulty=i, split=split)  # type: ignore[arg-type]


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., StageContext]:
    def make(
        test: int = 7, ood: int = 5, stages: Sequence[str] = ("warm_start", "rl"), **settings: Any
    ) -> StageContext:
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        write_rows(data / "test.jsonl", [problem("test", i) for i in range(test)])
        write_rows(data / "ood.jsonl", [problem("ood", i) for i in range(5, 5 + ood)])
        folder = tmp_path / "evaluate"
        folder.mkdir(exist_ok=True)
        config = PipelineConfig.model_validate(
            {
                "name": "demo",
                "data": {"type": "world"},
                "evaluate": {"batch_size": 3, "resamples": 100, "samples": 2, "pass_problems": 4, **settings},
            }
        )
        inputs = {name: tmp_path / name for name in ("data", "traces", "structures", *stages)}
        return StageContext(config, inputs, folder, Recorder())

    return make


class Recorder:
    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []
        self.said: list[str] = []

    def progress(self, done: int, total: int, what: str = "") -> None:
        self.done.append((done, total))

    def metrics(self, step: int, values: Any) -> None: ...

    def message(self, text: str) -> None:
        self.said.append(text)


def test_evaluates_every_checkpoint_on_every_split(context: Callable[..., StageContext]) -> None:
    ctx, examiner = context(), FakeExaminer()
    result = evaluate(ctx, examiner)
    # 3 checkpoints x (7 + 5) problems.
    assert result.rows == 36 == len(read_rows(ctx.folder / "outputs.jsonl", ProblemOutput))
    # Test difficulties 0..6: base solves 0 and 1, the warm start 0..4, the final student all.
    assert result.metrics["test_accuracy_base"] == pytest.approx(2 / 7)
    assert result.metrics["test_accuracy_warm_start"] == pytest.approx(5 / 7)
    assert result.metrics["test_accuracy_final"] == result.metrics["test_accuracy_rlkd"] == 1
    # Out of distribution 5..9: none, none, all.
    assert result.metrics["ood_accuracy_warm_start"] == 0
    assert result.metrics["ood_accuracy_gain_warm_start_to_rlkd"] == 1
    report = EvalReport.model_validate_json((ctx.folder / "eval_report.json").read_text())
    found = report.find("rlkd", "test")
    assert found is not None
    assert found.overall.missing_structure == 1
    # k = 4 and 8 need more than the 2 samples; pass@1 and pass@2 are over the 4 sampled problems.
    assert list(found.overall.pass_at) == ["1"]
    assert found.overall.pass_at["1"].n == 4
    assert found.overall.pass_at["1"].mean == 0.5
    assert ctx.events.done[-1] == (36, 36)  # type: ignore[attr-defined]


def test_validation_alone_asks_no_test_problem(context: Callable[..., StageContext]) -> None:
    ctx, examiner = (
        context(splits=["validation"], checkpoints=["rlkd"], samples=0, pass_at=[]),
        FakeExaminer(),
    )
    write_rows(ctx.inputs["data"] / "validation.jsonl", [problem("validation", i) for i in range(8, 12)])
    result = evaluate(ctx, examiner)
    assert {name for _, name in examiner.asked} == {f"validation-{i}" for i in range(8, 12)}
    # Difficulties 8 to 11: the final student solves 8 and 9.
    assert result.metrics["validation_accuracy_final"] == 0.5
    assert not any(name.startswith(("test", "ood")) for name in result.metrics)
    report = EvalReport.model_validate_json((ctx.folder / "eval_report.json").read_text())
    assert describe_findings(report)[0].text.startswith(
        "The RLKD student solves 50.0% of 4 validation problems"
    )


def test_a_split_without_a_problem_is_named(context: Callable[..., StageContext]) -> None:
    with pytest.raises(DataError, match=r"evaluate.splits names \(validation\)"):
        evaluate(context(splits=["validation"]), FakeExaminer())


def test_an_evaluation_reads_the_splits_that_it_asks() -> None:
    def reads(splits: list[str], **more: Any) -> tuple[Any, ...]:
        config = PipelineConfig.model_validate(
            {"name": "x", "data": {"type": "world"}, "evaluate": {"splits": splits, **more}}
        )
        return resolve(stage_spec("evaluate"), config).reads

    assert reads(["test", "ood"]) == stage_spec("evaluate").reads
    only = reads(["validation"])
    assert [read.files for read in only if read.stage == "data"] == [("validation.jsonl",)]
    assert {read.splits for read in only if read.stage in ("traces", "structures")} == {("validation",)}
    with_benchmarks = reads(["validation"], benchmarks=["gsm8k"])
    assert with_benchmarks[-1].files == ("train.jsonl",)
    with pytest.raises(ValueError, match="a split is named twice"):
        reads(["test", "test"])


class FaultyExaminer(FakeExaminer):
    """An examiner whose judge was away, and whose verifier could not tell about some problems."""

    last_fault = "HTTP 401: the key that JUDGE_KEY holds is refused"

    def __init__(self, undecided: dict[str, str]) -> None:
        super().__init__()
        self.undecided = undecided

    def grade(self, problems: Sequence[Problem], completions: Sequence[Completion]) -> list[Grade]:
        return [
            replace(grade, correct=None, undecided=self.undecided[problem.id])
            if problem.id in self.undecided
            else grade
            for problem, grade in zip(problems, super().grade(problems, completions), strict=True)
        ]


def test_what_is_undecided_and_what_failed_is_said(context: Callable[..., StageContext]) -> None:
    ctx = context(test=20, ood=0, checkpoints=["base"])
    result = evaluate(ctx, FaultyExaminer({"test-5": "time", "test-7": "no common value"}))
    assert result.summary["undecided"] == {"time": 1, "no common value": 1}
    assert (result.summary["missing_accuracy"], result.summary["missing_structure"]) == (2, 1)
    assert result.metrics["test_undecided_base"] == 0.1  # 2 of 20
    said = "\n".join(ctx.events.said)  # type: ignore[attr-defined]
    assert "nobody can say whether these answers are right: 1 x time, 1 x no common value" in said
    assert "1 of 20 structure scores are missing (last fault: HTTP 401: the key that JUDGE_KEY" in said
    report = EvalReport.model_validate_json((ctx.folder / "eval_report.json").read_text())
    assert report.structure_fault.startswith("HTTP 401")


def test_too_many_undecided_answers_end_the_stage_with_their_reasons(
    context: Callable[..., StageContext],
) -> None:
    examiner = FaultyExaminer({f"test-{i}": "the verifier failed" for i in range(3)})
    with pytest.raises(
        MissingScoreError, match=r"3 of 20 answers of base on test \(3 x the verifier failed\)"
    ):
        evaluate(context(test=20, ood=0, checkpoints=["base"]), examiner)


def test_all_checkpoints_share_problems_and_seeds(context: Callable[..., StageContext]) -> None:
    ctx, examiner = context(), FakeExaminer()
    evaluate(ctx, examiner)
    per_checkpoint = len(examiner.seeds) // 3
    assert examiner.seeds[:per_checkpoint] == examiner.seeds[per_checkpoint : 2 * per_checkpoint]
    assert len(set(examiner.seeds)) == per_checkpoint == 5  # ceil(7 / 3) + ceil(5 / 3)
    rows = read_rows(ctx.folder / "outputs.jsonl", ProblemOutput)
    sampled = {c: {r.problem_id for r in rows if r.checkpoint == c and r.samples} for c in SKILL}
    assert sampled["base"] == sampled["warm_start"] == sampled["rlkd"]
    assert len(sampled["base"]) == 8


@pytest.mark.parametrize("die_after", [1, 5, 8, 13, 30])
def test_a_killed_evaluation_goes_on_and_ends_the_same(
    context: Callable[..., StageContext], tmp_path: Path, die_after: int
) -> None:
    ctx = context()
    first = FakeExaminer(die_after)
    with pytest.raises(Killed):
        evaluate(ctx, first)
    second = FakeExaminer()
    evaluate(ctx, second)
    asked = first.asked + second.asked
    assert len(asked) == len(set(asked)) == 36  # no problem twice
    finished = (ctx.folder / "outputs.jsonl").read_bytes(), (ctx.folder / "eval_report.json").read_bytes()
    for path in (ctx.folder / "work").iterdir():
        path.unlink()
    evaluate(ctx, FakeExaminer())
    assert finished == (
        (ctx.folder / "outputs.jsonl").read_bytes(),
        (ctx.folder / "eval_report.json").read_bytes(),
    )


def test_a_torn_chunk_is_done_again_as_a_whole(context: Callable[..., StageContext]) -> None:
    ctx = context()
    evaluate(ctx, FakeExaminer())
    path = ctx.folder / "work" / "warm_start-test.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:20])  # one chunk of 3, one row of the next, half a row
    examiner = FakeExaminer()
    evaluate(ctx, examiner)
    assert examiner.opened == ["warm_start"]
    assert examiner.asked == [("warm_start", f"test-{i}") for i in range(3, 7)]
    assert path.read_text() == "".join(lines)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [(("rl",), ["base", "rlkd"]), (("warm_start",), ["base", "warm_start"]), ((), ["base"])],
)
def test_skipped_stages_have_no_checkpoint(
    context: Callable[..., StageContext], stages: tuple[str, ...], expected: list[str]
) -> None:
    result = evaluate(context(stages=stages), FakeExaminer())
    assert result.summary["checkpoints"] == expected
    assert result.metrics["test_accuracy_final"] == result.metrics[f"test_accuracy_{expected[-1]}"]


def test_samples_show_each_kind_of_change(context: Callable[..., StageContext]) -> None:
    ctx = context()
    evaluate(ctx, FakeExaminer())
    samples = read_rows(ctx.folder / "samples.jsonl", SampleProblem)
    # Warm start against RL on the test split: 0..4 right in both, 5 and 6 gained.
    kinds = {s.problem_id: s.kind for s in samples if s.split == "test"}
    assert kinds.pop("test-5") == kinds.pop("test-6") == "gained"
    assert len(kinds) == 3
    assert set(kinds.values()) == {"both_right"}
    assert samples[0].kind == "gained"
    assert [c.checkpoint for c in samples[0].completions] == ["base", "warm_start", "rlkd"]
    assert samples[0].teacher_path == f"teacher of {samples[0].problem_id}"


def test_greedy_only(context: Callable[..., StageContext]) -> None:
    result = evaluate(context(samples=0), FakeExaminer())
    assert not any("pass_at" in name for name in result.metrics)


def test_max_problems_takes_the_first(context: Callable[..., StageContext]) -> None:
    examiner = FakeExaminer()
    evaluate(context(max_problems=2, checkpoints=["base"]), examiner)
    assert examiner.asked == [("base", "test-0"), ("base", "test-1"), ("base", "ood-5"), ("base", "ood-6")]


def test_no_held_out_problems(context: Callable[..., StageContext]) -> None:
    with pytest.raises(DataError, match=r"no held-out problems.*data\.sizes\.test"):
        evaluate(context(test=0, ood=0), FakeExaminer())


def test_no_checkpoint_that_is_asked_for(context: Callable[..., StageContext]) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.checkpoints asks for rlkd"):
        evaluate(context(stages=("warm_start",), checkpoints=["rlkd"]), FakeExaminer())


def test_config_refuses_unknown_checkpoints_and_k() -> None:
    with pytest.raises(ValueError, match="checkpoints"):
        EvaluateConfig(checkpoints=("final",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass_at"):
        EvaluateConfig(pass_at=(0,))


def test_further_benchmarks_are_evaluated_with_every_checkpoint(
    context: Callable[..., StageContext], tmp_path: Path
) -> None:
    file = tmp_path / "easy.jsonl"
    lines = [{"id": f"e{i}", "question": f"{i}?", "answer": str(i), "traces": []} for i in range(6)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ctx = context(benchmarks=[{"name": "easy_math", "path": str(file)}])
    write_rows(ctx.inputs["data"] / "train.jsonl", [Problem(id="t", question="5?", answer="5")])
    result = evaluate(ctx, FakeExaminer())
    # problem 5 was trained on; the base solves 0 and 1 of 0..4, the warm start and the final student all
    assert result.metrics["easy_math/accuracy_base"] == pytest.approx(2 / 5)
    assert result.metrics["easy_math/accuracy"] == result.metrics["easy_math/accuracy_rlkd"] == 1
    report = EvalReport.model_validate_json((ctx.folder / "eval_report.json").read_text())
    assert [found.model for found in report.benchmarks] == ["base", "warm_start", "rlkd"]
    assert "1 problems that were trained on left out" in report.benchmarks[0].notes
    assert any(text == "base on easy_math: accuracy 40.0%" for text in ctx.events.said)  # type: ignore[attr-defined]


def test_a_benchmark_scored_by_f1_shows_it_wherever_its_figures_are(tmp_path: Path) -> None:
    from rlkd.evaluation.metrics import build_report, headline

    rows = [
        ProblemOutput(
            checkpoint=name,
            split="test",
            problem_id=str(i),
            domain="reading",
            difficulty=None,
            completion="",
            answer="",
            correct=False,
            structure=None,
            format=1.0,
            tokens=1,
            finish_reason="stop",
            f1=value,
        )
        for name, values in (("base", (0.0, 0.5)), ("rlkd", (0.5, 1.0)))
        for i, value in enumerate(values)
    ]
    report = build_report(rows)
    figures = headline(report)
    assert (figures["test_f1_base"], figures["test_f1_final"]) == (0.25, 0.75)
    assert figures["test_f1_gain_base_to_rlkd"] == 0.5


def test_shards_make_what_one_run_makes_and_nothing_twice(context: Callable[..., StageContext]) -> None:
    ctx = context()
    evaluate(ctx, FakeExaminer())
    outputs = (ctx.folder / "outputs.jsonl").read_bytes()
    other = replace(ctx, folder=ctx.folder.with_name("sharded"))
    other.folder.mkdir()
    asked: list[tuple[str, str]] = []
    for index in (1, 0):
        for examiner in (
            FakeExaminer(die_after=4),
            FakeExaminer(),
        ):  # each is killed once, in its second chunk
            try:
                evaluate(replace(other, shard=Shard(index, 2)), examiner)
            except Killed:
                asked += examiner.asked
                continue
            asked += examiner.asked
    assert not (other.folder / "outputs.jsonl").exists()
    last = FakeExaminer()
    evaluate(other, last)
    assert last.opened == [] and last.asked == []
    assert (other.folder / "outputs.jsonl").read_bytes() == outputs
    # 3 checkpoints on 7 + 5 problems; the killed ones had finished their chunks
    assert len(asked) == len(set(asked)) == 36


def test_benchmarks_in_shards_are_answered_once_and_compared_in_pairs(
    context: Callable[..., StageContext], tmp_path: Path
) -> None:
    file = tmp_path / "easy.jsonl"
    lines = [
        {"id": f"e{i}", "question": f"{i}?", "answer": str(i), "traces": [], "cluster": i // 2}
        for i in range(6)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ctx = context(benchmarks=[{"name": "easy_math", "path": str(file)}])
    evaluate(ctx, FakeExaminer())
    report = EvalReport.model_validate_json((ctx.folder / "eval_report.json").read_text())
    # problems 0 to 5: the base solves 0 and 1, the warm start 0 to 4, the final student all
    found = {(d.a, d.b, d.reading): d.difference for d in report.benchmark_differences}
    assert found["warm_start", "rlkd", "greedy"].mean == pytest.approx(1 / 6)
    assert found["base", "rlkd", "sampled"].n == 4  # evaluate.pass_problems
    # the clusters' sums of deviations from 2/3: -4/3, 2/3 and 2/3; SE = sqrt(3 / 2 * 24 / 9) / 6 = 1/3
    assert found["base", "rlkd", "greedy"].se == pytest.approx(1 / 3)
    assert found["base", "rlkd", "greedy"].clusters == 3

    other = replace(ctx, folder=ctx.folder.with_name("sharded"))
    other.folder.mkdir()
    asked: list[tuple[str, str, int | None]] = []

    class Counting(FakeExaminer):
        def solver(self, checkpoint: CheckpointName) -> Any:
            made = FakeSolver(SKILL[checkpoint])
            answer = made.complete

            def complete(asks: Any, temperature: float | None, seed: int) -> list[Completion]:
                asked.extend((checkpoint, problem.id, index) for problem, index in asks)
                return answer(asks, temperature, seed)

            made.complete = complete  # type: ignore[method-assign]
            return made

    for index in (1, 0, 1):  # a shard that is run again finds its rows
        evaluate(replace(other, shard=Shard(index, 2)), Counting())
    evaluate(other, Counting())
    # 3 checkpoints, 6 greedy answers and 2 samples of 4 problems each
    assert len(asked) == len(set(asked)) == 3 * (6 + 2 * 4)
    assert (other.folder / "eval_report.json").read_bytes() == (ctx.folder / "eval_report.json").read_bytes()
    assert any("shard1of2" in path.name for path in (other.folder / "work").iterdir())
