"""MultiArith: word problems of two steps (Roy and Roth, 2015)."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="CC BY 4.0 (MAWPS)",
    hub="ChilleD/MultiArith",
    files={"train": "model_traces/multiarith.jsonl"},
    read=lambda row: [
        Item(
            row["question"],
            row.get("answer", row.get("final_ans")),
            traces=row.get("traces"),
            id=row.get("id"),
        )
    ],
)
