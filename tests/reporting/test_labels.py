from __future__ import annotations

import pytest

from rlkd.reporting.labels import duration, interval, memory, points, signed
from rlkd.reporting.markdown import cell, fence, table
from schemas.evaluation import Interval


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_memory() -> None:
    assert (memory(0), memory(310.4), memory(1536)) == ("–", "310 MB", "1.5 GB")


def test_differences_have_a_sign_unless_they_round_to_0() -> None:
    assert (points(0.1234), points(-0.1234), points(0.0001), points(-0.0001)) == (
        "+12.3",
        "−12.3",
        "0.0",
        "0.0",
    )
    assert (signed(0.0004), signed(-0.25)) == ("0.000", "−0.250")


def test_interval() -> None:
    value = Interval(mean=0.62, low=0.572, high=0.668, n=400)
    assert interval(value) == "62.0% [57.2, 66.8]"
    assert interval(value, as_percent=False) == "0.620 [0.572, 0.668]"
    assert interval(None) == "–"


def test_markdown_cannot_be_broken_out_of() -> None:
    assert cell("a|b\n<i>&") == "a\\|b &lt;i>&amp;"
    assert fence("x ``` y ```` z") == "`````\nx ``` y ```` z\n`````"
    assert table(("a", "b"), [(1, "x|y")]) == "| a | b |\n|---|---:|\n| 1 | x\\|y |"
