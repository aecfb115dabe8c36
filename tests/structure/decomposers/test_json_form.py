"""Reading decompositions: what is tolerated, what is not, and where quotes stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkd.structure.decomposers.json_form import MAX_STEPS, ParseFault, locate, parse_steps

PATH = "First, 16 - 3 = 13 eggs are left.\nThen  13 * 2\n= 26 dollars."
ROW: dict[str, Any] = {
    "meta": "Count first.",
    "sub_problem": "How many are left?",
    "answer": "13",
    "uses": ["16", "$3"],
    "operation": "-",
    "depends_on": [],
    "quote": "16 - 3 = 13",
}
NEXT = ROW | {
    "sub_problem": "What is earned?",
    "answer": "26",
    "uses": [2],
    "operation": "*",
    "depends_on": [0],
    "quote": "13 * 2 = 26",
}


def text(*rows: Any) -> str:
    return json.dumps({"steps": list(rows)})


def test_a_whole_decomposition() -> None:
    first, second = parse_steps(text(ROW, NEXT), PATH)
    assert (first.meta, first.sub_problem, first.answer, first.operation) == (
        "Count first.",
        "How many are left?",
        "13",
        "-",
    )
    assert first.quantities == ("16", "3")  # "$3" is the number 3
    assert PATH[first.start : first.end] == "16 - 3 = 13"
    assert PATH[second.start : second.end] == "13 * 2\n= 26"  # white space differs, the span is the source's
    assert second.depends_on == (0,)
    assert [c.text for c in first.calculations] == ["16-3=13"]


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "Here it is:\n{}\nI hope this helps {{you}}.",
        '<think>maybe {{"steps": []}}</think>\n{}',
        '{{"other": 1}} {}',
    ],
)
def test_wrapping_is_tolerated(wrapped: str) -> None:
    assert [step.answer for step in parse_steps(wrapped.format(text(ROW, NEXT)), PATH)] == ["13", "26"]


def test_a_bare_list_and_raw_line_breaks_are_tolerated() -> None:
    assert len(parse_steps(json.dumps([ROW]), PATH)) == 1
    assert parse_steps('{"steps": [{"sub_problem": "a\nb", "answer": 7}]}', PATH)[0].answer == "7"


def test_no_steps_is_an_answer() -> None:
    assert parse_steps('{"steps": []}', PATH) == ()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("I cannot do that.", "no complete JSON object"),
        ("", "no complete JSON object"),
        ("[]", "no complete JSON object"),
        ("[1, 2]", "no complete JSON object"),
        (text(ROW, NEXT)[:-30], "no complete JSON object"),
        ('{"steps": "none"}', "not a list of objects"),
        ('{"steps": [1]}', "not a list of objects"),
        ('{"steps": [{}]}', "neither sub_problem nor answer"),
        ('{"steps": [{"sub_problem": ["x"]}]}', "not a string"),
        ('{"steps": [{"sub_problem": "x", "uses": "16"}]}', "must be lists"),
        (text(*[ROW] * (MAX_STEPS + 1)), f"{MAX_STEPS + 1} steps"),
        ('{"steps": ' + "[" * 50_000, "no complete JSON object"),
    ],
)
def test_what_is_no_decomposition_is_a_fault(written: str, complaint: str) -> None:
    with pytest.raises(ParseFault, match=complaint):
        parse_steps(written, PATH)


def test_dependencies_on_later_steps_are_dropped() -> None:
    steps = parse_steps(
        text(ROW | {"depends_on": [0, 1, -1]}, ROW | {"depends_on": [0, 0, 5, True, "0"]}), PATH
    )
    assert [step.depends_on for step in steps] == [(), (0,)]


@pytest.mark.parametrize(
    ("row", "calculations"),
    [
        ({"quote": "she has 13", "uses": ["16", "3"], "operation": "-"}, ("16-3=13",)),
        (
            {"quote": "she has 13", "uses": ["16", "4"], "operation": "-"},
            (),
        ),  # 16 - 4 is not 13: not what was meant
        ({"quote": "she has 13", "uses": ["eggs", "3"], "operation": "-"}, ()),
        ({"quote": "she has 13", "uses": ["16"], "operation": "-"}, ()),
        (
            {"quote": "16 - 4 = 13", "uses": [], "operation": "-"},
            ("16-4=13",),
        ),  # what is quoted counts, wrong or not
    ],
)
def test_calculations_come_from_the_quote_or_from_the_quantities(
    row: dict[str, Any], calculations: tuple[str, ...]
) -> None:
    found = parse_steps(text(ROW | row), PATH)[0].calculations
    assert tuple(c.text for c in found) == calculations


def test_quotes_are_found_in_order_then_anywhere() -> None:
    path = "a b. A  B. c"
    # "a b" twice in order; "c"; "A b." starts again from the beginning; nothing for what is not there
    assert locate(["a b", "A B", "c", "a b.", "zzz", ""], path) == [
        (0, 3),
        (5, 9),
        (11, 12),
        (0, 4),
        (0, 0),
        (0, 0),
    ]


def test_quotes_are_found_where_folding_changes_the_length() -> None:
    path = "die Straße ist lang"
    assert locate(["STRASSE ist"], path) == [(4, 14)]
    assert path[4:14] == "Straße ist"


@given(st.text(), st.text())
def test_spans_lie_in_the_path(quote: str, path: str) -> None:
    [(start, end)] = locate([quote], path)
    assert 0 <= start <= end <= len(path)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(written: str) -> None:
    try:
        steps = parse_steps(written, PATH)
    except ParseFault:
        return
    assert all(step.sub_problem or step.answer for step in steps)
