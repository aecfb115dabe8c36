"""Several sources at once: what each gives, what is dropped across them, and which teacher has which problems."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rlkd.config.load import parse_config
from rlkd.data.sources.mixture import _named
from rlkd.data.traces import collect_traces
from rlkd.errors import ConfigError, DataError
from rlkd.pipeline.context import StageContext
from schemas.config.data import MixtureData
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from tasks.identity import identify

COLUMNS = {"question": "question", "answer": "answer", "traces": ["answer"]}


def part(name: str, path: Path, **more: Any) -> dict[str, Any]:
    source = {"type": "file", "path": str(path), "columns": COLUMNS, "answer_pattern": r"####\s*(.+)"}
    sizes = {"validation": 2, "test": 4, **more.pop("sizes", {})}
    return {"name": name, "source": source | {"sizes": sizes} | more.pop("source", {}), **more}


def mixture(*parts: dict[str, Any], **more: Any) -> PipelineConfig:
    data = {"type": "mixture", "parts": list(parts), "sizes": {"validation": 4}, **more}
    return parse_config({"name": "t", "data": data, "traces": {"teacher": {"type": "column"}}})


@pytest.fixture
def files(tmp_path: Path, kit: Any) -> tuple[Path, Path]:
    """40 and 20 problems, three of them in both files."""
    return (
        kit.write_jsonl(tmp_path / "a.jsonl", kit.rows(40)),
        kit.write_jsonl(tmp_path / "b.jsonl", kit.rows(20, start=37)),
    )


def parts_of(ids: list[str]) -> Counter[str]:
    return Counter(name.split(":")[0] for name in ids)


def test_each_part_is_split_as_it_would_be_alone_and_keeps_its_domain(
    files: tuple[Path, Path], run_data: Any
) -> None:
    config = mixture(part("a", files[0]), part("b", files[1], domain="logic"))
    run, again = run_data(config), run_data(config)
    assert parts_of(run.ids("test")) + parts_of(run.ids("validation")) == {"a": 6, "b": 6}
    # 40 - 6 and 20 - 6 are left to train on, less three that stand in both
    assert run.summary["dropped"] == {"exact duplicate": 3}
    assert run.summary["kept"] == {"train": 45, "validation": 4, "test": 8, "ood": 0}
    assert run.summary["loaded"] == 60 == run.result.rows + 3 + run.summary["unused"]
    assert {p.id.split(":")[0]: p.domain for p in run.split("train")} == {"a": "math", "b": "logic"}
    assert [run.ids(name) for name in ("train", "test")] == [again.ids(name) for name in ("train", "test")]
    first = [name.split(":")[0] for name in run.ids("train")[:20]]
    assert set(first) == {"a", "b"}  # in one shuffled order, not one after the other
    other = run_data(config.model_copy(update={"seed": 1}))
    assert other.ids("train") != run.ids("train")


def test_weights_divide_the_training_problems_exactly(files: tuple[Path, Path], run_data: Any) -> None:
    three, one = part("a", files[0], weight=3), part("b", files[1], weight=1)
    run = run_data(mixture(three, one, sizes={"train": 18, "validation": 4}))
    # 18 x 3/4 = 13.5 and 4.5: the first of equal remainders has the one that is left
    assert parts_of(run.ids("train")) == {"a": 14, "b": 4}
    # without a number: as many as 3 to 1 allow; which part has the three duplicates depends on the seed
    run = run_data(mixture(part("a", files[0], weight=1), part("b", files[1], weight=1)))
    found = parts_of(run.ids("train"))
    assert found["a"] == found["b"] >= 11
    short = run_data(
        mixture(part("a", files[0], weight=1), part("b", files[1], weight=9), sizes={"train": 30})
    )
    assert parts_of(short.ids("train"))["a"] == 3
    assert any(
        note.startswith("b, train: ") and "of the 27 that its weight" in note
        for note in short.summary["notes"]
    )


def test_counts_of_a_part_are_its_sizes(files: tuple[Path, Path], run_data: Any) -> None:
    run = run_data(
        mixture(part("a", files[0], sizes={"train": 5}), part("b", files[1], sizes={"train": 100}))
    )
    assert parts_of(run.ids("train"))["a"] == 5
    assert any(
        note.startswith("b, train: ") and note.endswith("of the 100 asked for")
        for note in run.summary["notes"]
    )


def test_overlap_is_removed_across_parts_and_within_a_part_of_one_wording_is_not_looked_at(
    tmp_path: Path, kit: Any, run_data: Any
) -> None:
    words = "every wumpus is a tumpus and every tumpus is a yumpus and no yumpus is a zumpus says"
    alike = [{"question": f"{words} {name}", "answer": f"#### {i}"} for i, name in enumerate("abcdefghij")]
    one = kit.write_jsonl(tmp_path / "logic.jsonl", alike)
    # the last row shares 13 words with the test problems of the other part
    two = kit.write_jsonl(
        tmp_path / "b.jsonl", [*kit.rows(12), {"question": f"{words} me", "answer": "#### 77"}]
    )
    off = {"deduplicate": {"enabled": False}, "decontaminate": {"enabled": False}}
    test_last = part("b", two, sizes={"test": 1, "validation": 0})
    run = run_data(mixture(part("logic", one, source=off), test_last))
    assert parts_of(run.ids("train"))["logic"] == 10 - 6
    assert Counter(row["reason"] for row in run.dropped) == {"overlaps evaluation": 1}
    assert run.dropped[0]["row"]["question"].endswith("me")
    run = run_data(mixture(part("logic", one), test_last))
    assert sum(row["reason"] == "overlaps evaluation" for row in run.dropped) > 1


def test_a_cluster_stands_under_the_name_of_its_part_and_null_is_none() -> None:
    config = mixture(part("a", Path("a.jsonl"))).data
    assert isinstance(config, MixtureData)
    named = [
        _named(
            Problem(id="p", question="q", answer="1", metadata={"cluster": value}), config.parts[0]
        ).metadata["cluster"]
        for value in (None, "", 0, "c")
    ]
    assert named == [None, "", "a:0", "a:c"]


def test_traces_are_routed_by_domain_and_clusters_keep_apart(tmp_path: Path, kit: Any, run_data: Any) -> None:
    rows = [row | {"story": i // 2} for i, row in enumerate(kit.rows(12))]
    paths = [kit.write_jsonl(tmp_path / f"{n}.jsonl", rows[k : k + 6]) for n, k in (("a", 0), ("b", 6))]
    columns = {"columns": COLUMNS | {"cluster": "story"}}
    config = mixture(
        part("a", paths[0], sizes={"test": 2, "validation": 0}, source=columns),
        part("b", paths[1], sizes={"test": 2, "validation": 0}, source=columns, domain="logic"),
    )
    run = run_data(config)
    assert {p.metadata["cluster"].split(":")[0] for p in run.split("test")} == {"a", "b"}
    teacher = [{"type": "column", "domains": ["logic"]}]
    values = config.model_dump(mode="json") | {"traces": {"teacher": teacher}}
    folder = tmp_path / "traces"
    folder.mkdir()
    said = kit.messages()
    collect_traces(StageContext(parse_config(values), {"data": run.folder}, folder, said))
    accepted = [
        json.loads(line)["problem_id"] for line in (folder / "accepted.jsonl").read_text().splitlines()
    ]
    assert parts_of(accepted) == {"b": 6}
    assert any("6 problems of the domain math have no teacher" in text for text in said.texts)


def test_the_identity_covers_every_part(files: tuple[Path, Path]) -> None:
    from rlkd.pipeline.stages import stage_spec

    config = mixture(part("a", files[0]), part("b", files[1]))
    key = identify(stage_spec("data"), config, {}).key
    files[1].write_text(files[1].read_text() + "\n")
    assert identify(stage_spec("data"), config, {}).key != key


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": []}, r"data\.parts"),
        ({"twice": True}, "two parts are named a; give each a name of its own"),
        ({"weight": 1.0}, "b has no weight, but another part has"),
        ({"world": True}, r"data\.parts\.0\.source"),
    ],
)
def test_what_is_wrong_is_one_sentence(files: tuple[Path, Path], change: dict[str, Any], said: str) -> None:
    a, b = part("a", files[0]), part("b", files[1])
    if "weight" in change:
        a["weight"] = change["weight"]
    if "twice" in change:
        b["name"] = "a"
    if "world" in change:
        a["source"] = {"type": "world"}
    parts = change.get("parts", [a, b])
    with pytest.raises(ConfigError, match=said):
        mixture(*parts)


def test_a_part_that_cannot_be_read_is_named(files: tuple[Path, Path], tmp_path: Path, run_data: Any) -> None:
    with pytest.raises(DataError, match=r"data\.parts, b: data\.path .*there is no"):
        run_data(mixture(part("a", files[0]), part("b", tmp_path / "gone.jsonl")))
    gone = part("b", files[1], source={"columns": COLUMNS | {"answer": "solution"}})
    with pytest.raises(DataError, match=r"data\.parts, b: .*data\.columns\.answer names 'solution'"):
        run_data(mixture(part("a", files[0]), gone))
