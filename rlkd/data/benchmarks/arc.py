"""ARC-Challenge: science questions of school with options (arXiv 1803.05457)."""

from rlkd.data.benchmarks import Benchmark
from rlkd.data.benchmarks._rows import hub_choice

BENCHMARK = Benchmark(
    licence="CC BY-SA 4.0",
    hub="allenai/ai2_arc",
    subset="ARC-Challenge",
    splits={"train": "train", "validation": "validation", "test": "test"},
    domain="science",
    read=hub_choice,
)
