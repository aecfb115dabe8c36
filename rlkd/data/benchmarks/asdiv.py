"""ASDiv: word problems of primary school (arXiv 2106.15772)."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="CC BY-NC 4.0",
    hub="EleutherAI/asdiv",
    splits={"train": "validation"},
    files={"train": "model_traces/asdiv.jsonl"},
    # The hub's answers carry a unit: "9 (apples)".
    read=lambda row: [
        Item(
            f"{row.get('body', '')} {row['question']}".strip(),
            row["answer"].split(" (", 1)[0],
            traces=row.get("traces"),
            id=row.get("id"),
        )
    ],
)
