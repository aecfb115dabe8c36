"""ProsQA: planning over a graph of invented categories, with the shortest chain (arXiv 2412.06769)."""

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import closed

BENCHMARK = Benchmark(
    licence="MIT",
    files={"train": "prosqa/valid.jsonl", "test": "prosqa/test.jsonl"},
    domain="logic",
    read=lambda row: [
        Item(
            row["question"],
            row["answer"].rstrip("."),
            traces=closed(row["trace"], row["answer"].rstrip(".")),
            id=row["id"],
        )
    ],
)
