"""An evaluation on named benchmarks as a run of its own in MLflow."""

from __future__ import annotations

import time
from pathlib import Path

from rlkd.evaluation.benchmarks import named_figures
from schemas.benchmarks import ModelEvaluation
from tasks.tracking.connection import client, experiment
from tasks.tracking.runs import flatten, metric_name


def log_evaluation(uri: str, name: str, evaluation: ModelEvaluation, file: Path) -> str:
    """Logs the figures of one model: a run named after it, ``<benchmark>/<metric>`` as metrics, the JSON as an artifact.

    Args:
        uri: Tracking URI.
        name: The experiment.
        evaluation: The figures.
        file: ``evaluation.json``.

    Returns:
        The run's id.
    """
    from mlflow.entities import Metric, Param

    mlflow = client(uri)
    tags = {"rlkd.kind": "evaluation", "rlkd.model": evaluation.model, "rlkd.identity": evaluation.identity}
    run = mlflow.create_run(experiment(uri, name), run_name=f"evaluate {evaluation.model}", tags=tags)
    run_id = str(run.info.run_id)
    now = int(time.time() * 1000)
    asked = {**evaluation.asked, "temperature": evaluation.temperature, "seed": evaluation.seed}
    figures = {key: value for b in evaluation.benchmarks for key, value in named_figures(b).items()}
    figures |= {f"lm_eval/{f.task}/{f.metric}": f.value for f in evaluation.lm_eval}
    mlflow.log_batch(
        run_id,
        metrics=[Metric(metric_name(key), value, now, 0) for key, value in figures.items()],
        params=[Param(key, value) for key, value in flatten(asked).items()],
    )
    mlflow.log_artifact(run_id, str(file))
    mlflow.set_terminated(run_id)
    return run_id
