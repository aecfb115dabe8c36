from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rlkd.errors import DataError, TrainingError
from rlkd.io import write_rows
from rlkd.student.load import load_student
from rlkd.training.warm_start import warm_start

from .conftest import make_config, make_context, make_problem, make_trace

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config(**changes: Any) -> Any:
    settings = {
        "batch_size": 4,
        "max_epochs": 30,
        "eval_every": 3,
        "patience": 2,
        "optimizer": {"learning_rate": 2e-2},
        **changes,
    }
    return make_config(warm_start=settings)


def test_it_learns_stops_in_time_and_hands_on_the_best(inputs: dict[str, Path], tmp_path: Path) -> None:
    result = warm_start(make_context(tmp_path, config(traces=8), inputs))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    best = min(losses, key=lambda step: (losses[step], step))
    assert result.summary["best_step"] == best
    assert result.summary["steps"] == best + 2 * 3  # patience: two validations, each 3 steps, after the best
    assert result.summary["steps"] < 60  # 30 epochs of 2 steps were allowed
    assert losses[best] < 0.7 * losses[3]
    assert len(json.loads((tmp_path / "traces.json").read_text())["trace_ids"]) == 8
    # The published weights are those of the best step: their loss is the one that was measured.
    student = load_student(config().student, tmp_path / "model")
    from rlkd.data.drawn import accepted_pairs
    from rlkd.student.prompts import PromptBook, training_text

    text = training_text(
        PromptBook(config().student, student.tokenizer),
        accepted_pairs(inputs["data"], inputs["traces"], "validation"),
    )
    total = count = 0.0
    for row in text.rows:
        labels = torch.tensor([row["labels"]])
        with torch.no_grad():
            loss = student.model(input_ids=torch.tensor([row["input_ids"]]), labels=labels).loss
        tokens = int((labels != -100).sum())
        total, count = total + float(loss) * tokens, count + tokens
    assert total / count == pytest.approx(losses[best], rel=1e-3)


def test_without_validation_the_last_checkpoint_goes_on(inputs: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_bytes((inputs["data"] / "train.jsonl").read_bytes())
    (data / "validation.jsonl").touch()
    result = warm_start(make_context(tmp_path / "ws", config(max_epochs=2), {**inputs, "data": data}))
    assert result.summary["best_step"] == result.summary["steps"] == 6
    assert result.summary["validation_traces"] == 0


def test_the_last_checkpoint_goes_on_where_that_is_asked_for(inputs: dict[str, Path], tmp_path: Path) -> None:
    # 8 traces in batches of 4: 29 epochs are 58 steps; the last is validated though it is no multiple of 3.
    result = warm_start(make_context(tmp_path, config(traces=8, max_epochs=29, keep="last"), inputs))
    assert result.summary["best_step"] == result.summary["steps"] == 58
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    assert result.metrics == {"steps": 58.0, "validation_loss": losses[58]}
    assert (
        min(losses.values()) < losses[58]
    )  # the best on validation came earlier, and is not what was asked for


def test_nan_in_the_loss_stops_it(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import SFTTrainer

    compute = SFTTrainer.compute_loss
    monkeypatch.setattr(
        SFTTrainer, "compute_loss", lambda self, *a, **k: compute(self, *a, **k) * float("nan")
    )
    with pytest.raises(
        TrainingError, match=r"the loss became nan at step 1; .* lower warm_start\.optimizer\.learning_rate"
    ):
        warm_start(make_context(tmp_path, config(), inputs))
    assert not (tmp_path / "model").exists()


def test_no_trace_that_fits_is_a_clear_error(inputs: dict[str, Path], tmp_path: Path) -> None:
    problem = make_problem(1, 1, "train").model_copy(update={"question": "why " * 99})
    for name in ("data", "traces"):
        (tmp_path / name).mkdir()
    write_rows(tmp_path / "data" / "train.jsonl", [problem])
    write_rows(tmp_path / "data" / "validation.jsonl", [])
    write_rows(tmp_path / "traces" / "accepted.jsonl", [make_trace(problem)])
    with pytest.raises(DataError, match=r"no teacher trace fits"):
        warm_start(
            make_context(
                tmp_path / "ws", config(), {"data": tmp_path / "data", "traces": tmp_path / "traces"}
            )
        )


def test_lora_is_merged_into_a_plain_model(inputs: dict[str, Path], tmp_path: Path) -> None:
    lora = {"rank": 4, "target_modules": ["q_proj"]}
    settings = {"batch_size": 4, "max_epochs": 2, "eval_every": 2, "optimizer": {"learning_rate": 1e-2}}
    warm_start(make_context(tmp_path, make_config(student={"lora": lora}, warm_start=settings), inputs))
    from safetensors.torch import load_file

    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("base", "model"))
    assert {n for n in before if not torch.equal(before[n], after[n])} == {
        "model.layers.0.self_attn.q_proj.weight"
    }
