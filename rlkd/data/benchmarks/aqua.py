"""AQuA-RAT: algebra with five options and rationales (arXiv 1705.04146)."""

from rlkd.data.benchmarks import Benchmark
from rlkd.data.benchmarks._rows import choice, closed, options

BENCHMARK = Benchmark(
    licence="Apache-2.0",
    hub="deepmind/aqua_rat",
    subset="raw",
    splits={"train": "train", "validation": "validation", "test": "test"},
    files={"train": "model_traces/aqua.jsonl"},
    read=lambda row: [
        choice(
            row["question"].split("\n# Answer option:", 1)[0],
            options(row["options"]),
            label := row.get("correct") or row["answer"],
            traces=row.get("traces") or closed(row.get("rationale", ""), label),
            id=row.get("id"),
        )
    ],
)
