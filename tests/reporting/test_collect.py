from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rlkd.io import read_rows, write_rows
from rlkd.reporting.collect import collect
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import ProblemOutput, SampleProblem
from schemas.trace import TeacherTrace

Config = Callable[..., PipelineConfig]
Sample = Callable[..., SampleProblem]


@pytest.mark.slow
def test_everything_of_a_whole_run(stages: dict[str, Path], config_of: Config) -> None:
    found = collect(config_of(), stages)
    assert found.title == "demo"
    assert {plot.name for plot in found.plots} == {
        "warm_start_loss",
        "rl_curves",
        "checkpoints",
        "difficulty",
        "domains",
        "quadrants",
    }
    assert found.kept == {"train": 1770, "validation": 100, "test": 60, "ood": 30, "unused": 40}
    assert found.rejected == {"wrong answer": 3}
    assert [q.label for q in found.quadrants] == [
        "Base, test",
        "Warm start, test",
        "RLKD, test",
        "Samples, first 2 steps",
        "Samples, last 2 steps",
    ]
    assert [q.n for q in found.quadrants][:3] == [59, 59, 59]  # one of 60 has no structure score
    assert all(
        abs(q.right_structured + q.right_unstructured + q.wrong_structured + q.wrong_unstructured - 1) < 1e-9
        for q in found.quadrants
    )


def test_nothing_but_data(stages: dict[str, Path], config_of: Config) -> None:
    found = collect(config_of(), {"data": stages["data"]})
    assert found.rows.loaded == 2412
    assert (found.evaluation, found.plots, found.samples, found.rewards, found.headline) == (
        None,
        (),
        (),
        (),
        (),
    )


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take most of the time, and have tests of their own."""
    monkeypatch.setattr("rlkd.reporting.collect._plots", lambda *_: [])


@pytest.mark.usefixtures("no_plots")
def test_samples_keep_a_share_for_out_of_distribution(
    stages: dict[str, Path], config_of: Config, sample_of: Sample
) -> None:
    rows = [sample_of(i=i) for i in range(9)] + [sample_of(split="ood", i=i) for i in range(5)]
    write_rows(stages["evaluate"] / "samples.jsonl", rows)

    def splits(count: int) -> list[str]:
        return [s.split for s in collect(config_of(report={"samples": count}), stages).samples]

    assert splits(4) == ["test"] * 3 + ["ood"]
    assert splits(8) == ["test"] * 6 + ["ood"] * 2
    assert splits(0) == []
    write_rows(stages["evaluate"] / "samples.jsonl", rows[9:])
    assert splits(4) == ["ood"] * 4


@pytest.mark.usefixtures("no_plots")
def test_many_reasons_are_summed_up(stages: dict[str, Path], config_of: Config) -> None:
    row = read_rows(stages["traces"] / "rejected.jsonl", TeacherTrace)[0]
    many = [row.model_copy(update={"reason": f"answer {i} is not 9"}) for i in range(20)] + [row] * 5
    write_rows(stages["traces"] / "rejected.jsonl", many)
    found = collect(config_of(), stages)
    assert found.rows.traces_rejected == 25
    assert found.rejected["wrong answer"] == 5
    assert found.rejected["other reasons"] == 9  # 12 are named: this one and 11 of the 20
    assert sum(found.rejected.values()) == 25


@pytest.mark.slow
def test_without_any_structure_score_there_are_no_quadrants(
    stages: dict[str, Path], config_of: Config
) -> None:
    path = stages["evaluate"] / "outputs.jsonl"
    write_rows(path, [row.model_copy(update={"structure": None}) for row in read_rows(path, ProblemOutput)])
    found = collect(config_of(), {name: folder for name, folder in stages.items() if name != "rl"})
    assert found.quadrants == ()
    assert "quadrants" not in {plot.name for plot in found.plots}
