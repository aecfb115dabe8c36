"""ECQA: CommonsenseQA's questions with explanations (Aggarwal et al., ACL 2021)."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import choice, closed, label_of, options


def _read(row: Mapping[str, Any]) -> Iterator[Item]:
    question, _, listed = row["question"].partition("\nOptions:")
    choices = options([line.strip().removeprefix("- ") for line in listed.strip().split("\n")])
    label = label_of(row["answer"], choices)
    yield choice(question, choices, label, traces=closed(row["trace"], row["answer"]), id=row["id"])


BENCHMARK = Benchmark(
    licence="CDLA-Sharing-1.0", files={"train": "ecqa/ecqa.jsonl"}, domain="commonsense", read=_read
)
