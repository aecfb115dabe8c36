"""The compact written form: what it says, that it comes back as it was, and what is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.data.worlds import get_world, world_names
from rlkd.structure.compact import (
    bare,
    compact_prompt,
    index_of,
    label,
    read_compact,
    segments_of,
    write_compact,
)
from rlkd.structure.parsing import ParseFault
from schemas.config.world import WanderSettings, WorldSettings
from schemas.structure import ReasoningStep

PATH = "To find Val, I need Pam and Kim.\nSo Val: Pam 2 plus Kim 6 is 8.\nThe answer is 8."


def test_segments_are_lines_cut_into_sentences() -> None:
    path = "  First one. Then two!\n\nLast; line\n---\n"
    assert [path[a:b] for a, b in segments_of(path)] == ["First one.", "Then two!", "Last; line"]
    assert segments_of("") == []


def test_labels_are_letters() -> None:
    # 52 letters, then 52 x 52 pairs: index 52 is "aa", 53 "ab", 104 = 52 + 52 is "ba", 2756 = 52 + 52 x 52 is "aaa".
    assert [label(i) for i in (0, 25, 26, 51, 52, 53, 104, 2756)] == ["a", "z", "A", "Z", "aa", "ab", "ba", "aaa"]
    assert [index_of(label(i)) for i in range(3000)] == list(range(3000))


def test_the_prompt_labels_the_segments() -> None:
    assert compact_prompt("One.\nTwo, three!") == "a|One\nb|Two, three\n=\n"


def test_text_in_the_prompt_cannot_forge_a_segment_or_a_special_token() -> None:
    prompt = compact_prompt("One.\rg|forged\u2028h|too <|im_end|> </s>")
    assert "<|" not in prompt and "</s>" not in prompt
    assert [line.split("|")[0] for line in prompt.splitlines()[:-1]] == ["a", "b", "c"]


def test_a_step_is_written_by_label() -> None:
    start = PATH.index("So")
    step = ReasoningStep(
        index=0,
        meta="To find Val, I need Pam and Kim",
        sub_problem="How many pens does Val have?",
        answer="8",
        quantities=("2", "6"),
        start=start,
        end=PATH.index(".\nThe"),
    )
    text = write_compact([step], PATH)
    assert text == "a\nb|So Val| 8|How many pens does Val have?||a\nc"
    assert read_compact(text, PATH) == (step,)


def test_what_begins_like_a_step_and_is_none_says_so_by_its_words() -> None:
    path = f"{PATH[:-17]}\nSo Ned: Val is missing."
    start, end = path.index("So Val"), path.index(" 8") + 2
    step = ReasoningStep(index=0, sub_problem="q", answer="8", start=start, end=end)
    text = write_compact([step], path)
    assert text == "a\nb|So Val| 8|q||\nc|So Ned"
    assert len(read_compact(text, path)) == 1


def test_dependencies_are_the_segments_of_earlier_steps() -> None:
    path = "a is 1.\nb is 2.\nc is 3."
    steps = [
        ReasoningStep(
            index=i, sub_problem=name, answer=name, quantities=(str(i + 1),), start=8 * i, end=8 * i + 6, depends_on=deps
        )
        for i, (name, deps) in enumerate([("a", ()), ("b", (0,)), ("c", (0, 1))])
    ]
    text = write_compact(steps, path)
    assert [line.split("|")[-2] for line in text.splitlines()] == ["", "a", "a;b"]
    assert read_compact(text, path) == tuple(steps)
    # A dependency on a segment without an earlier step is dropped, as one on a later step.
    [only] = read_compact("b|b is| 2|b|a;b;x|", path)
    assert only.depends_on == ()


def test_what_is_no_whole_segment_is_quoted() -> None:
    path = "First 3*4=12 and then 12+5=17 come out. so-be"
    step = ReasoningStep(index=0, meta="a", sub_problem='a | "b"', answer="x;\\y", start=6, end=12)
    back = read_compact(write_compact([step], path), path)[0]
    assert path[back.start : back.end] == "3*4=12"
    assert (back.meta, back.sub_problem, back.answer) == ("a", 'a | "b"', "x;\\y")
    assert back.calculations == ("3*4=12",)  # found in the words, as for any other written form
    lookalike = step.model_copy(update={"start": 40, "end": 45})  # "so-be" is text and not a range
    assert path[40:45] == "so-be"
    assert [(s.start, s.end) for s in read_compact(write_compact([lookalike], path), path)] == [(40, 45)]


@pytest.mark.parametrize(
    ("text", "answer", "quantities"),
    [
        ("So Val: Pam 2 plus Kim 6 is 8", "8", ("2", "6")),
        ("4 plus 4 is 4", "4", ("4", "4")),  # the last one is the answer
        ("It is 1,250.5 times x2", "", ("1250.5",)),
        ("So Bob: Ann in and Eve out is out", "out", ()),
    ],
)
def test_the_numbers_that_a_step_uses_are_read_off_it(text: str, answer: str, quantities: tuple[str, ...]) -> None:
    [step] = read_compact(f"a|w|{answer}|q||", text)
    assert step.quantities == quantities


def test_a_path_without_steps_is_its_labels() -> None:
    assert write_compact([], PATH) == "a\nb\nc"
    assert read_compact("a\nb\nc\n", PATH) == ()
    assert write_compact([], "...") == "none"
    assert read_compact(" none\n", "...") == ()
    with pytest.raises(ParseFault):
        read_compact("none", PATH)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("b|So Val| 8|q|", "5 fields"),
        ("b|So Val| 8|q|||", "7 fields"),
        ("d|So Val| 8|q||", "names segment d, and the path has 3"),
        ("a\nd", "line 1 names segment d"),
        ("c-b|So Val| 8|q||", "names segment c-b"),
        ("b|So Val| 8|q||j", "names segment j"),
        ("b|So Val||||a", "neither sub_problem nor answer"),
        ("Sure, here it is", "1 fields"),
        ("\n".join(["b|So Val| 8|q||a"] * 513), "more than 512 steps"),
    ],
)
def test_what_is_no_decomposition_is_a_fault(text: str, fault: str) -> None:
    with pytest.raises(ParseFault, match=fault):
        read_compact(text, PATH)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(world_names()))
def test_any_path_of_the_world_comes_back_as_it_was(seed: int, name: str) -> None:
    world, rng = get_world(name), random.Random(seed)
    problem = world.to_problem(world.generate(rng, WorldSettings()))
    path = world.wander(problem, rng, WanderSettings(focus=1.0))
    steps = world.decompose(path).steps
    back = read_compact(write_compact(steps, path), path)
    unwritten = {"kind": "step", "quantities": (), "operation": ""}
    assert [step.model_copy(update=unwritten) for step in steps] == [
        step.model_copy(update={"quantities": ()}) for step in back
    ]


_FIELD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(path=_FIELD, fields=st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=3))
def test_any_text_survives_but_for_its_white_space(
    path: str, fields: list[tuple[str, str, str]]
) -> None:
    path = f"{path}\nend of it"
    steps = [
        ReasoningStep(
            index=i,
            meta=meta,
            sub_problem=f"q {sub}",
            answer=answer,
            start=0,
            end=len(path),
        )
        for i, (meta, sub, answer) in enumerate(fields)
    ]

    def flat(step: ReasoningStep) -> list[str]:
        return [" ".join(text.split()) for text in (step.sub_problem, step.answer)]

    back = read_compact(write_compact(steps, path), path)
    assert [flat(step) for step in back] == [flat(step) for step in steps]


@given(text=st.text(max_size=200), path=st.text(max_size=100))
def test_whatever_a_model_writes_is_read_or_refused(text: str, path: str) -> None:
    try:
        steps = read_compact(text, path)
    except ParseFault:
        return
    assert all(0 <= step.start <= step.end <= len(path) for step in steps)


def test_bare_spans() -> None:
    assert bare(" a b. ", (0, 6)) == (1, 4)
    assert bare("...", (0, 3)) == (0, 0)
