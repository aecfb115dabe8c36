from __future__ import annotations

from pathlib import Path

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
