from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rlkd.student.checkpoints import save_student
from rlkd.student.fresh import fresh_student
from rlkd.student.probe import KEPT_ON_CPU, Probe, ProbeError, line, measure, memory_mb, probe
from schemas.config.student import StudentConfig

from ..lazy import torch
from ..training.conftest import STUDENT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("probe") / "model"
    shape = {**STUDENT["model"], "context": 512}
    made = fresh_student(StudentConfig.model_validate({**STUDENT, "model": shape}), ["1 + 2 = 3"], seed=0)
    save_student(made.model, made.tokenizer, target)
    return target


def named(folder: Path, **changes: Any) -> StudentConfig:
    model = {"type": "checkpoint", "path": str(folder)}
    return StudentConfig.model_validate({**STUDENT, "model": model, **changes})


def test_a_line_through_points() -> None:
    assert line([(1, 3), (2, 5), (3, 7)]) == pytest.approx((1, 2))
    # Least squares of (0, 0), (1, 1), (2, 1): means 1 and 2/3, slope (2/3 + 1/3) / 2 = 0.5, 2/3 - 0.5 = 1/6.
    assert line([(0, 0), (1, 1), (2, 1)]) == pytest.approx((1 / 6, 0.5))


def test_a_step_and_a_few_tokens_are_measured(folder: Path) -> None:
    torch.set_num_threads(1)
    found = probe(named(folder))
    assert found.base_mb > 50  # torch alone takes more
    assert found.token_s > 0
    assert found.token_mb >= 0
    assert found.least_mb > 50
    assert found.step_s + found.row_s > 0


def test_adapters_and_checkpointing_are_measured_too(folder: Path) -> None:
    torch.set_num_threads(1)
    assert probe(named(folder, lora={"rank": 2}), checkpointing=True).token_s > 0


@pytest.mark.slow
def test_it_runs_in_a_process_of_its_own_and_gives_up_in_time(folder: Path, tmp_path: Path) -> None:
    found = measure(named(folder))
    assert isinstance(found, Probe)
    assert found.token_s > 0
    with pytest.raises(ProbeError, match=r"^the small step took longer than 0\.05 s on this machine$"):
        measure(named(folder), limit_s=0.05)
    with pytest.raises(
        ProbeError, match=r"^the small step failed \(.*there is no checkpoint folder at .*\)$"
    ):
        measure(named(folder / "absent"))


@pytest.mark.parametrize(
    ("code", "out", "said", "expected"),
    [
        (1, "", "Traceback\nMemoryError: no room\n\n", "the small step failed (MemoryError: no room)"),
        (-9, "", "", "the small step failed (it ended with -9 and no word)"),
        (0, "loaded\n", "", "the small step ended without figures"),
        (0, "", "", "the small step ended without figures"),
    ],
)
def test_a_probe_that_brings_nothing_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, out: str, said: str, expected: str
) -> None:
    done = subprocess.CompletedProcess([], code, out, said)
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: done)
    with pytest.raises(ProbeError) as caught:
        measure(named(folder))
    assert str(caught.value) == expected


def test_memory_is_that_of_the_tokens_or_of_the_optimisers_step() -> None:
    found = Probe(base_mb=1000, token_mb=2, least_mb=1500, token_s=1, step_s=1, row_s=1, device="here")
    assert memory_mb(found, 100) == 1500  # 1000 + 2 * 100 = 1200 is less
    assert memory_mb(found, 300) == 1600


def test_what_a_whole_run_takes_is_on_top_and_is_said() -> None:
    # SmolLM2-135M as it was measured: 8 completions of 160 tokens and two prompts of 133 that groups of 4 share are 1,546 tokens.
    found = Probe(2534, 2.16, 3209, token_s=1, step_s=1, row_s=1, device="here", kept=1.3)
    # 1.3 * (2534 + 2.16 * 1546) = 1.3 * 5873.36; the RL process was seen at 6.7 GiB = 6,861 MB.
    assert memory_mb(found, 1546) == pytest.approx(7635.368)
    assert memory_mb(found, 1546) == pytest.approx(6861, rel=0.2)
    # The warm start's largest pass, 1,593 tokens: 1.3 * (2534 + 2.16 * 1593) = 1.3 * 5974.88; seen at 8.4 GiB = 8,602 MB.
    assert memory_mb(found, 1593) == pytest.approx(7767.344)
    assert memory_mb(found, 1593) == pytest.approx(8602, rel=0.2)
    # A later run (docs/research-log.md): 1.3 * (2554 + 2.13 * 1587) = 1.3 * 5934.31, and 1.3 * (2554 + 2.13 * 1546) = 1.3 * 5846.98.
    later = Probe(2554, 2.13, 3210, token_s=1, step_s=1, row_s=1, device="here", kept=KEPT_ON_CPU)
    assert memory_mb(later, 1587) == pytest.approx(7714.603)
    assert memory_mb(later, 1587) == pytest.approx(8670, rel=0.2)
    assert memory_mb(later, 1546) == pytest.approx(7601.074)
    assert memory_mb(later, 1546) == pytest.approx(7253, rel=0.2)
    assert memory_mb(found, 10) == pytest.approx(1.3 * 3209)  # 2534 + 21.6 is less
    assert found.assumes(1546) == (
        "measured on a small step, 2534 MB and 2.16 MB for each of 1546 tokens, at least 3209 MB, and 30% more, as whole runs take"
    )
