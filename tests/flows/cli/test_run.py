from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.cli.run import _server_faults
from rlkd.errors import StageError

pytestmark = pytest.mark.slow


def test_a_server_that_goes_away_is_told_in_one_sentence() -> None:
    with (
        pytest.raises(
            StageError, match=r"Prefect's server does not answer any more \(refused\); was `rlkd ui runs`"
        ),
        _server_faults(Path("runs")),
    ):
        raise httpx.ConnectError("refused")
    with pytest.raises(ValueError, match="other"), _server_faults(Path("runs")):
        raise ValueError("other")


@pytest.mark.slow
def test_each_process_of_a_run_validates_the_configuration_at_most_once(cli: Any, tmp_path: Path) -> None:
    counted = tmp_path / "validations"
    done = cli("run", "tiny.yaml", COUNT_VALIDATIONS=str(counted))
    assert done.returncode == 0, done.stderr
    by_process = Counter(line.split()[0] for line in counted.read_text().splitlines())
    # the command line with its flow and tasks; the jobs of warm_start, rl and evaluate
    assert sorted(by_process.values()) == [1, 1, 1, 1]
