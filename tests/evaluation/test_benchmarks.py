from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.errors import DataError, UserError
from rlkd.evaluation.benchmarks import (
    Benchmark,
    benchmark_figures,
    evaluate_benchmark,
    load_benchmark,
    named_figures,
    question_key,
    wait_for_rows,
)
from rlkd.evaluation.differences import benchmark_differences
from rlkd.evaluation.parts import Shares
from rlkd.evaluation.solvers import Ask, EndpointSolver
from schemas.config.evaluation import EvaluateConfig, NamedBenchmark
from schemas.problem import Problem
from schemas.rollout import Completion

SETTINGS = EvaluateConfig(samples=2, pass_at=(1, 2), pass_problems=4, batch_size=3)
PROBLEMS = tuple(
    Problem(id=f"p{i}", question=f"{i} + 2?", answer=str(i + 2), metadata={"cluster": f"c{i // 2}"})
    for i in range(6)
)
BENCHMARK = Benchmark("easy", "test", PROBLEMS)


class Fake:
    """A model that knows the even problems, and is right on every first sample."""

    output = "boxed"
    batch = 4
    cost = fault = ""

    def __init__(self, identity: str = "fake", die_after: int = 99) -> None:
        self.identity, self.calls, self.die_after = identity, 0, die_after
        self.asked: dict[str, Any] = {}
        self.answered: list[tuple[str, int | None]] = []

    def complete(self, asks: Sequence[Ask], temperature: float | None, seed: int) -> list[Completion | None]:
        self.calls += 1
        if self.calls > self.die_after:
            raise KeyboardInterrupt
        self.answered += [(problem.id, index) for problem, index in asks]
        return [self._one(problem, index) for problem, index in asks]

    def _one(self, problem: Problem, index: int | None) -> Completion | None:
        if problem.id == "p5" and index == 1:
            return None  # a request that failed
        right = int(problem.id[1:]) % 2 == 0 if index is None else index == 0
        text = f"\\boxed{{{problem.answer if right else 0}}}"
        return Completion(problem_id=problem.id, text=text, tokens=5, finish_reason="stop")

    def close(self) -> None: ...


def test_a_cluster_that_is_null_is_none(tmp_path: Path) -> None:
    clusters = (None, "", 0, "c")
    problems = tuple(
        problem.model_copy(update={"metadata": {"cluster": cluster}})
        for problem, cluster in zip(PROBLEMS, clusters, strict=False)
    )
    rows = evaluate_benchmark(
        Benchmark("easy", "test", problems), Fake(), SETTINGS, 0, tmp_path / "rows.jsonl"
    )
    assert {row.problem_id: row.cluster for row in rows} == {"p0": "", "p1": "", "p2": "0", "p3": "c"}


def test_figures_by_hand(tmp_path: Path) -> None:
    rows = evaluate_benchmark(BENCHMARK, Fake(), SETTINGS, 0, tmp_path / "rows.jsonl")
    found = benchmark_figures(BENCHMARK, rows, SETTINGS)
    assert (found.problems, found.samples, found.unanswered) == (6, 2, 0)  # p5 is not among the 4 sampled
    greedy = found.greedy["accuracy"]
    assert (greedy.mean, greedy.clusters) == (0.5, 3)
    assert greedy.se == 0  # one right and one wrong in each cluster
    assert found.greedy_strict == found.greedy
    # of two samples the first is right: avg@2 = 1/2, pass@1 = 1/2, pass@2 = 1; one vote each: 1/2
    assert found.sampled["accuracy"].mean == 0.5
    assert {k: figure.mean for k, figure in found.pass_at.items()} == {"1": 0.5, "2": 1.0}
    assert found.majority is not None and found.majority.mean == 0.5
    names = named_figures(found)
    assert names["easy/accuracy"] == names["easy/avg_at_2"] == names["easy/majority_at_2"] == 0.5
    assert names["easy/pass_at_2"] == 1


@pytest.mark.parametrize(
    ("counts_as", "mean", "n"), [("wrong", 0.0, 1), ("right", 1.0, 1), ("missing", None, 0)]
)
def test_what_an_undecided_answer_counts_as(
    tmp_path: Path, counts_as: str, mean: float | None, n: int
) -> None:
    settings = SETTINGS.model_copy(update={"undecided": counts_as, "samples": 0})
    apples = Problem(id="p0", question="?", answer="5 apples")

    class Kilometres(Fake):
        def _one(self, problem: Problem, index: int | None) -> Completion | None:
            return Completion(problem_id=problem.id, text="\\boxed{5 km}", tokens=5, finish_reason="stop")

    benchmark = Benchmark("easy", "test", (apples,))
    rows = evaluate_benchmark(benchmark, Kilometres(), settings, 0, tmp_path / "rows.jsonl")
    found = benchmark_figures(benchmark, rows, settings)
    figure = found.greedy.get("accuracy")
    assert ((figure.mean, figure.n) if figure else (None, 0)) == (mean, n)
    assert found.undecided == {"units that are not known": 1}
    assert found.undecided_counts_as == counts_as


