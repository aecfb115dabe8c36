"""CommonsenseQA: everyday questions with five options (arXiv 1811.00937); its test split has no answers."""

from rlkd.data.benchmarks import Benchmark
from rlkd.data.benchmarks._rows import hub_choice

BENCHMARK = Benchmark(
    licence="MIT",
    hub="tau/commonsense_qa",
    splits={"train": "train", "test": "validation"},
    domain="commonsense",
    read=hub_choice,
)
