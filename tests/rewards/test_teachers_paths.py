"""A teacher's own path, written as the student should write it, earns the whole structure reward, on every benchmark at hand."""

from __future__ import annotations

import asyncio

import pytest

from rlkd.answers.conventions import OutputFormat, write_output
from rlkd.data.benchmarks import local_files
from rlkd.data.sources import open_source
from rlkd.data.traces import verify_trace
from rlkd.rewards.scoring import RewardModel
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.interfaces import with_answer
from rlkd.structure.scorer import StructureScorer
from rlkd.structure.stage import trace_item
from schemas.config.data import BenchmarkData
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.trace import TeacherTrace

ECQA = Problem(
    id="p",
    question="What do you put a book on?\nA) a cloud\nB) rain\nC) the table",
    answer="C",
    domain="commonsense",
)
FACTS = "A book is put on furniture.\nA table is furniture."


def rewarded(problem: Problem, trace: TeacherTrace, text: str, output: OutputFormat) -> RewardRecord:
    item = trace_item(problem, trace)
    [read] = asyncio.run(RulesDecomposer().decompose([item]))
    teacher = with_answer(read, item.answer)
    assert teacher is not None
    student = StudentConfig(output=output)
    model = RewardModel(
        RewardsConfig(), student, StructureScorer(), {problem.id: problem}, {problem.id: [teacher]}
    )
    row = Completion(problem_id=problem.id, text=text, tokens=9, finish_reason="stop")
    [record] = asyncio.run(model.score([row], 0))
    return record


@pytest.mark.parametrize("stated", ["C", "(c)", "C) the table", "table", "the table"])
@pytest.mark.parametrize("taught", ["table", "C"])
def test_an_option_is_one_conclusion_by_its_label_and_by_its_text(taught: str, stated: str) -> None:
    trace = verify_trace(ECQA, f"{FACTS}\nThe answer is {taught}.", "t", "t")
    assert rewarded(ECQA, trace, f"{FACTS}\nThe answer is {stated}.", "answer_line").structure == 1.0
    other = rewarded(ECQA, trace, f"{FACTS}\nThe answer is rain.", "answer_line")
    assert other.structure == 0.25  # another conclusion: 2 halvings


def test_a_path_in_words_implies_its_calculations_whether_its_number_stands_beside_it_or_in_it() -> None:
    problem = Problem(id="p", question="There were 3 raccoons. 2 went home. How many are left?", answer="1")
    path = "2 of the 3 raccoons went home, so now there is only 1 left."
    trace = verify_trace(problem, f"{path} The answer is 1.", "t", "t")
    [read] = asyncio.run(RulesDecomposer().decompose([trace_item(problem, trace)]))
    assert read is not None
    assert [c.text for step in read.steps for c in step.calculations] == ["3-2=1"]
    assert rewarded(problem, trace, f"{path}\nThe answer is 1.", "answer_line").structure == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("output", ["answer_line", "think_boxed"])
@pytest.mark.parametrize(
    "name",
    ["aqua", "asdiv", "easy_math", "ecqa", "multiarith", "prontoqa", "prosqa", "strategyqa", "svamp"],
)
def test_real_traces_in_the_students_form_are_worth_one(name: str, output: OutputFormat) -> None:
    config = BenchmarkData(name=name)
    if not local_files(config):
        pytest.skip(f"RLKD_DATA does not hold {name}")
    splits = open_source(config).load(0).splits
    problems = [problem for rows in splits.values() for problem in rows if problem.traces]
    scored = 0
    for problem in problems[:: max(1, len(problems) // 60)]:
        trace = verify_trace(problem, problem.traces[0], "column", "t")
        if not trace.accepted:
            continue
        text = write_output(trace.path, problem.answer, output)
        record = rewarded(problem, trace, text, output)
        assert record.structure in (None, 1.0), (problem.id, text)
        scored += record.structure == 1.0
    assert scored > 20
