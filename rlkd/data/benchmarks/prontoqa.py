"""ProntoQA: true or false by chains of invented or real categories, with proofs (arXiv 2210.01240)."""

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import closed

BENCHMARK = Benchmark(
    licence="Apache-2.0",
    files={"train": "prontoqa/prontoqa.jsonl"},
    domain="logic",
    read=lambda row: [
        Item(
            row.get("question") or f"{row['context']} {row['query']}",
            row["answer"],
            traces=closed(row["trace"], row["answer"]),
        )
    ],
)
