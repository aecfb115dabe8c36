r"""Calculations in LaTeX."""

from __future__ import annotations

import cmath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlkd.structure.reading.formulas.expression import Expression
from rlkd.structure.reading.formulas.latex import find_latex_calculations, has_latex


def values(text: str) -> list[float]:
    return [round(c.value, 6) for c in find_latex_calculations(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"There are $\binom{5}{2} = 10$ ways, with probability $\frac{3}{10}$.", [10, 0.3]),
        (r"$\sqrt{16} = 4$, $\sqrt[3]{27} = 3$ and $\frac12 + \frac{1}{3} = \frac56$", [4, 3, 0.833333]),
        (r"$5! = 120$ and $1{,}000 + 1 = 1001$", [120, 1001]),
        (r"\[3 \cdot 4 + 5 = 12 + 5 = 17.\]", [17]),
        (r"\begin{align*} x &= 2+3 \\ &= 5 \\ y &= \frac{1}{2}\cdot 8 = 4 \end{align*}", [5, 4]),
        (r"It costs \$5 and \$6, in all $5+6=11$ dollars.", [11]),
        (r"$\lfloor 99/3 \rfloor = 33$ multiples of $3$", [33, 3]),
        (r"$50\% \cdot 20 = 10$", [10]),
        (r"So $a_2 = a_1 + 4 = 7$", [7]),
        (r"so the value is $\boxed{18}$", []),  # the stated final answer
        (r"which gives $3 \cdot 6 = \boxed{18}$", [18]),
        (r"the point $(3,4)$ and the name $ABC$", []),
    ],
)
def test_reads(text: str, expected: list[float]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"$x^2+5x+6 = (x+2)(x+3)$", r"\[(x+3)(x+2) = x^2 + 5x + 6\]"),
        (r"$2x+4=10$", r"$x + 2 = 5$"),
        (r"$\frac{2x+1}{3} = 5$", r"$2x + 1 = 15$"),
        (r"$\log_2 x = 5$", r"$2\log_2 x - \log_2 x = 5$"),
        (r"$\dfrac{a}{b} = \frac{3}{4}$", r"$4a/b = 3$"),
    ],
)
def test_equivalent_equations_have_the_same_value(one: str, other: str) -> None:
    (a,), (b,) = find_latex_calculations(one), find_latex_calculations(other)
    assert a.value == b.value
    assert a.symbolic and b.symbolic


def test_different_equations_differ() -> None:
    (a,), (b,) = find_latex_calculations("$2x+4=10$"), find_latex_calculations("$2x+4=12$")
    assert a.value != b.value


def test_dollars_in_prose_are_no_math() -> None:
    assert not has_latex("She makes 9 * 2 = $18 every day.")
    assert not has_latex("He has $5 and earns $6, so $5 + $6 = $11")
    assert has_latex(r"So \frac{1}{2}")
    assert has_latex("so $x = 3$ holds")


def test_rendered_calculations_read_back() -> None:
    for text in (
        r"$x^2+5x+6 = (x+2)(x+3)$",
        r"$\frac{1}{2} \cdot 8 = 4$",
        r"$x = 7$",
        r"there are $12$ ways",
    ):
        (calc,) = find_latex_calculations(text)
        again = find_latex_calculations(
            calc.finished().text if calc.finished().text.startswith("$") else f"${calc.finished().text}$"
        )
        assert [a.value for a in again] == [calc.value]


@pytest.mark.parametrize(
    ("text", "operands", "value"),
    [
        (r"$7 \equiv 2 \pmod 5$", (7,), 2),
        (r"$7^2 \equiv 4 (\text{mod } 5)$", (7, 2), 4),
        (r"$2^4 = 16 \equiv 1 \pmod{5}$", (2, 4), 1),
        (r"$17 \bmod 5 = 2$", (17, 5), 2),
        (r"$\gcd(12,18)=6$", (12, 18), 6),
        (r"$\binom{8}{3} = 56$", (8, 3), 56),
        (r"$2\frac{1}{3} + 1 = 3\frac13$", (2, 1, 3, 1), 10 / 3),
        (r"$P(A) = \frac{1}{6}$", (1, 6), 1 / 6),
    ],
)
def test_functions_and_congruences(text: str, operands: tuple[float, ...], value: float) -> None:
    (calc,) = find_latex_calculations(text)
    assert (calc.operands, calc.value) == (operands, pytest.approx(value))


