"""A benchmark is one file in ``rlkd/data/benchmarks``; this is what such a file holds (here: TriviaQA's short form).

Copied to ``rlkd/data/benchmarks/trivia.py`` it is ``data: {type: benchmark, name: trivia}``, without another change.
"""

from __future__ import annotations

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="Apache-2.0",
    hub="mandarjoshi/trivia_qa",
    subset="rc.nocontext",
    splits={"train": "train", "test": "validation"},
    files={"train": "trivia/train.jsonl", "test": "trivia/test.jsonl"},  # below $RLKD_DATA
    domain="facts",
    metric="exact_match_and_f1",
    read=lambda row: [
        Item(
            row["question"],
            row["answer"]["value"],
            id=row.get("question_id"),
            references=(row["answer"]["value"], *row["answer"]["aliases"]),
        )
    ],
)
