"""GPQA Diamond: graduate questions of science, four options (arXiv 2311.12022); gated, evaluation only."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import choice, label_of, options, shuffled


def _read(row: Mapping[str, Any]) -> Iterator[Item]:
    right = row["Correct Answer"].strip()
    texts = [right, *(row[f"Incorrect Answer {i}"].strip() for i in (1, 2, 3))]
    choices = options(shuffled(texts, row["Question"]))
    yield choice(row["Question"], choices, label_of(right, choices), id=row.get("Record ID"))


BENCHMARK = Benchmark(
    licence="CC BY 4.0",
    hub="Idavidrein/gpqa",
    subset="gpqa_diamond",
    splits={"test": "train"},
    domain="science",
    read=_read,
)
