"""Makes the fake stages importable, here and in the processes that tests start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ..flows.conftest import services

__all__ = ["services"]

SUPPORT = Path(__file__).parent / "support"
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Fake stages in this process and its children; returns the file that they note their work in."""
    import fake_stages

    import rlkd.pipeline.stages

    monkeypatch.setattr(rlkd.pipeline.stages, "STAGES", rlkd.pipeline.stages.STAGES)
    fake_stages.install()
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), str(root)]))
    notes = tmp_path / "notes.txt"
    monkeypatch.setenv("FAKE_LOG", str(notes))
    for name in ("FAKE_FAIL", "FAKE_FAULT", "FAKE_DELAY", "RLKD_STORE"):
        monkeypatch.delenv(name, raising=False)
    return notes
