"""The lines that the measurement of endings counts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "ending.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("ending", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_token_that_holds_the_end_of_a_line_belongs_to_it() -> None:
    pieces = {1: "So ", 2: "A is 3", 3: ".\nSo ", 4: "B is 4", 5: "\n"}
    tokenizer = SimpleNamespace(decode=lambda ids: "".join(pieces[i] for i in ids))
    student = SimpleNamespace(tokenizer=tokenizer)
    assert load()._lines(student, [1, 2, 3, 4, 5]) == [[0, 1, 2], [3, 4]]
    assert load()._lines(student, [1, 2, 3, 4]) == [[0, 1, 2], [3]]
    assert load()._lines(student, []) == []
