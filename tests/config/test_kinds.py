"""Files of every kind are told by what they say, and sent to their command."""

from __future__ import annotations

from typing import Any

import pytest

from rlkd.config.kinds import check_kind
from rlkd.errors import ConfigError
from schemas.config.experiment import ExperimentConfig
from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig

EXPERIMENT: dict[str, Any] = {"name": "x", "base": "demo", "methods": ["sft"], "seeds": [0]}


@pytest.mark.parametrize(
    ("model", "values", "said"),
    [
        (
            ExperimentConfig,
            {**EXPERIMENT, "kind": "Experiment"},
            "f.yaml, line 1: kind must be experiment or gsrm, not 'Experiment' (`rlkd run` takes a file without it); did you mean 'experiment'?",
        ),
        (
            PipelineConfig,
            {"kind": None},
            "f.yaml, line 1: kind must be experiment or gsrm, not null (`rlkd run` takes a file without it)",
        ),
        (
            ExperimentConfig,
            EXPERIMENT,
            "f.yaml has the settings of an experiment, but does not say that it is one; add `kind: experiment`",
        ),
        (
            PipelineConfig,
            EXPERIMENT,
            "f.yaml has the settings of an experiment, but does not say that it is one; add `kind: experiment` and give it to `rlkd experiment`",
        ),
        (
            ExperimentConfig,
            {},
            "f.yaml is empty; an experiment has `kind: experiment`, name, base, methods and seeds",
        ),
        (
            ExperimentConfig,
            {"name": "x", "data": {}},
            "f.yaml is no experiment (it has no `kind: experiment`); give it to `rlkd run`",
        ),
        (
            ExperimentConfig,
            {"kind": "gsrm"},
            "f.yaml configures the training of a GSRM; give it to `rlkd train-gsrm`",
        ),
        (GsrmConfig, {"kind": "experiment"}, "f.yaml is an experiment; give it to `rlkd experiment`"),
    ],
)
def test_what_is_of_another_kind_is_told_what_to_do(model: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_kind(model, values, {("kind",): "f.yaml, line 1"}, "f.yaml")
    assert str(error.value) == said


def test_what_is_of_the_kind_passes() -> None:
    given: list[tuple[Any, dict[str, Any]]] = [
        (ExperimentConfig, {**EXPERIMENT, "kind": "experiment"}),
        (PipelineConfig, {}),
        (PipelineConfig, {"name": "x", "seeds": 1}),  # one odd setting is a setting that is wrong
        (GsrmConfig, {"kind": "gsrm"}),
    ]
    for model, values in given:
        before = dict(values)
        check_kind(model, values, {}, "f.yaml")  # raises what it refuses
        assert values == before