def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluate_benchmark(BENCHMARK, Fake(die_after=2), SETTINGS, 0, path)
    kept = path.read_bytes()
    path.write_bytes(kept[:-20])  # the last line is torn
    second = Fake()
    rows = evaluate_benchmark(BENCHMARK, second, SETTINGS, 0, path)
    assert len(rows) == 6 + 4 * 2
    # 6 greedy answers were there but the torn one, and no sample
    assert len(second.answered) == 1 + 8
    third = Fake()
    assert evaluate_benchmark(BENCHMARK, third, SETTINGS, 0, path) == rows
    assert third.calls == 0


def test_only_what_is_new_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    evaluate_benchmark(BENCHMARK, Fake(), SETTINGS, 0, path)
    more, other = Fake(), Fake("another model")
    evaluate_benchmark(BENCHMARK, more, SETTINGS.model_copy(update={"samples": 3}), 0, path)
    assert more.answered == [(f"p{i}", 2) for i in range(4)]
    evaluate_benchmark(BENCHMARK, other, SETTINGS, 0, path)
    assert len(other.answered) == 14


def test_requests_that_failed_are_counted_and_asked_again(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"pass_problems": None})
    path = tmp_path / "rows.jsonl"
    rows = evaluate_benchmark(BENCHMARK, Fake(), settings, 0, path)
    assert benchmark_figures(BENCHMARK, rows, settings).unanswered == 1
    again = Fake()
    evaluate_benchmark(BENCHMARK, again, settings, 0, path)
    assert again.answered == [("p5", 1)]
    with pytest.raises(UserError, match="none of 6 problems was answered"):
        benchmark_figures(BENCHMARK, [], settings)
    with pytest.raises(UserError, match=r"was answered \(last fault: big: status 500\); see to"):
        benchmark_figures(BENCHMARK, [], settings, fault="big: status 500")


def test_processes_share_the_problems(tmp_path: Path) -> None:
    paths = {}
    for rank in range(2):
        path = tmp_path / f"{rank}.jsonl"
        made = evaluate_benchmark(BENCHMARK, Fake(), SETTINGS, 0, path, Shares(rank, 2))
        paths[path] = len(made)
    together = evaluate_benchmark(BENCHMARK, Fake(), SETTINGS, 0, tmp_path / "all.jsonl")
    assert {row.key for row in wait_for_rows(paths)} == {row.key for row in together}


def write(path: Path, rows: list[dict[str, Any]]) -> NamedBenchmark:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return NamedBenchmark(name="easy_math", path=str(path))


