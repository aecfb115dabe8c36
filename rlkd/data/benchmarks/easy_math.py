"""Easy word problems of one and two steps with verified traces of several language models; near duplicates never across splits."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="those of ASDiv, MultiArith, SVAMP and MAWPS",
    files={
        "train": "easy_math/train.jsonl",
        "validation": "easy_math/valid.jsonl",
        "test": "easy_math/test.jsonl",
    },
    read=lambda row: [
        Item(
            row["question"],
            row["answer"],
            traces=row["traces"],
            id=row["id"],
            difficulty=row.get("n_steps"),
            cluster=row.get("cluster"),
        )
    ],
)
