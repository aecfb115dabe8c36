"""An experiment's run and those of its cells, against a real MLflow on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import tracking

pytestmark = pytest.mark.slow

Begin = Callable[..., str]


def test_cells_are_children_with_method_seed_and_axes_as_parameters(
    uri: str, begin: Begin, tmp_path: Path
) -> None:
    group = tracking.begin_group(uri, "test", "x", "", tmp_path)
    assert tracking.begin_group(uri, "test", "x", "", tmp_path) == group  # a later attempt goes on with it
    client = tracking.client(uri)
    for method, seed in (("sft+grpo", "0"), ("sft+rlkd", "1")):
        folder = tmp_path / method
        folder.mkdir()
        cell = begin(folder)
        client.log_metric(cell, "test_accuracy_final", 0.5)
        # An axis that is a setting stands in the configuration already, and in other words (`true` and `True`).
        asked = {"method": method, "seed": seed, "size": "0.3 M", "warm_start.packing": "true"}
        tracking.add_to_group(uri, group, cell, asked)
        tracking.add_to_group(uri, group, cell, asked)
        tracking.end_run(uri, cell, "FINISHED")
    tracking.end_group(uri, group, {"sft+rlkd/accuracy": 0.5}, [], "FINISHED")
    place = client.get_run(group).info.experiment_id
    below = client.search_runs([place], f"tags.`mlflow.parentRunId` = '{group}'")
    assert sorted(run.data.params["method"] for run in below) == ["sft+grpo", "sft+rlkd"]
    assert {run.data.params["size"] for run in below} == {"0.3 M"}
    assert {run.data.params["warm_start.packing"] for run in below} == {"True"}
    assert {run.data.params["seed"] for run in below} == {"0"}  # the configuration's own, which is the cell's
    assert {frozenset(run.data.metrics) for run in below} == {frozenset(["test_accuracy_final"])}
    assert client.get_run(group).data.metrics == {"sft_rlkd/accuracy": 0.5}
    assert client.get_run(group).info.status == "FINISHED"


def test_a_folder_with_quotes_is_found_again(uri: str, tmp_path: Path) -> None:
    """MLflow's filter broke at the apostrophe of a folder such as `ann's runs`, and the experiment did not begin."""
    folder = tmp_path / """ann's "best" runs"""
    group = tracking.begin_group(uri, "test", "x", "", folder)
    other = tracking.begin_group(uri, "test", "x", "", tmp_path / "other")
    assert other != group
    assert tracking.begin_group(uri, "test", "x", "", folder) == group