def easy(i: int) -> dict[str, Any]:
    return {"id": f"e{i}", "question": f"{i} + 1?", "answer": str(i + 1), "traces": [], "cluster": i // 2}


def test_the_first_problems_are_part_of_more(tmp_path: Path) -> None:
    named = write(tmp_path / "easy.jsonl", [easy(i) for i in range(20)])
    few, many = load_benchmark(named, 3, 5), load_benchmark(named, 3, 10)
    assert few.problems == many.problems[:5]
    assert few.problems[0].metadata["cluster"] == str(int(few.problems[0].id[1:]) // 2)
    assert few.split == "train" and "no test split" in few.notes[0]
    assert load_benchmark(named, 4, 5).problems != few.problems


def test_what_was_trained_on_is_left_out_and_said(tmp_path: Path) -> None:
    named = write(tmp_path / "easy.jsonl", [easy(i) for i in range(3)])
    seen = frozenset({question_key(" 1 +  1? ")})
    found = load_benchmark(named, 0, seen=seen)
    assert {problem.id for problem in found.problems} == {"e0", "e2"}
    assert "1 problems that were trained on left out" in found.notes
    with pytest.raises(DataError, match="no problem is left"):
        load_benchmark(named, 0, seen=frozenset(question_key(f"{i} + 1?") for i in range(3)))


def test_a_benchmark_that_is_not_there() -> None:
    with pytest.raises(DataError, match="there is no benchmark 'gsm8'; did you mean 'gsm8k'"):
        load_benchmark(NamedBenchmark(name="gsm8"), 0)


def teacher(url: str, folder: Path) -> Any:
    endpoint = {"base_url": url, "model": "big", "attempts": 1, "concurrency": 4}
    settings = {"type": "endpoint", "endpoint": endpoint, "answers": str(folder), "max_tokens": 50}
    traces = {"teacher": settings | {"price": {"completion": 1000}}}
    data = {"type": "file", "path": "p"}
    return parse_config({"name": "t", "data": data, "student": {"output": "boxed"}, "traces": traces}).traces


def test_an_endpoint_is_never_asked_twice(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        i = int(body["messages"][-1]["content"].split()[0])
        if body["temperature"] and i == 3:
            return Reply("broken", status=400)
        return Reply(f"\\boxed{{{i + 2}}}", 5, 10)

    with SimulatedServer(answer) as server:
        config = teacher(server.url, tmp_path / "answers").teacher
        solver = EndpointSolver(config)
        rows = evaluate_benchmark(BENCHMARK, solver, SETTINGS, 0, tmp_path / "rows.jsonl")
        figures = benchmark_figures(BENCHMARK, rows, SETTINGS)
        assert figures.greedy["accuracy"].mean == 1
        assert figures.unanswered == 2  # both samples of problem 3
        # 6 greedy and 6 sampled answers of 10 tokens at 1000 a million
        assert "12 requests" in solver.cost and "0.12 USD" in solver.cost
        solver.close()
        server.reset()
        (tmp_path / "rows.jsonl").unlink()  # the answers themselves are kept with the teacher's
        again = EndpointSolver(config)
        evaluate_benchmark(BENCHMARK, again, SETTINGS, 0, tmp_path / "rows.jsonl")
        again.close()
        assert len(server.seen) == 2


def test_a_server_is_asked_for_the_model_before_the_first_answer_that_is_not_kept(tmp_path: Path) -> None:
    listing = Reply(raw=b'{"data": [{"id": "big"}]}')
    with SimulatedServer(lambda body: Reply("\\boxed{2}", 5, 10) if body else listing) as server:
        config = teacher(server.url, tmp_path / "answers").teacher
        solver = EndpointSolver(config, ask_first=True)
        rows = evaluate_benchmark(BENCHMARK, solver, SETTINGS, 0, tmp_path / "rows.jsonl")
        solver.close()
        assert [seen.path for seen in server.seen].count("/v1/models") == 1
        assert server.seen[0].path == "/v1/models"
    (tmp_path / "rows.jsonl").unlink()
    again = EndpointSolver(config, ask_first=True)  # the server is gone; every answer is kept
    assert evaluate_benchmark(BENCHMARK, again, SETTINGS, 0, tmp_path / "rows.jsonl") == rows
    again.close()
    other = EndpointSolver(teacher(server.url, tmp_path / "none").teacher, ask_first=True)
    with pytest.raises(UserError, match="no OpenAI-compatible server answers at"):
        evaluate_benchmark(BENCHMARK, other, SETTINGS, 0, tmp_path / "other.jsonl")
    other.close()


def test_the_last_fault_is_kept(tmp_path: Path) -> None:
    with SimulatedServer(lambda body: Reply("out of order", status=400)) as server:
        solver = EndpointSolver(teacher(server.url, tmp_path / "answers").teacher)
        assert evaluate_benchmark(BENCHMARK, solver, SETTINGS, 0, tmp_path / "rows.jsonl") == []
        solver.close()
    assert "status 400 (out of order)" in solver.fault


def test_a_teacher_that_is_no_language_model_is_refused() -> None:
    from schemas.config.traces import WorldTeacher

    with pytest.raises(UserError, match="no language model"):
        EndpointSolver(WorldTeacher())


def test_differences_are_over_the_problems_that_both_have_answered(tmp_path: Path) -> None:
    class Better(Fake):
        """Right everywhere, but not in the form that is asked for on the odd problems."""

        def _one(self, problem: Problem, index: int | None) -> Completion | None:
            odd = int(problem.id[1:]) % 2
            text = f"So it is {problem.answer}." if odd else f"\\boxed{{{problem.answer}}}"
            return Completion(problem_id=problem.id, text=text, tokens=5, finish_reason="stop")

    a = evaluate_benchmark(BENCHMARK, Fake(), SETTINGS, 0, tmp_path / "a.jsonl")
    b = evaluate_benchmark(BENCHMARK, Better("b"), SETTINGS, 0, tmp_path / "b.jsonl")
    found = benchmark_differences(
        "easy", ("a", a), ("b", [row for row in b if row.problem_id != "p5"]), SETTINGS
    )
    values = {d.reading: d.difference for d in found}
    # a has 0, 2 and 4 right of 0 to 4; b has all, 0, 2 and 4 of them in its form
    assert (values["greedy"].mean, values["greedy"].n) == (pytest.approx(2 / 5), 5)
    assert values["strict"].mean == 0 and values["strict"].high > 0
    assert values["sampled"].mean == 0.5  # the second sample of each is wrong in a
    assert {d.metric for d in found} == {"accuracy"} and values["greedy"].clusters == 3
    assert benchmark_differences("easy", ("a", a), ("b", []), SETTINGS) == []
