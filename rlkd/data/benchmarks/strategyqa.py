"""StrategyQA: yes-or-no questions whose steps are implicit, with the facts they need (arXiv 2101.02235)."""

from rlkd.data.benchmarks import Benchmark, Item
from rlkd.data.benchmarks._rows import closed

BENCHMARK = Benchmark(
    licence="MIT",
    hub="ChilleD/StrategyQA",
    files={"train": "strategyqa/train.json", "test": "strategyqa/dev.json"},
    domain="commonsense",
    read=lambda row: [
        Item(
            row["question"],
            row["answer"],
            traces=closed("\n".join(row["facts"]), "yes" if row["answer"] else "no")
            if isinstance(row.get("facts"), list)
            else None,
            id=row.get("qid"),
        )
    ],
)
