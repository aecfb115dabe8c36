"""StrategyQA: yes-or-no questions whose steps are implicit, with the facts they need (arXiv 2101.02235)."""

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import closed


def _text(facts: str | list[str] | None) -> str:
    """The facts, a line each in the original files, one text on the hub."""
    return "\n".join(facts) if isinstance(facts, list) else facts or ""


BENCHMARK = Benchmark(
    licence="MIT",
    hub="ChilleD/StrategyQA",
    files={"train": "strategyqa/train.json", "test": "strategyqa/dev.json"},
    domain="commonsense",
    read=lambda row: [
        Item(
            row["question"],
            row["answer"],
            traces=closed(_text(row.get("facts")), "yes" if row["answer"] else "no"),
            id=row.get("qid"),
        )
    ],
)
