"""AIME 2024: 30 competition problems with whole-number answers; evaluation only."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="problems (c) MAA; collection Apache-2.0",
    hub="HuggingFaceH4/aime_2024",
    splits={"test": "train"},
    files={"test": "aime24/test.jsonl"},
    read=lambda row: [Item(row["problem"], row["answer"], traces=row.get("solution"), id=row.get("id"))],
)
