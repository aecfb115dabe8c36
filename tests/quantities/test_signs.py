"""Unicode variants of signs become plain ones, and positions can be found again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.quantities.signs import plain_signs, plain_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("１２ ∗ ５ ＝ ６０", "12 * 5 = 60"),
        ("12 × 5 − 3 ÷ 1 = 57", "12 * 5 - 3 / 1 = 57"),
        ("7\u00a0000", "7 000"),
        ("7\u202f000\u2009m", "7 000 m"),
        ("4\u200b2\ufeff", "42"),
        ("–9 —9 ﹣9 －9", "-9 -9 -9 -9"),
        ("10³", "10^3"),
        ("10⁻²", "10^(-2)"),
        ("10⁺²", "10^2"),
        ("x²³", "x^(23)"),
        ("2ⁿ", "2^n"),
        ("x₁ + log₁₀ 5", "x_1 + log_(10) 5"),
        ("½", "1/2"),
        ("1¾", "1 3/4"),
        ("3⁄4", "3/4"),
        ("٣٫٥", "3.5"),
        ("𝟏𝟐 + 𝑥", "12 + x"),
        ("Ⅳ", "IV"),
        ("45º 20℃", "45° 20°C"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("√2 π ∞ é 日本 ℝ €3", "√2 π ∞ é 日本 ℝ €3"),
        ("1，234．5", "1,234.5"),
    ],
)
def test_plain_signs_keep_the_meaning(text: str, plain: str) -> None:
    assert plain_signs(text) == plain
    assert plain_text(text).text == plain


@pytest.mark.parametrize(
    ("text", "piece", "original"),
    [
        ("10³ = 1000", "10^3", "10³"),
        ("so １２ ∗ ５ ＝ ６０.", "12 * 5 = 60", "１２ ∗ ５ ＝ ６０"),
        ("x₁₂ is 1¾ m\u200bm long", "1 3/4", "1¾"),
        ("x₁₂ is 1¾ m\u200bm long", "mm", "m\u200bm"),
        ("plain 7 + 2", "7 + 2", "7 + 2"),
    ],
)
def test_a_span_points_into_the_original(text: str, piece: str, original: str) -> None:
    plain = plain_text(text)
    start = plain.text.index(piece)
    first, last = plain.span(start, start + len(piece))
    assert text[first:last] == original


SIGNS = st.text(alphabet="a1 ５³⁻½¾₁−×\u200b\u00a0\r\n…", max_size=30)


@settings(max_examples=60)
@given(SIGNS | st.text(max_size=30))
def test_offsets_ascend_and_plain_text_stays(text: str) -> None:
    plain = plain_text(text)
    assert plain.text == plain_signs(text)
    assert plain_signs(plain.text) == plain.text
    offsets = [plain.offset(i) for i in range(len(plain.text) + 1)]
    assert offsets == sorted(offsets)
    assert not offsets or (offsets[0] >= 0 and offsets[-1] <= len(text))
