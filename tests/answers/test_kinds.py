"""What counts as equal, kind by kind (docs/answers.md): ``(kind, right pairs, wrong pairs)`` as reference and answer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rlkd.answers.equal import answers_equal, judge_answer
from rlkd.quantities.words import spelled_number

Pairs = list[tuple[str, str]]
KINDS: dict[str, tuple[Pairs, Pairs]] = {
    "numbers": (
        [("7", "7.0"), ("7", "007"), ("7", "+7"), ("7", "7."), ("12 000", "12,000"), ("12000", "12k"), ("1200000", "1.2 million"), (".5", "0.5"),
         ("1,000,000", "10^6"), ("4.5 \\times 10^{-3}", "0.0045"), ("3.2e5", "3.2 × 10⁵"), ("-4", "minus 4"), ("-4", "negative four"), ("-4", "−4"),
         ("5 dozen", "60"), ("one hundred twenty", "120"), ("7", "7th"), ("7", "'7'"), ("7", "{7}"), ("7", "(7)"), ("1.5", "1\\frac12"),
         ("1½", "3/2"), ("2⅔", "8/3"), ("-\\frac{3}{4}", "\\frac{-3}{4}"), ("2^{10}", "1024"), ("\\binom{5}{2}", "10"), ("\\log_2 8", "3")],
        [(".25", "25"), ("-.2", "-2"), ("12345.67", "12345.68"), ("1000000.5", "1000000.4"), ("99.99", "100"), ("10^4", "104"), ("2⁶", "26"),
         ("26", "2⁶"), ("3⁻¹", "3"), ("½", "12"), ("1½", "11/2"), ("100", "1000"), ("1,234", "1.234"), ("10^{-15}", "10^{-16}"),
         ("2^{-30}", "2^{-31}"), ("\\frac{1}{50!}", "\\frac{1}{51!}"), ("\\frac{10^{30}+1}{10^{30}}", "1"), ("12", "twelve hundred"),
         ("12", "one two"), ("12", "12 million"), ("12", "1.2e2"), ("12,345", "12, 345"), ("\\infty", "-\\infty"), ("5!", "5")],
    ),
    "decimals that never end": (
        [("0.\\overline{6}", "2/3"), ("0.1666...", "1/6"), ("0.\\overline{142857}", "1/7"), ("0.(45)", "5/11"), ("0.666...", "0.666"), ("2/3", "0.6666667")],
        [("0.\\overline{7}", "0"), ("0.\\overline{7}", "0.7"), ("0.(6)", "0.6"), ("0.\\dot{6}", "0.\\dot{7}"), ("1/3", "0.33"), ("2/3", "0.67"),
         ("3.14159", "\\pi"), ("\\sqrt2", "1.414"), ("0.666...", "0.667")],
    ),
    "left as a calculation, or read in part": (
        [("72", "80 - 8 = 72"), ("22", "9 + 6 + 7 = 22 days"), ("22 days", "9 + 6 + 7 = 22"), ("72", "72 (80 - 8)"), ("4", "\\sqrt{16}"), ("4", "\\frac{8}{2}"), ("1000", "10³")],
        [("8", "2^3"), ("8", "4+4"), ("8", "4 \\times 2"), ("72", "71 (80 - 8)"), ("72", "80 - 9 = 72"), ("8", "8\\sqrt(3)"), ("8", "8 \\approx 9"),
         ("8", "8 \\neq 9"), ("8", "8 9"), ("8", "8/9"), ("8", "8!"), ("8", "8'"), ("8", "8?9"), ("8", "8&9"), ("8", "8...9"), ("8", "{8}{9}"),
         ("8", "8.0.0"), ("8", "\\int_0^8 dx"), ("1 - \\frac{1}{\\mathrm{e}}", "1"), ("8", "8x"), ("8", "8i"), ("8", "8\\pi")],
    ),
    "clauses and hedges": (
        [("72", "72 marbles in total"), ("72", "72, because 80 - 8 = 72"), ("72", "approximately 72"), ("72", "at least 72"), ("72", "72 marbles, altogether"),
         ("blue", "The colour is blue"), ("Tokyo", "It is Tokyo"), ("15", "There are 15 sheep on the farm"), ("Monday", "on Monday"), ("3/8", "\\frac{3}{8} of the cake")],
        [("72", "72 or 73"), ("72", "not 72"), ("72", "72, or maybe 70"), ("72", "72 is wrong"), ("4", "4 or so"), ("blue", "not blue"), ("6", "6 less than x")],
    ),
    "percentages": (
        [("80%", "4/5"), ("0.8", "80 percent"), ("35\\%", "35"), ("35", "35 pct"), ("35%", "35% of the class")],
        [("80%", "0.08"), ("5%", "0.5"), ("35%", "0.35%"), ("12", "12%%")],
    ),
    "units and money": (
        [("45 minutes", "3/4 hour"), ("2.5 hours", "2 hours and 30 minutes"), ("$12.50", "12 dollars and 50 cents"), ("EUR 45", "€45"), ("£20", "20 pounds"),
         ("31", "Rs. 31"), ("$.50", "50 cents"), ("1 km", "1000 meters"), ("3 ft", "91.44 cm"), ("50 mph", "50 miles per hour"), ("100", "100 km/h"),
         ("36\\pi \\text{ cm}^2", "36\\pi"), ("15 m²", "15"), ("90°", "90"), ("90 minutes", "1h 30min"), ("2nd", "2"), ("5 m", "5m"), ("20 °C", "68 °F"), ("5'", "60\""), ("18 eggs", "18 duck eggs")],
        [("45 minutes", "45 hours"), ("2.5 hours", "2 hours and 50 minutes"), ("$12.50", "12 cents"), ("20°C", "20°F"), ("€5", "$5"), ("5 km", "5 miles"),
         ("5 cm^2", "5 cm"), ("5 m", "5 s"), ("$.75", "75"), (".5 cm", "5 cm"), ("5'", "5\"")],
    ),
    "times and dates": (
        [("5:15 p.m.", "17:15"), ("6 pm", "6:00 PM"), ("12:00", "noon"), ("05/06/2020", "May 6, 2020"), ("July 4", "4th of July")],
        [("7 am", "7 pm"), ("10:30", "10:45"), ("12:30", "1:30"), ("05/06/2020", "06/05/2020"), ("May 6, 2020", "May 7, 2020")],
    ),
    "formulas": (
        [("abc", "bca"), ("\\cos 60^\\circ", "\\frac12"), ("\\lfloor 3.7 \\rfloor", "3"), ("mgh", "hgm"), ("3x", "x \\cdot 3"), ("\\frac12 bh", "\\frac{bh}{2}"), ("n", "\\frac{2n}{2}"), ("x^{-1}", "\\frac{1}{x}"),
         ("(x-1)(x+1)", "x²-1"), ("\\sin^2 x", "(\\sin x)^2"), ("\\tan x", "\\frac{\\sin x}{\\cos x}"), ("2+3i", "3i+2"), ("e^{i\\pi}", "-1"),
         ("\\frac{1}{\\sqrt3}", "\\frac{\\sqrt3}{3}"), ("√5", "sqrt(5)"), ("3π", "3\\pi"), ("x₁", "x_1"), ("\\text{H}_2\\text{O}", "H2O"), ("\\mathrm{e}^2", "e^2")],
        [("3xy", "3"), ("3xy", "3x"), ("7ab", "7ac"), ("5t", "5"), ("2st", "2"), ("12rs", "12"), ("6rs", "6st"), ("x", "X"), ("R-r", "r-R"), ("\\theta", "\\Theta"),
         ("\\cos B", "\\cos b"), ("a x^3", "x^3"), ("a + c", "+ c"), ("y'", "y"), ("\\vec{a}", "a"), ("x_1", "x_2"), ("a_n", "a_{n+1}"),
         ("x²", "x2"), ("\\ln x", "\\log x"), ("\\sqrt{x^2}", "x"), ("i", "-i"), ("2x+3s", "2x+3"), ("x^{\\mathrm{n}}", "x"), ("red", "dre")],
    ),
    "bases": (
        [("312_4", "312_{4}"), ("312_4", "312"), ("1011 in base 2", "1011_2")],
        [("312_4", "312_5"), ("54", "312_4"), ("101_2", "101_{10}"), ("4", "4_9")],
    ),
    "equations and named values": (
        [("y=2x+1", "2x-y+1=0"), ("V=IR", "IR"), ("V=IR", "RI"), ("F=ma", "am"), ("x=4", "4"), ("4", "x = 4"), ("\\text{gcd}=6", "6"), ("f(x)=x^2", "x^2"),
         ("x=1, y=-2", "(1,-2)"), ("(1,-2)", "x=1, y=-2"), ("x=1,y=-2", "y=-2 and x=1"), ("x=1 or x=2", "2, 1")],
        [("y=2x+1", "y=2x-1"), ("V=IR", "I/R"), ("x=3", "y=3"), ("x=3,y=4", "x=4,y=3"), ("(x,y)=(3,4)", "(4,3)"), ("E=mc^2", "E=mc^3")],
    ),
    "lists, tuples, sets": (
        [("1,2,3", "3, 1 and 2"), ("\\{1,2,3\\}", "3,2,1"), ("(4, 3)", "4, 3"), ("\\pm 3", "3, -3"), ("1 \\pm \\sqrt{5}", "1+\\sqrt{5}, 1-\\sqrt{5}"),
         ("Alice and Bob", "Bob and Alice"), ("{2}", "2"), ("(\\frac12, 3)", "(0.5,3)"), ("['6', '12']", "6 and 12"),
         ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{bmatrix} 1 \\\\ 2 \\end{bmatrix}")],
        [("2,7", "2,7,7"), ("2,7", "2"), ("2", "2,7"), ("(2,7)", "(7,2)"), ("(2,7)", "7, 2"), ("(2,7)", "\\{2,7\\}"), ("\\{2,7\\}", "\\{2\\}"), ("3,4", "34"),
         ("\\pm 5", "5"), ("5", "\\pm 5"), ("(2,345)", "2345"), ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}"), ("\\emptyset", "0")],
    ),
    "intervals and inequalities": (
        [("[2, 7)", "2 \\le x < 7"), ("(-\\infty, 2)", "x < 2"), ("(-\\infty,-1)\\cup(1,\\infty)", "x<-1 or x>1"), ("x>2", "2<x"), ("x \\in (2, \\infty)", "x > 2"),
         ("all real numbers", "(-\\infty,\\infty)"), ("\\mathbb{R}", "all real numbers"), ("x \\ne 3", "(-\\infty,3)\\cup(3,\\infty)")],
        [("[2, 7)", "(2, 7)"), ("[2,7]", "[2,7)"), ("(2,7)", "[2,7]"), ("x<3", "x\\le 3"), ("x<3", "x>3"), ("x<3", "3"), ("(0,1)\\cup(2,3)", "(0,1)"),
         ("x<1 or x>3", "1<x<3"), ("x \\ne 3", "x=3")],
    ),
    "ratios": ([("3:2", "6:4"), ("3:2", "3 to 2"), ("3:4", "\\frac34")], [("3:4", "4:3"), ("1:2:3", "1:2:4"), ("4", "4:9"), ("1:\\sqrt3", "1:\\sqrt2")]),
    "choices": (
        [("B", "Option B"), ("B", "B."), ("B", "(b)"), ("C", "C: 15"), ("E", "\\textbf{(E)}"), ("(A)", "A) 5"), ("D", "d")],
        [("B", "C"), ("B", "B or C"), ("B", "A and B"), ("B", "Bob"), ("k", "K"), ("g", "G")],
    ),
    "words": (
        [("yes", "True"), ("No", "No, it is not."), ("no solution", "None"), ("does not exist", "\\text{DNE}"), ("the Nile", "Nile"), ("Tuesday", "Tue"), ("New York", "new york")],
        [("yes", "no"), ("yes", "yes and no"), ("Paris", "Paris or London"), ("Bob", "Bob Jones"), ("even", "odd"), ("an dn", "dn"), ("no solution", "0")],
    ),
}  # fmt: skip
RIGHT = [(kind, *pair) for kind, (right, _) in KINDS.items() for pair in right]
WRONG = [(kind, *pair) for kind, (_, wrong) in KINDS.items() for pair in wrong]
ONE_WAY = {
    "left as a calculation, or read in part",
    "clauses and hedges",
    "bases",
    "units and money",
    "choices",
}
"""A reference may be unfinished or in words, and a base or a unit may go without saying; an answer's other signs may not."""


