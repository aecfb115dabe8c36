"""MATH-500: 500 competition problems with LaTeX answers (arXiv 2305.20050); evaluation only."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="MIT",
    hub="HuggingFaceH4/MATH-500",
    splits={"test": "test"},
    files={"test": "math500/test.jsonl"},
    read=lambda row: [
        Item(
            row["problem"],
            row["answer"],
            traces=row["solution"],
            id=row.get("unique_id"),
            difficulty=row.get("level"),
        )
    ],
)
