"""An evaluation as a run of its own, against a real MLflow on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mlflow")

from schemas.benchmarks import BenchmarkFigures, Figure, ModelEvaluation
from tasks import tracking

pytestmark = pytest.mark.slow


def test_the_figures_of_each_benchmark_are_metrics(uri: str, tmp_path: Path) -> None:
    half = Figure(mean=0.5, se=0.1, low=0.3, high=0.7, n=25, clusters=25)
    coqa = BenchmarkFigures(
        benchmark="coqa",
        split="test",
        problems=25,
        greedy={"exact_match": half, "f1": half},
        greedy_strict={"exact_match": half},
        samples=4,
        sampled={"f1": half},
        pass_at={"4": half},
        majority=half,
        tokens=12.0,
        truncated=0.0,
        undecided={"time": 2},
    )
    evaluation = ModelEvaluation(
        model="runs/x:rlkd",
        identity="d" * 64,
        asked={"output": "boxed", "api_key_env": "A"},
        temperature=1.0,
        seed=0,
        confidence=0.95,
        benchmarks=(coqa,),
    )
    file = tmp_path / "evaluation.json"
    file.write_text(evaluation.model_dump_json())
    run = tracking.client(uri).get_run(tracking.log_evaluation(uri, "rlkd", evaluation, file))
    assert run.data.metrics == {
        "coqa/exact_match": 0.5,
        "coqa/exact_match_se": 0.1,
        "coqa/f1": 0.5,
        "coqa/f1_se": 0.1,
        "coqa/exact_match_strict": 0.5,
        "coqa/f1_avg_at_4": 0.5,
        "coqa/pass_at_4": 0.5,
        "coqa/majority_at_4": 0.5,
        "coqa/tokens": 12.0,
        "coqa/undecided": 2.0,
    }
    assert run.info.status == "FINISHED"
    assert run.data.params["output"] == "boxed"