@pytest.mark.parametrize(("kind", "reference", "answer"), RIGHT)
def test_right(kind: str, reference: str, answer: str) -> None:
    assert answers_equal(reference, answer) is True


@pytest.mark.parametrize(("kind", "reference", "answer"), WRONG)
def test_wrong(kind: str, reference: str, answer: str) -> None:
    assert answers_equal(reference, answer) is False
    if kind not in ONE_WAY:
        assert answers_equal(answer, reference) is not True


@pytest.mark.parametrize("text", sorted({text for _, *pair in RIGHT for text in pair}))
def test_everything_equals_itself(text: str) -> None:
    assert answers_equal(text, text) is True
    assert answers_equal(text, f"${text}$") is True or "$" in text or '"' in text


@pytest.mark.parametrize(
    ("reference", "answer", "why"),
    [
        ("5 apples", "5 km", "units that are not known"),
        ("\\int_0^1 f(x) dx", "\\oint_C g(z) dz", "formulas that cannot be read"),
        ("9^{9^{9}}", "9^{9^{8}}", "too large to work out"),
        ("\\frac{1}{0} + x", "\\frac{2}{0} + x", "no common value"),
    ],
)
def test_what_nobody_can_say_is_undecided(reference: str, answer: str, why: str) -> None:
    verdict = judge_answer(reference, answer)
    assert (verdict.right, verdict.undecided) == (None, why)


