"""The figures that the structure reward is held to, on the development half of real solutions.

The full tables with intervals come from ``benchmarks/reward_quality.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("RLKD_DATA", ROOT.parent / "shared" / "data"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "gsm8k" / "model_solutions_dev.jsonl").is_file(),
        reason="needs the GSM8K model solutions; set RLKD_DATA to the folder that holds gsm8k/",
    ),
]


@pytest.fixture(scope="module")
def benchmark() -> object:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import reward_quality
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return reward_quality


@pytest.mark.parametrize(("style", "goal"), [("marks", 0.92), ("plain", 0.90)])
def test_the_path_alone_predicts_the_outcome(benchmark: object, style: str, goal: float) -> None:
    import numpy as np

    from rlkd.qualification.measures import auroc

    pairs = benchmark.load_pairs(DATA, "dev", True, style)  # type: ignore[attr-defined]
    found = benchmark.measures(pairs)  # type: ignore[attr-defined]
    right = np.array([pair.right for pair in pairs])
    structure = auroc(right, np.array(found["structure"]))
    assert structure >= goal
    assert structure > auroc(right, np.array(found["unordered numbers"])) + 0.02
    assert structure > auroc(right, np.array(found["prefix"])) + 0.05


def test_changes_to_solutions_are_noticed(benchmark: object) -> None:
    table = benchmark.sensitivity_table(DATA, "dev", "plain")  # type: ignore[attr-defined]
    goals = {
        "dependent step scrambled": 0.95,
        "independent steps swapped": 0.95,
        "wrong value carried on": 0.98,
        "irrelevant step inserted": 0.99,
        "irrelevant step in a wrong path": 0.97,
        "step repeated": 1.0,
        "step repeated in a wrong path": 1.0,
        "problem copied in": 1.0,
        "result checked at the end": 0.99,
        "teacher's last step only": 1.0,
        "teacher's second half only": 0.95,
        "teacher's first half only": 1.0,
    }
    missed = {name: table[name]["share"] for name, goal in goals.items() if table[name]["share"] < goal}
    assert not missed
    assert table["teacher's last step only"]["mean_after"] < 1 / 3
    assert table["teacher's second half only"]["mean_after"] < 2 / 3
    assert table["teacher's first half only"]["mean_after"] < 1 / 2


def test_decomposition_against_gold(benchmark: object) -> None:
    figures = benchmark.decomposition_figures(DATA, "dev")  # type: ignore[attr-defined]
    assert figures["socratic, lines kept"]["boundaries F1"] >= 0.98
    assert figures["socratic, lines kept"]["answers F1"] >= 0.95
