"""LogiQA: logical reasoning over a passage, four options (arXiv 2007.08124)."""

from rlkd.data.benchmarks import Benchmark
from rlkd.data.benchmarks._rows import LETTERS, choice, options, passage

BENCHMARK = Benchmark(
    licence="CC BY-NC-SA 4.0",
    hub="lucasmccabe/logiqa",
    subset="default",
    revision="refs/convert/parquet",
    splits={"train": "train", "validation": "validation", "test": "test"},
    domain="logic",
    read=lambda row: [
        choice(
            f"{row['context'].strip()}\n{row['query'].strip()}",
            options(row["options"]),
            LETTERS[int(row["correct_option"])],
            cluster=passage(row["context"]),
        )
    ],
)
