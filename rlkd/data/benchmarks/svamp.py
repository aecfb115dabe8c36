"""SVAMP: one-step word problems with varied wording (arXiv 2103.07191)."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="MIT",
    hub="ChilleD/SVAMP",
    files={"train": "model_traces/svamp.jsonl"},
    read=lambda row: [
        Item(row["question"], row["answer"], traces=row.get("traces"), id=row.get("id"))
        if "question" in row
        else Item(f"{row['Body'].strip()} {row['Question'].strip()}", row["Answer"], id=row.get("ID"))
    ],
)
