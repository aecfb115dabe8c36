from __future__ import annotations

import math
from pathlib import Path

import pytest

from rlkd.errors import TrainingError
from rlkd.training.checkpoints import MetricsFile, all_checkpoints, last_checkpoint, mark_complete, prune
from rlkd.training.guard import check_finite


def make(root: Path, step: int, *, whole: bool) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    if whole:
        mark_complete(folder)
    return folder


def test_a_checkpoint_torn_by_a_crash_is_removed(tmp_path: Path) -> None:
    for step in (2, 10):
        make(tmp_path, step, whole=True)
    torn = make(tmp_path, 12, whole=False)
    (tmp_path / "checkpoint-tmp").mkdir()  # not ours
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not torn.exists()
    assert [p.name for p in all_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10"]
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_only_named_checkpoints_are_kept(tmp_path: Path) -> None:
    made = [make(tmp_path, step, whole=True) for step in (1, 2, 3)]
    prune(tmp_path, {made[0], made[2]})
    assert all_checkpoints(tmp_path) == [made[0], made[2]]


def test_metrics_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    assert file.read() == []
    file.truncate(0)
    for step in (1, 2, 3):
        file.append(step, {"loss": step / 2})
    with file.path.open("a") as torn:
        torn.write('{"step": 4, "lo')
    file.truncate(2)
    assert file.read() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0}]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_training(value: float, tmp_path: Path) -> None:
    make(tmp_path, 4, whole=True)
    check_finite(1e30, "loss", 5, tmp_path, "rl.optimizer.learning_rate")
    with pytest.raises(
        TrainingError,
        match=r"the loss became .* at step 5; .*checkpoint-4; lower rl\.optimizer\.learning_rate",
    ):
        check_finite(value, "loss", 5, tmp_path, "rl.optimizer.learning_rate")
