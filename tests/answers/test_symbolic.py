"""The verifier process: bounded, restarted, usable from threads."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rlkd.answers.symbolic import SymbolicWorker, VerifierError

pytestmark = pytest.mark.slow

ENDLESS = {"reference": "5", "answer": "(10^{9})!"}


@pytest.fixture
def worker() -> Iterator[SymbolicWorker]:
    worker = SymbolicWorker()
    yield worker
    worker.close()


def test_a_request_that_does_not_end_is_missing_and_the_next_is_answered(worker: SymbolicWorker) -> None:
    assert worker.ask("compare", 5.0, reference="x+1", answer="1+x") is True
    first = worker._process.pid  # type: ignore[union-attr]
    assert worker.ask("compare", 0.5, **ENDLESS) is None
    assert worker.ask("compare", 5.0, reference="x+1", answer="1+x") is True
    assert worker._process.pid != first  # type: ignore[union-attr]


def test_works_from_threads(worker: SymbolicWorker) -> None:
    pairs = [("x+1", "1+x"), ("x+1", "x+2")] * 8
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(
            pool.map(lambda pair: worker.ask("compare", 20.0, reference=pair[0], answer=pair[1]), pairs)
        )
    assert verdicts == [True, False] * 8


def test_a_worker_that_was_killed_is_started_again(worker: SymbolicWorker) -> None:
    assert worker.ask("compare", 5.0, reference="2x", answer="x+x") is True
    process = worker._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert worker.ask("compare", 5.0, reference="2x", answer="x+x") is True


def test_a_failing_verifier_is_an_error_not_a_verdict(worker: SymbolicWorker) -> None:
    with pytest.raises(VerifierError, match="nothing_like_this"):
        worker.ask("gym", 5.0, dataset="nothing_like_this", parameters={}, entry={}, answer="1")
    assert worker.ask("compare", 5.0, reference="2x", answer="x+x") is True