def test_inequalities_have_a_direction() -> None:
    def value(text: str) -> float:
        (calc,) = find_latex_calculations(text)
        return calc.value

    assert value(r"$x \le 5$") == value(r"$5 \ge x$") == value(r"$-2x \ge -10$")
    assert len({value(r"$x \le 5$"), value(r"$x \ge 5$"), value(r"$x \ne 5$"), value("$x = 5$")}) == 4


def test_the_only_variable_may_have_any_name() -> None:
    (a,), (b,) = find_latex_calculations("$2x+4=10$"), find_latex_calculations("$2y+4=10$")
    assert a.value == b.value


def test_what_cannot_be_worked_out_is_compared_as_text() -> None:
    (a,), (b,) = (
        find_latex_calculations(r"$7^{2023} \equiv 2^{2023} \pmod 5$"),
        find_latex_calculations(r"$7^{2023}\equiv 2^{2023}$"),
    )
    assert a.symbolic and a.value > 1e12 and b.symbolic


def expressions() -> st.SearchStrategy[list[str]]:
    """Numeric expressions in LaTeX, every operator written out: each with all its parts, itself first; of 0/0, whose value is unsure, also 1/0."""

    def larger(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
        return st.one_of(
            st.builds(
                lambda a, b: [rf"\frac{{{a[0]}}}{{{b[0]}}}", rf"\frac{{1}}{{{b[0]}}}", *a, *b], inner, inner
            ),
            st.builds(
                lambda a, op, b: [rf"\left({a[0]} {op} {b[0]}\right)", *a, *b],
                inner,
                st.sampled_from(["+", "-", r"\cdot", r"\times"]),
                inner,
            ),
            st.builds(lambda a: [rf"\sqrt{{{a[0]}}}", *a], inner),
            st.builds(lambda a, n: [rf"\left({a[0]}\right)^{{{n}}}", *a], inner, st.integers(0, 3)),
        )

    return st.recursive(st.integers(1, 30).map(lambda n: [str(n)]), larger, max_leaves=6)


def algebra_value(text: str) -> complex:
    from latex2sympy2_extended import latex2sympy

    try:
        return complex(latex2sympy(text).evalf())
    except (TypeError, ValueError, OverflowError):  # division by zero
        return complex("nan")


def is_plain(value: complex) -> bool:
    return cmath.isfinite(value) and abs(value.imag) <= 1e-9 and abs(value) <= 1e6


@settings(max_examples=40)
@given(expressions())
@example([r"\left(\sqrt{\left(1 - 2\right)}\right)^{0}", "1 - 2", r"\sqrt{\left(1 - 2\right)}"])  # i^0 is 1
def test_values_are_those_of_a_computer_algebra_system(parts: list[str]) -> None:
    mine = Expression(parts[0]).value
    if mine is None:  # a part of it is too large, imaginary, or a division by zero
        assert not all(is_plain(algebra_value(part)) for part in parts)
    else:
        assert mine == pytest.approx(algebra_value(parts[0]).real, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        r"\lfloor 7/2 \rfloor",
        r"\lceil \frac{7}{2} \rceil + 1",
        r"\left\lfloor 3.7 \right\rfloor",
        "8_{10}",
        "1011_2 + 1",
        "(1011)_2",
    ],
)
def test_what_is_no_plain_arithmetic_has_no_value(text: str) -> None:
    assert Expression(text).value is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"$\ln 6 = \ln 2 + \ln 3$", r"$\ln 7 = \ln 2 + \ln 3$", False),
        (r"$\sin(x+y) = \sin x + \sin y$", r"$\sin(x+y) = \sin(x) + \sin(y)$", True),
        (r"$\sin(x+y) = 2$", r"$\sin x + \sin y = 2$", False),
        (r"$2\sin 30^\circ = 1$", r"$2\sin 60^\circ = 1$", False),
    ],
)
def test_a_function_is_an_unknown_named_by_all_of_it(one: str, other: str, same: bool) -> None:
    (a,), (b,) = find_latex_calculations(one), find_latex_calculations(other)
    assert (a.value == b.value) is same
    assert a.symbolic and b.symbolic
