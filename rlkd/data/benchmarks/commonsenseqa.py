"""CommonsenseQA: everyday questions with five options (arXiv 1811.00937); its test split has no answers."""

from rlkd.data.benchmarks import Benchmark
from rlkd.data.benchmarks._rows import choice, options

BENCHMARK = Benchmark(
    licence="MIT",
    hub="tau/commonsense_qa",
    splits={"train": "train", "test": "validation"},
    domain="commonsense",
    read=lambda row: [
        choice(
            row["question"],
            options(row["choices"]["text"], row["choices"]["label"]),
            row["answerKey"],
            id=row.get("id"),
        )
    ],
)
