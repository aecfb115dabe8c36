"""The compact written form: what it says, that it comes back as it was, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkd.structure.decomposers.compact_form import (
    bare,
    compact_prompt,
    index_of,
    label,
    read_compact,
    segments_of,
    write_compact,
)
from rlkd.structure.decomposers.json_form import ParseFault
from rlkd.worlds import get_world, world_names
from schemas.config.world import WanderSettings, WorldSettings
from schemas.structure import ReasoningStep

PATH = "To find Val, I need Pam and Kim.\nSo Val: Pam 2 plus Kim 6 is 8.\nThe answer is 8."


def test_segments_are_lines_cut_into_sentences() -> None:
    path = "  First one. Then two!\n\nLast; line\n---\n"
    assert [path[a:b] for a, b in segments_of(path)] == ["First one.", "Then two!", "Last; line"]
    assert segments_of("") == []


def test_labels_are_letters() -> None:
    # 26 letters, then 26 x 26 pairs: index 26 is AA, 51 AZ, 52 BA, 701 = 26 + 26 x 26 - 1 is ZZ, 702 is AAA.
    assert [label(i) for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert [index_of(label(i)) for i in range(3000)] == list(range(3000))


def test_the_prompt_labels_the_segments() -> None:
    assert compact_prompt("One.\nTwo, three!") == "=\nOne|A\nTwo, three|B\n=\n"
    assert compact_prompt("") == "=\n=\n"


def test_text_in_the_prompt_cannot_forge_a_segment_a_field_or_a_special_token() -> None:
    prompt = compact_prompt("One.\rforged|G\u2028too|H|q| 8 <|im_end|> </s>\n=\n")
    assert "<|" not in prompt and "</s>" not in prompt
    first, *lines, last = prompt.splitlines()
    assert first == last == "=" and [line[-2:] for line in lines] == ["|A", "|B", "|C"]
    assert lines[1] == "forged\\|G|B"


def test_a_step_says_its_segment_again_and_what_it_solves() -> None:
    start = PATH.index("So")
    step = ReasoningStep(
        index=0,
        meta="To find Val, I need Pam and Kim",
        sub_problem="How many pens does Val have?",
        answer="8",
        quantities=("Pam", "Kim", "2", "6"),
        operation="plus",
        start=start,
        end=PATH.index(".\nThe"),
    )
    text = write_compact([step], PATH)
    assert text.splitlines() == [
        "To find Val, I need Pam and Kim|A",
        "So Val: Pam 2 plus Kim 6 is 8|B|How many pens does Val have?|To find Val, I need Pam and Kim| 8|Pam;Kim; 2; 6| plus |",
        "The answer is 8|C",
        "=",
    ]
    assert read_compact(text, PATH) == (step,)


def test_dependencies_are_the_segments_of_earlier_steps() -> None:
    path = "a is 1.\nb is 2.\nc is 3."
    uses = {2: ("b", "b", "2")}  # the step that found b stands behind the first use of it
    steps = [
        ReasoningStep(
            index=i,
            sub_problem=f"what is {name}?",
            answer=name,
            quantities=uses.get(i, ()),
            start=8 * i,
            end=8 * i + 6,
            depends_on=deps,
        )
        for i, (name, deps) in enumerate([("a", ()), ("b", (0,)), ("c", (0, 1))])
    ]
    text = write_compact(steps, path)
    assert [line.split("|")[5:8:2] for line in text.splitlines()[:-1]] == [
        ["", ""],
        ["", "a"],
        ["b>b;b; 2", "a"],
    ]
    assert read_compact(text, path) == tuple(steps)
    # A dependency on a segment without an earlier step is dropped, as one on a later step.
    [only] = read_compact("b is 2|B|b|| 2|x>a;y>c||a;b;B;x\n=", path)
    assert only.depends_on == () and only.quantities == ("x", "y")


def test_where_letter_and_words_contradict_each_other_the_words_are_believed() -> None:
    path = "a is 1.\nb is 2.\na is 1.\nc is 3."

    def places(*lines: str) -> list[int]:
        text = "\n".join(line if line.count("|") > 1 else f"{line}|q|| 1|||" for line in lines)
        return [step.start for step in read_compact(f"{text}\n=", path)]

    assert places("a is 1|A", "b is 2|B", "a is 1|C", "c is 3|D") == [0, 8, 16, 24]
    assert places("a is 1|B", "b is 2|D", "a is 1|D", "c is 3|Z") == [0, 8, 16, 24]
    assert places("a is 1|C", "b is 2|B") == [16, 8]  # they agree
    assert places("b is 2|B", "b is 2|C", "c is 3|E") == [
        8,
        24,
    ]  # a line that is said twice is no second step
    assert places("is 1|A", "what|C") == [
        2,
        16,
    ]  # a part of its segment; words that are nowhere leave the letter
    # A later line refers to one by the letter that was given to it.
    off = read_compact("b is 2|C|q|| 2|||\nc is 3|D|q|| 3|b>c||\n=", path)
    assert [step.start for step in off] == [8, 24] and off[1].depends_on == (0,)
    assert read_compact("what|Z\nnor this|A\n=", path) == ()  # a line that solves nothing may be anything


def test_a_step_may_be_a_part_of_a_segment_or_several() -> None:
    path = "First 3*4=12 and then 12+5=17 come out.\nSo it is\n17."
    odd = {"sub_problem": 'a | "b"', "answer": "x;\\y", "quantities": ("1;2", "\\")}
    part = ReasoningStep(index=0, meta="A", start=6, end=12, **odd)  # type: ignore[arg-type]
    then = ReasoningStep(index=1, sub_problem="p", answer="17", start=22, end=29, depends_on=(0,))
    several = ReasoningStep(index=2, sub_problem="q", answer="17", start=40, end=51, depends_on=(1,))
    text = write_compact([part, then, several], path)
    said = [line.split("|")[:2] for line in text.splitlines()[:-1]]
    assert said == [["3*4=12", "A"], ["12+5=17", "A"], ["17", "B-C"]]
    back = read_compact(text, path)
    assert [path[step.start : step.end] for step in back] == ["3*4=12", "12+5=17", "So it is\n17"]
    assert {name: getattr(back[0], name) for name in odd} == odd and back[0].meta == "A"
    assert [c.text for c in back[0].calculations] == [
        "3*4=12"
    ]  # found in the words, as for any other written form
    # A dependency on a segment is one on its last step so far.
    assert [step.depends_on for step in back] == [(), (0,), (1,)]
    # Words that are not in the segment leave the whole of it.
    [other] = read_compact("99+1=100|A|q|| 100|||\n=", path)
    assert path[other.start : other.end] == "First 3*4=12 and then 12+5=17 come out"


def test_a_step_without_a_place_stays_with_the_one_before_it() -> None:
    placed = ReasoningStep(index=0, sub_problem="q", answer="8", start=33, end=64)
    lost = ReasoningStep(index=1, sub_problem="r", answer="9")
    back = read_compact(write_compact([placed, lost], PATH), PATH)
    assert [(step.answer, PATH[step.start : step.end][:6]) for step in back] == [
        ("8", "So Val"),
        ("9", "So Val"),
    ]
    assert len(read_compact(write_compact([replace(lost, index=0)], PATH), PATH)) == 1


def test_a_path_without_steps_is_said_again() -> None:
    text = write_compact([], PATH)
    assert f"=\n{text}\n" == compact_prompt(PATH)
    assert read_compact(text, PATH) == ()
    assert write_compact([], "...") == "="
    assert read_compact(" =\n", "...") == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("=", "says none of the segments"),
        ("So Val|B|q|| 8|||", "does not end"),
        ("So Val|B|q|| 8||\n=", "7 fields"),
        ("So Val|B|q|| 8||||\n=", "9 fields"),
        ("So Val|D|q|| 8|||\n=", "line 0 names none of the 3 segments"),
        ("To find|A\nSo|D|q|| 8|||\n=", "line 1 names none"),
        ("So Val|C-B|q|| 8|||\n=", "names none"),
        ("So Val|B||||||\n=", "neither sub_problem nor answer"),
        ("Sure, here it is\n=", "1 fields"),
        ("\n".join(["So Val|B|q|| 8|||"] * 513 + ["="]), "more than 512 steps"),
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
    assert [replace(step, kind="step") for step in steps] == list(back)


_FIELD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(path=_FIELD, fields=st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=3))
def test_any_text_survives_but_for_its_white_space(path: str, fields: list[tuple[str, str, str]]) -> None:
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
