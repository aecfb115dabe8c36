"""GSM8K: grade-school word problems with solutions (arXiv 2110.14168)."""

from rlkd.data.benchmarks import Benchmark, Item

BENCHMARK = Benchmark(
    licence="MIT",
    hub="openai/gsm8k",
    subset="main",
    files={"train": "gsm8k/train.jsonl", "test": "gsm8k/test.jsonl"},
    read=lambda row: [Item(row["question"], row["answer"].rsplit("####", 1)[1], traces=row["answer"])],
)
