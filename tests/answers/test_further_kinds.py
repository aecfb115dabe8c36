"""Further ways to write an answer: ``(kind, right pairs, wrong pairs)`` as reference and answer; the kinds are those of docs/answers.md."""

from __future__ import annotations

import pytest

from rlkd.answers.equal import answers_equal

Pairs = list[tuple[str, str]]
MATRIX = "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}"
UNION = "(-\\infty,2)\\cup(3,\\infty)"
DAY = "05/30/2021"
KINDS: dict[str, tuple[Pairs, Pairs]] = {
    "words": (
        [("yes", "Yes he can"), ("no", "No he cannot"), ("yes", "Yes it would be possible."), ("no", "No they can't"), ("yes", "True it is"), ("yes", "yes, he can"), ("no", "No, it's not"),
         ("USA", "U.S.A."), ("U.S.A.", "USA"), ("UK", "U.K."), ("J.K. Rowling", "JK Rowling"), ("JK Rowling", "J. K. Rowling"), ("J.K. Rowling", "J. K. Rowling"), ("George R. R. Martin", "George R.R. Martin"),
         ("yes", "definitely yes"), ("yes", "Yes that is right"), ("no", "clearly no")],
        [("no", "No one"), ("yes", "No he cannot"), ("no", "Yes he can"), ("yes", "Yes it is false"), ("no", "no more"), ("USA", "U.S."), ("J.K. Rowling", "J.R. Rowling"), ("yes", "definitely not")],
    ),
    "left as a calculation": (
        [("120", "120"), ("5!", "120"), ("\\binom{4}{2}", "6"), ("5!", "5!"), ("\\frac{1}{5!}", "1/5!"), ("n!", "n!"), ("6", "3! = 6"), ("6", "6 (3!)")],
        [("6", "3!"), ("6", "\\binom{4}{2}"), ("120", "5!"), ("12", "2 \\cdot 3!"), ("6", "3!/1"), ("6 ways", "3! ways"), ("24", "4!"), ("6", "\\gcd(12, 18)"), ("1/6", "\\frac{1}{3!}")],
    ),
    "notes": (
        [("5", "5 (five)"), ("5", "five (5)"), ("5", "five dollars ($5)"), ("$5", "five dollars ($5)"), ("90 minutes", "1.5 hours (90 minutes)"), ("0.35", "0.35 (35%)"), ("5 cm", "5 (5 cm)"), ("$5", "$5 (500 cents)"),
         ("1/2", "1/2 (0.5)"), ("1.5 hours", "90 minutes (1 hour and 30 minutes)")],
        [("5", "5 (six)"), ("5", "five dollars ($6)"), ("6", "five dollars ($6)"), ("5 m", "5 (5 cm)"), ("5", "6 (5)"), ("90 minutes", "1.5 hours (80 minutes)"), ("5", "5 (5 or 6)"), ("6", "5 (6)")],
    ),
    "dates": (
        [(DAY, "5/30/21"), (DAY, "05-30-2021"), (DAY, "05.30.2021"), (DAY, "2021/05/30"), (DAY, "30-May-2021"), (DAY, "Sun, May 30, 2021"), (DAY, "on May 30, 2021"), (DAY, "30/05/2021"), (DAY, "Sunday, May 30, 2021"),
         (DAY, "30.05.2021"), (DAY, "2021.05.30"), (DAY, "2021-05-30"), (DAY, "on Sunday, May 30th, 2021"), (DAY, "the 30th of May, 2021"), (DAY, "30 May 2021"), (DAY, "on 05/30/2021"), (DAY, "Sun 30 May 2021"), (DAY, "5-30-21"), (DAY, "Sunday 05/30/2021"),
         (DAY, "May 30"), ("03/04/2021", "March 4, 2021"), ("May 30, 1999", "5/30/99"), ("3:30 p.m.", "at 3:30 p.m."), ("15:30", "at 3:30 p.m."), ("noon", "at noon"), ("1999", "in 1999"), ("1999", "in the year 1999"), ("3:30", "at 3:30")],
        [(DAY, "Monday, May 30, 2021"), (DAY, "Monday 05/30/2021"), (DAY, "Mon, May 30, 2021"), (DAY, "on Saturday, May 30, 2021"), ("03/04/2021", "April 3, 2021"), ("03/04/2021", "4-3-2021"), ("April 3, 2021", "03/04/2021"), ("03/04/2021", "3-Apr-2021"),
         ("03/04/2021", "04/03/21"), (DAY, "5/30/22"), (DAY, "5/29/21"), (DAY, "31/05/2021"), (DAY, "30-June-2021"), (DAY, "2021/30/05"), (DAY, "13/13/2021"), ("1999", "in 1998"), ("3:30 p.m.", "at 3:30 a.m."), ("3:30 p.m.", "at 4:30 p.m."),
         ("May 30, 1921", "5/30/21"), ("5", "in 5")],
    ),
    "joined units": (
        [("1.5 hours", "1h30m"), ("90 minutes", "1h 30m"), ("90 minutes", "1hr30min"), ("1.5 hours", "1h30min"), ("5400 s", "1h30m0s"), ("63 inches", "5ft3in"), ("100 seconds", "1min40s"), ("90 seconds", "1m30s"), ("1.5 hours", "1.5 h (1h30m)")],
        [("1.5 hours", "1h20m"), ("1.5 hours", "1h30"), ("1.5 hours", "30m1h")],
    ),
    "matrices and unions": (
        [(MATRIX, "[[1,2],[3,4]]"), (MATRIX, "[[1, 2], [3, 4]]"), ("[[1,2],[3,4]]", MATRIX), ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "[[1],[2]]"), (UNION, "(-inf,2) U (3,inf)"), (UNION, "(-∞, 2) ∪ (3, ∞)"), (UNION, "(-infinity,2)U(3,infinity)"), (UNION, "(-inf, 2) union (3, inf)"),
         ("(-\\infty,2]\\cup[3,\\infty)", "(-inf, 2] U [3, inf)")],
        [(MATRIX, "[[1,3],[2,4]]"), (MATRIX, "[[1,2,3,4]]"), (MATRIX, "[1,2,3,4]"), (MATRIX, "[[1,2],[3,5]]"), (UNION, "(-inf,2] U (3,inf)"), (UNION, "(-inf,2) U (4,inf)"), (UNION, "(-inf,2)"), (UNION, "(inf,2) U (3,-inf)")],
    ),
    "hedges": (
        [("7", "indeed 7"), ("7", "then 7"), ("7", "still 7"), ("7", "clearly 7"), ("7 eggs", "certainly 7 eggs")],
        [("7", "indeed 8"), ("7", "certainly not 7"), ("7", "then 7 or 8"), ("7", "hardly 7"), ("7", "not then 7")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reference", "answer"), [pair for right, _ in KINDS.values() for pair in right])
def test_right(reference: str, answer: str) -> None:
    assert answers_equal(reference, answer) is True


@pytest.mark.parametrize(("reference", "answer"), [pair for _, wrong in KINDS.values() for pair in wrong])
def test_wrong(reference: str, answer: str) -> None:
    assert answers_equal(reference, answer) is not True
