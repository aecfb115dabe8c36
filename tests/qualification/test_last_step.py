from __future__ import annotations

from rlkd.qualification.last_step import drop_answer_lines, hide_last_step

MARKED = "16 - 3 = <<16-3=13>>13 eggs.\nThat is 13 * 2 = $<<13*2=26>>26.\nShe is happy.\n#### 26"


def test_the_line_with_the_last_calculation_goes_and_all_after_it() -> None:
    assert drop_answer_lines(MARKED, hidden=True) == "16 - 3 = <<16-3=13>>13 eggs."
    assert drop_answer_lines(MARKED, hidden=False) == MARKED.removesuffix("\n#### 26")
    assert drop_answer_lines("no calculation\nA: 3", hidden=True) == ""


def test_both_sides_are_hidden_and_an_empty_teacher_is_dropped() -> None:
    teachers, student = hide_last_step([MARKED, "2 + 2 = 4"], "First 16 - 3 = 13.\nThen 13 * 2 = 26.")
    assert teachers == ("16 - 3 = <<16-3=13>>13 eggs.",)
    assert student == "First 16 - 3 = 13."
    assert hide_last_step(["2 + 2 = 4"], "2 + 2 = 4") == ((), "")
    # A student that calculates nothing shows no way there.
    assert hide_last_step([MARKED], "It is 26.")[1] == ""


def test_a_path_of_one_line_is_cut_by_sentences() -> None:
    assert hide_last_step(
        ["She has 16 - 3 = 13 eggs. So 13 * 2 = 26."], "13.5 + 1 = 14.5 at first. Then 14.5 * 2 = 29. Done."
    ) == (
        ("She has 16 - 3 = 13 eggs.",),
        "13.5 + 1 = 14.5 at first.",
    )


def test_prose_loses_its_last_line_or_sentence() -> None:
    assert hide_last_step(
        ["Whales are mammals.\nMammals breathe air."], "Fish have gills. Whales do not.", "commonsense"
    ) == (
        ("Whales are mammals.",),
        "Fish have gills.",
    )


def test_the_world_says_itself_what_its_last_step_is() -> None:
    plan, first, last = (
        "To find Cid, I need Ann and Bob.",
        "So Bob: Ann 3 plus Ann 3 is 6.",
        "So Cid: Ann 3 plus Bob 6 is 9.",
    )
    path = f"{plan}\n{first}\n{last}\nThe answer is 9."
    assert hide_last_step([path], f"{last}\n{first}", "arithmetic") == ((f"{plan}\n{first}",), last)
    assert hide_last_step([path], "nothing", "arithmetic")[1] == ""
