"""ASDiv: word problems of primary school (arXiv 2106.15772)."""

import re

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="CC BY-NC 4.0",
    hub="EleutherAI/asdiv",
    splits={"train": "validation"},
    files={"train": "model_traces/asdiv.jsonl"},
    # The hub's answers carry units, and some are several: "9 (apples)", "10 (apples); 5 (pears)".
    read=lambda row: [
        Item(
            f"{row.get('body', '')} {row['question']}".strip(),
            re.sub(r"\s*\([^()]*\)", "", row["answer"]),
            traces=row.get("traces"),
            id=row.get("id"),
        )
    ],
)
