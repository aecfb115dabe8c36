"""CoQA: questions about a story within a conversation (arXiv 1808.07042).

Reads the official JSON (``data: [{story, questions, answers, additional_answers}]``), the hub's form, and one turn a row.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import passage


def _texts(turns: Any) -> list[str]:
    """The texts of turns: ``[{input_text: ...}, ...]`` (official), ``{input_text: [...]}`` or ``[...]`` (hub)."""
    if isinstance(turns, Mapping):
        return list(turns["input_text"])
    return [turn["input_text"] if isinstance(turn, Mapping) else turn for turn in turns]


def _read(row: Mapping[str, Any]) -> Iterator[Item]:
    if "story" not in row:
        yield Item(
            row["question"],
            row["answer"],
            id=row.get("id"),
            domain=row.get("domain"),
            references=(row["answer"],),
            # One turn a row: the ids are "<story>-<turn>".
            cluster=str(row["id"]).rpartition("-")[0] if row.get("id") else None,
        )
        return
    questions, answers = _texts(row["questions"]), _texts(row["answers"])
    others = [_texts(turns) for turns in (row.get("additional_answers") or {}).values()]
    told: list[str] = []
    for turn, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        history = "".join(f"\n{line}" for line in told)
        references = (answer, *(other[turn] for other in others if turn < len(other)))
        number = f"{row['id']}/{turn + 1}" if row.get("id") else None
        yield Item(
            f"{row['story'].strip()}\n{history}\nQ: {question}",
            answer,
            id=number,
            domain=row.get("source"),
            references=references,
            cluster=row.get("id") or passage(row["story"]),
        )
        told += [f"Q: {question}", f"A: {answer}"]


BENCHMARK = Benchmark(
    licence="mixed by passage (CC BY-SA 4.0, Apache, MSR-LA, RACE's own)",
    hub="stanfordnlp/coqa",
    splits={"train": "train", "test": "validation"},
    files={"train": "coqa/turns.jsonl"},
    domain="reading",
    metric="exact_match_and_f1",
    read=_read,
)
