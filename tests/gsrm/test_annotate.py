"""Annotators and what is good enough: gold, rules, a model behind HTTP, with every way to go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.errors import DataError, MissingScoreError
from rlkd.gsrm.annotate import ACCEPTED, REJECTED, annotate_paths, fault_of, given_steps, open_annotator
from rlkd.gsrm.paths import PATHS, collect_paths, read_paths
from rlkd.io import read_rows, write_rows
from rlkd.structure.decomposers.generative import Fault
from rlkd.worlds import get_world
from schemas.config.gsrm import AnnotationsConfig
from schemas.gsrm import Annotation, GsrmPath
from schemas.structure import ReasoningStep, Structure

Make = Callable[..., Any]
PATH = "First 3*4=12 pens. Then 12+5=17 pens."


def rows_of(count: int, **changes: Any) -> list[GsrmPath]:
    return [
        GsrmPath(id=f"r{i}", group=f"g{i}", problem=f"Problem {i}?", path=PATH, **changes)
        for i in range(count)
    ]


@pytest.fixture
def paths(tmp_path: Path) -> Callable[[Sequence[GsrmPath]], dict[str, Path]]:
    def make(rows: Sequence[GsrmPath]) -> dict[str, Path]:
        folder = tmp_path / "given"
        folder.mkdir(exist_ok=True)
        write_rows(folder / PATHS, rows)
        return {"gsrm_paths": folder}

    return make


def read(ctx: Any, name: str = ACCEPTED) -> list[Annotation]:
    return read_rows(ctx.folder / name, Annotation)


# -- gold and rules ----------------------------------------------------------------------------------


def test_the_worlds_own_reading_is_its_gold(context: Make) -> None:
    source = context("paths")
    collect_paths(source)
    ctx = context("annotations", {"gsrm_paths": source.folder})
    result = annotate_paths(ctx)
    found = {row.path_id: row for row in read(ctx)}
    rows = read_paths(source.folder)
    assert len(found) == len(rows) == result.summary["accepted"]
    for row in rows:
        assert found[row.id].structure == get_world(row.domain).decompose(row.path)
    assert not (ctx.folder / REJECTED).read_text()


def test_given_steps_come_with_places_or_with_quotes(context: Make, paths: Make) -> None:
    spans = {
        "sub_problem": "How many?",
        "answer": "12",
        "quantities": ["3", "4"],
        "operation": "*",
        "start": 6,
        "end": 12,
    }
    quotes = {
        "sub_problem": "How many?",
        "answer": 12,
        "uses": ["3", 4],
        "operation": "*",
        "quote": "3*4 = 12",
    }
    for given in (spans, {**quotes, "quote": "3*4=12"}):
        [row] = rows_of(1, steps=(given,))
        found = given_steps(row)
        assert isinstance(found, Structure)
        [step] = found.steps
        assert (PATH[step.start : step.end], step.answer, step.quantities) == ("3*4=12", "12", ("3", "4"))
        assert [c.text for c in step.calculations] == ["3*4=12"]


@pytest.mark.parametrize(
    "step",
    [
        {"sub_problem": "q", "start": 30, "end": 99},
        {"sub_problem": "q", "start": "x", "end": 3},
        {"start": 0, "end": 3},
        {"sub_problem": "q", "uses": 3},
    ],
)
def test_given_steps_that_cannot_be_read_are_rejected(step: dict[str, Any]) -> None:
    [row] = rows_of(1, steps=(step,))
    assert isinstance(given_steps(row), Fault)


def test_without_gold_a_path_is_rejected_and_too_many_stop_the_stage(context: Make, paths: Make) -> None:
    gold = ({"sub_problem": "How many?", "answer": "12", "quote": "3*4=12"},)
    rows = [*rows_of(3, steps=gold), *(row.model_copy(update={"id": f"x{row.id}"}) for row in rows_of(2))]
    ctx = context("some", paths(rows))
    result = annotate_paths(ctx)
    assert result.summary["reasons"] == {"no gold": 2}
    assert [row.path_id for row in read(ctx, REJECTED)] == ["xr0", "xr1"]
    strict = context("strict", paths(rows), annotations={"max_rejected": 0.3})
    with pytest.raises(DataError, match=r"2 of 5 annotations by gold were rejected \(2 x no gold\)"):
        annotate_paths(strict)
    assert len(read(strict, REJECTED)) == 2  # kept to be looked at


def test_rules_annotate_any_prose(context: Make, paths: Make) -> None:
    ctx = context("rules", paths(rows_of(2)), annotations={"annotator": {"type": "rules"}})
    assert annotate_paths(ctx).summary["annotator"] == "rules@6"
    structure = read(ctx)[0].structure
    assert structure is not None
    assert [step.answer for step in structure.steps] == ["12 pens", "17 pens"] or [
        step.calculations for step in structure.steps
    ] == [("3*4=12",), ("12+5=17",)]


# -- a model behind HTTP -----------------------------------------------------------------------------


def written(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": list(steps)})


FIRST = {"sub_problem": "How many first?", "answer": "12", "quote": "3*4=12"}
THEN = {"sub_problem": "How many then?", "answer": "17", "depends_on": [0], "quote": "12+5=17"}
ANSWERS = {
    0: written(FIRST, THEN),
    1: written(THEN, FIRST),
    2: written(FIRST, {**THEN, "quote": "nowhere in it"}),
    3: written(FIRST, {**THEN, "answer": "99"}),
    4: "I would rather not.",
    5: written(),
    6: "```json\n" + written(FIRST, THEN) + "\n```",
}


def answer(body: Any) -> Reply:
    for number, text in ANSWERS.items():
        if f"Problem {number}?" in json.dumps(body):
            return Reply(text)
    raise AssertionError("an unknown problem")


def endpoint(server: SimulatedServer) -> dict[str, Any]:
    place = {"type": "openai", "base_url": server.url, "model": "m", "attempts": 1, "timeout_s": 5}
    return {"type": "generative", "endpoint": place, "repair": False}


def test_a_models_annotations_are_checked_and_the_rejected_kept_with_their_reasons(
    context: Make, paths: Make
) -> None:
    with SimulatedServer(answer) as server:
        settings = {"annotator": endpoint(server), "max_rejected": 0.9, "empty": False}
        ctx = context("annotations", paths(rows_of(7)), annotations=settings)
        result = annotate_paths(ctx)
    assert [row.path_id for row in read(ctx)] == ["r0", "r6"]
    assert result.summary["annotator"].startswith("generative:m+")
    reasons = {row.path_id: row.reason.partition(":")[0] for row in read(ctx, REJECTED)}
    assert reasons == {
        "r1": "out of order",
        "r2": "not in the path",
        "r3": "answers not in the path",
        "r4": "unreadable",
        "r5": "no steps",
    }
    structure = read(ctx)[0].structure
    assert structure is not None and structure.steps[1].depends_on == (0,)


@pytest.mark.slow
def test_an_endpoint_that_fails_stops_the_stage_and_what_was_paid_for_is_kept(
    context: Make, paths: Make
) -> None:
    down = True
    asked: list[str] = []

    def sometimes(body: Any) -> Reply:
        text = json.dumps(body)
        asked.append(text)
        number = int(text.split("Problem ")[1].split("?")[0])
        return Reply("overloaded", status=503) if down and number >= 64 else Reply(ANSWERS[0])

    rows = rows_of(80)
    with SimulatedServer(sometimes) as server:
        settings = {"annotator": endpoint(server)}
        ctx = context("annotations", paths(rows), annotations=settings)
        with pytest.raises(
            MissingScoreError, match=r"did not answer for 16 of 16 paths \(most often server_error"
        ):
            annotate_paths(ctx)
        down = False
        asked.clear()
        result = annotate_paths(ctx)
    assert len(asked) == 16
    assert result.rows == 80
    assert ctx.events.told == ["continuing: 64 of 80 paths are annotated"]


def test_an_annotation_torn_by_a_crash_is_made_again(context: Make, paths: Make) -> None:
    gold = ({"sub_problem": "How many?", "answer": "12", "quote": "3*4=12"},)
    ctx = context("annotations", paths(rows_of(3, steps=gold)))
    annotate_paths(ctx)
    partial = ctx.folder / "work" / "annotations.jsonl"
    text = partial.read_text()
    partial.write_text(text[: len(text) - 20])
    assert annotate_paths(ctx).rows == 3
    assert len(partial.read_text().splitlines()) == 3


# -- what is good enough -----------------------------------------------------------------------------


def step(index: int, start: int, end: int, answer: str = "12") -> ReasoningStep:
    return ReasoningStep(index=index, sub_problem="q", answer=answer, start=start, end=end)


@pytest.mark.parametrize(
    ("steps", "settings", "reason"),
    [
        ([step(0, 6, 12), step(1, 24, 31, "1 7")], {}, ""),
        ([], {}, ""),
        ([], {"empty": False}, "no steps"),
        ([step(0, 0, 0)], {}, "not in the path: 1 of 1 quotes"),
        ([step(0, 0, 0), step(1, 6, 12)], {"located": 0.5}, ""),
        ([step(0, 24, 31), step(1, 6, 12)], {}, "out of order: the steps do not follow the path"),
        ([step(0, 24, 31), step(1, 6, 12)], {"ordered": False}, ""),
        ([step(0, 6, 12, "13")], {}, "answers not in the path: 1 of 1"),
        ([step(0, 6, 12, "13"), step(1, 24, 31, "17")], {"answered": 0.5}, ""),
    ],
)
def test_checks(steps: list[ReasoningStep], settings: dict[str, Any], reason: str) -> None:
    assert fault_of(PATH, steps, AnnotationsConfig(**settings)) == reason


def test_nothing_is_loaded_or_connected_before_it_is_asked() -> None:
    place = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    config = AnnotationsConfig.model_validate({"annotator": {"type": "generative", "endpoint": place}})
    assert open_annotator(config).name.startswith("generative:m+")
