from __future__ import annotations

import pytest

from rlkd.student.lengths import LengthFit


def test_what_a_limit_cuts_is_counted_and_another_is_proposed() -> None:
    # 200 texts: 172 of 150 tokens, 26 of 250, 2 of 400. 99% are 198 texts, the longest of which has 250: 256.
    fit = LengthFit([150] * 172 + [250] * 26 + [400] * 2, 192, "student.max_completion_tokens")
    assert fit.cut == 28
    assert fit.proposed == 256
    # (172 * 150 + 26 * 250 + 2 * 400) / 200 = 165.5
    assert fit.text() == (
        "166 tokens on average, 400 at most (limit 192) 0 |  █ ▂  ▁| 408; 28 of 200 are too long and left out of training; "
        "student.max_completion_tokens=256 would keep 198"
    )


def test_texts_that_fit_ask_for_nothing() -> None:
    fit = LengthFit([10, 20], 192, "x")
    assert (fit.cut, fit.proposed) == (0, 32)
    assert fit.text() == "15 tokens on average, 20 at most (limit 192) 0 |   █  █ | 24"


def test_a_few_outliers_are_no_reason_for_another_limit() -> None:
    fit = LengthFit([100] * 999 + [5000], 128, "x")
    assert fit.cut == 1
    assert fit.text().endswith("; 1 of 1000 are too long and left out of training")


@pytest.mark.parametrize("lengths", [[0], [7], [1, 1, 1], list(range(300))])
def test_every_text_is_in_the_picture(lengths: list[int]) -> None:
    picture = LengthFit(lengths, 10, "x").histogram(4).split("|")[1]
    assert len(picture) == 4
    assert picture.strip()
