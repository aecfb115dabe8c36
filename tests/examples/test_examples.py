"""The worked examples run as they stand."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_trl(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    trainer = load("trl_reward").train(None, 1, tmp_path)
    assert trainer.state.global_step == 1
    [first] = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert 0.0 <= first["reward"] <= 1.0
    assert first["rewards/rlkd/mean"] == pytest.approx(first["reward"])
    assert first["rlkd/missing"] == 0.0
    assert 0.0 <= first["rlkd/structure"] <= 1.0
    assert "rlkd/outcome" in first


def test_verl(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("verl_reward")
    example.main()
    assert len(capsys.readouterr().out.splitlines()) == 2
    row = example.to_verl_row(
        "What is 2 + 3, doubled?", "10", "2 + 3 = 5. 5 * 2 = 10. The answer is 10.", index=4
    )
    # as verl calls it: by position, and with keyword arguments of newer versions
    right = example.compute_score(
        row["data_source"],
        "2 + 3 = 5. 5 * 2 = 10. The answer is 10.",
        row["reward_model"]["ground_truth"],
        row["extra_info"],
    )
    wrong = example.compute_score(
        data_source=row["data_source"],
        solution_str="2 * 3 = 6. The answer is 6.",
        ground_truth="10",
        extra_info=row["extra_info"],
        worker=1,
    )
    assert all(isinstance(value, float) and not math.isnan(value) for value in right.values())
    assert right["score"] > wrong["score"]
    assert right.keys() == wrong.keys()