NUMBERS = (
    st.integers(-(10**9), 10**9)
    | st.fractions(max_denominator=10**6)
    | st.decimals(-(10**6), 10**6, places=3)
)


@settings(max_examples=80)
@given(NUMBERS, NUMBERS)
def test_equality_of_numbers_is_equality(a: object, b: object) -> None:
    same = Fraction(str(a)) == Fraction(str(b))
    assert answers_equal(str(a), str(b)) is same
    assert answers_equal(str(b), str(a)) is same


@settings(max_examples=80)
@given(st.decimals(1, 10**7, places=2, allow_nan=False), st.data())
def test_another_digit_is_another_number(value: object, data: st.DataObject) -> None:
    text = str(value)
    position = data.draw(st.sampled_from([i for i, sign in enumerate(text) if sign.isdigit()]))
    digit = data.draw(st.sampled_from("0123456789"))
    assume(digit != text[position])
    other = text[:position] + digit + text[position + 1 :]
    for form in (
        "{}",
        "${}",
        "{} km",
        "x = {}",
        "({}, 2)",
        "\\{{1, {}\\}}",
        "{} x^2",
        "\\frac{{{}}}{{7}}",
        "[0, {}000000000]",
    ):
        assert answers_equal(form.format(text), form.format(other)) is False
        assert answers_equal(form.format(text), form.format(text)) is True


@settings(max_examples=60)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=4))
def test_a_polynomial_equals_itself_in_any_order(coefficients: list[int]) -> None:
    terms = [f"({c})x^{{{k}}}" for k, c in enumerate(coefficients)]
    assert answers_equal("+".join(terms), "+".join(reversed(terms))) is True
    assert answers_equal("+".join(terms), "+".join([*terms, "1"])) is False


@given(st.integers(0, 12))
def test_number_words_are_numbers(value: int) -> None:
    words = next(
        word
        for word in [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ]
        if spelled_number(word) == value
    )
    assert answers_equal(str(value), words) is True
    assert answers_equal(str(value + 1), words) is False


@settings(max_examples=150)
@given(st.text(alphabet="0123456789.,xyab+-*/^_(){}[]\\$%=<>π√² '\"", max_size=24), st.text(max_size=12))
def test_any_two_texts_get_a_verdict(a: str, b: str) -> None:
    for reference, answer in ((a, b), (b, a), (a, a)):
        assert judge_answer(reference, answer).right in (True, False, None)
