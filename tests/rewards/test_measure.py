from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from rlkd.answers.conventions import read_any
from rlkd.errors import ConfigError
from rlkd.rewards.components import STANDARD, Rollout, component, component_names
from rlkd.rewards.measure import check_named, make_components, measure, wait_for_values
from schemas.config.rewards import RewardsConfig

OWN = """
import asyncio

def broken(rollout):
    return 1 / 0

def above(rollout):
    return 1.5

def text(rollout):
    return "good"

def nothing(rollout):
    return None

async def slow(rollout, value=0.25):
    await asyncio.sleep(0)
    return value

async def slow_and_broken(rollout):
    raise OSError("the server is away")

class Counter:
    def __init__(self, per=4):
        self.per = per

    def __call__(self, rollout):
        return min(1, len(rollout.text) / self.per)
"""


def rollout(text: str = "2 + 3 = 5. The answer is 5.", reference: str | None = "5") -> Rollout:
    return Rollout("What is 2 + 3?", reference, text, read_any(text))


def values(folder: Path, **names: dict[str, Any]) -> dict[str, float | None]:
    (folder / "own_measures.py").write_text(OWN, encoding="utf-8")
    sys.modules.pop("own_measures", None)
    config = RewardsConfig.model_validate(
        {
            "components": {
                name: {
                    "type": "python",
                    "object": f"own_measures:{name}",
                    "folder": str(folder),
                    "weight": 0.1,
                }
                | settings
                for name, settings in names.items()
            }
        }
    )
    rows = measure([rollout()], make_components(config))
    asyncio.run(wait_for_values(rows))
    found: dict[str, float | None] = rows[0]
    return found


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_standard_components_are_always_measured() -> None:
    [found] = measure([rollout()], make_components(RewardsConfig(alpha=0.0)))
    assert found == {"structure": None, "outcome": 1.0, "format": None, "length": None}
    assert component_names()[:4] == STANDARD


def test_faults_of_ones_own_components_are_missing_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="rlkd.rewards"):
        found = values(tmp_path, broken={}, above={}, text={}, nothing={}, slow_and_broken={})
    assert [found[name] for name in ("broken", "above", "text", "nothing", "slow_and_broken")] == [None] * 5
    said = "\n".join(record.getMessage() for record in caplog.records)
    for why in (
        "reward component broken gave no value: ZeroDivisionError: division by zero",
        "reward component above gave no value: 1.5 is no number in [0, 1]",
        "reward component text gave no value: 'good' is no number in [0, 1]",
        "reward component slow_and_broken gave no value: OSError: the server is away",
    ):
        assert why in said
    assert "nothing" not in said  # it says itself that there is no value


def test_classes_options_and_async_functions(tmp_path: Path) -> None:
    found = values(
        tmp_path,
        slow={"options": {"value": 0.75}},
        counter={"object": "own_measures:Counter", "options": {"per": 54}},
    )
    assert (found["slow"], found["counter"]) == (0.75, 0.5)  # the text has 27 characters: 27 / 54


def test_a_further_component_of_the_folder_is_found_by_its_name() -> None:
    config = RewardsConfig.model_validate({"components": {"absent": 0.1}})
    with pytest.raises(
        ConfigError, match="there is no such component; choose from structure, outcome, format, length"
    ):
        make_components(config)
    with pytest.raises(
        ConfigError, match=r"its options do not fit \(got an unexpected keyword argument 'fre'\)"
    ):
        check_named("length", {"fre": 0.5})


def test_two_components_of_one_name_are_refused() -> None:
    def length(rollout: Rollout) -> float:
        return 0.0

    with pytest.raises(
        ValueError, match=r"both rlkd\.rewards\.components\.length and .* define the component 'length'"
    ):
        component("length")(length)
