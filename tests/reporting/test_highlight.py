from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlkd.reporting.highlight import pieces
from schemas.alignment import StepMatch
from schemas.evaluation import SampleStep


def step(start: int, end: int, partner: int | None = 0, p_answer: float | None = 1.0) -> SampleStep:
    verdict = StepMatch(index=0, p_intent=0.9, p_sub_problem=0.8, p_answer=p_answer)
    return SampleStep(index=0, start=start, end=end, partner=partner, verdict=verdict)


def test_marks_say_how_a_step_goes_with_the_other_side() -> None:
    text = "Start. Right. Slip. Alone. End"
    found = pieces(text, [step(7, 13, 2), step(14, 19, 0, 0.1), step(20, 26, None)], "teacher")
    assert [(p.text, p.mark, p.label) for p in found] == [
        ("Start. ", "", ""),
        ("Right.", "same", "3"),
        (" ", "", ""),
        ("Slip.", "differs", "1"),
        (" ", "", ""),
        ("Alone.", "alone", ""),
        (" End", "", ""),
    ]
    assert (
        found[1].note
        == "goes with the teacher's step 3 (same intent 0.90, same sub-problem 0.80, equal answer 1.00)"
    )
    assert found[5].note == "no step of the teacher goes with this one"


def test_no_steps_is_one_piece() -> None:
    assert [p.text for p in pieces("A path.", [], "teacher")] == ["A path."]
    assert pieces("", [], "teacher") == []


def test_overlaps_are_cut_and_impossible_spans_left_out() -> None:
    found = pieces("abcdef", [step(0, 3), step(2, 5), step(5, 5), step(4, 99), step(90, 99)], "student")
    assert [(p.text, p.mark) for p in found] == [("abc", "same"), ("de", "same"), ("f", "same")]


def test_space_around_a_step_is_not_marked() -> None:
    found = pieces(" a \n", [step(0, 4)], "student")
    assert [(p.text, p.mark) for p in found] == [(" ", ""), ("a", "same"), (" \n", "")]
    assert [(p.text, p.mark) for p in pieces("   ", [step(0, 3)], "student")] == [("   ", "")]


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_pieces_put_together_are_the_path(text: str, spans: list[tuple[int, int]]) -> None:
    found = pieces(text, [step(start, end) for start, end in spans], "teacher")
    assert "".join(piece.text for piece in found) == text
