from __future__ import annotations

from typing import Any

import pytest

from rlkd.evaluation.metrics import (
    Resampling,
    build_report,
    checkpoint_metrics,
    faithful,
    headline,
    paired,
    split_metrics,
)
from schemas.evaluation import ProblemOutput

QUICK = Resampling(resamples=200)


def output(problem: str, **values: Any) -> ProblemOutput:
    row: dict[str, Any] = {
        "checkpoint": "rlkd",
        "split": "test",
        "problem_id": problem,
        "domain": "arithmetic",
        "difficulty": 2,
        "completion": "The answer is 7.",
        "answer": "7",
        "correct": True,
        "structure": 0.5,
        "format": 1.0,
        "tokens": 10,
        "finish_reason": "stop",
    }
    return ProblemOutput(**{**row, **values})


def test_split_metrics_leaves_missing_structure_out_and_counts_it() -> None:
    rows = [
        output("a", structure=0.8, tokens=10),
        output("b", structure=None, correct=False, tokens=30, finish_reason="length", format=0.0),
        output("c", structure=0.4, correct=False, tokens=20),
        output("d", structure=0.0, tokens=20),
    ]
    found = split_metrics(rows, how=QUICK)
    assert found.accuracy.mean == 0.5
    assert found.structure is not None
    # (0.8 + 0.4 + 0.0) / 3, not / 4.
    assert (found.structure.mean, found.structure.n) == (pytest.approx(0.4), 3)
    assert found.missing_structure == 1
    assert (found.tokens.mean, found.format.mean, found.truncated) == (20, 0.75, 0.25)
    assert found.guessed == 0


def test_answers_that_the_path_does_not_find_are_counted() -> None:
    rows = [output(n, own_answer=own) for n, own in (("a", True), ("b", False), ("c", None), ("d", False))]
    assert split_metrics(rows, how=QUICK).guessed == 2
    assert headline(build_report(rows, (), QUICK))["test_guessed_rlkd"] == 0.5  # 2 of 4


def test_undecided_answers_are_counted_by_reason_whatever_they_count_as() -> None:
    rows = [
        output("a"),
        output("b", correct=False, undecided="units that are not known"),
        output("c", correct=None, undecided="the verifier failed"),
        output("d", correct=False, undecided="units that are not known"),
        output("e", correct=None),  # of an earlier release, which kept no reason
    ]
    found = split_metrics(rows, how=QUICK)
    assert list(found.undecided.items()) == [
        ("units that are not known", 2),
        ("the verifier failed", 1),
        ("no reason given", 1),
    ]
    assert (found.missing_accuracy, found.accuracy.n) == (2, 3)
    values = headline(build_report(rows, (), QUICK))
    assert values["test_undecided_rlkd"] == values["test_undecided_final"] == 0.8  # 4 of 5


def test_split_metrics_without_any_structure() -> None:
    found = split_metrics([output("a", structure=None)], how=QUICK)
    assert found.structure is None
    assert found.missing_structure == 1


def test_pass_at_k_is_over_the_sampled_problems_only() -> None:
    rows = [
        output("a", samples=4, correct_samples=1, undecided_samples=1),
        output("b", samples=4, correct_samples=4, undecided_samples=2),
        output("c"),  # not sampled
    ]
    found = split_metrics(rows, (1, 2, 8), QUICK)
    # pass@1: (1/4 + 1) / 2; pass@2: (1 - C(3,2)/C(4,2) + 1) / 2 = (1/2 + 1) / 2; pass@8 needs 8 samples.
    assert {k: v.mean for k, v in found.pass_at.items()} == {
        "1": pytest.approx(0.625),
        "2": pytest.approx(0.75),
    }
    assert found.pass_at["1"].n == 2


def test_slices_by_domain_and_difficulty_in_reading_order() -> None:
    rows = [
        output("a", domain="logic", difficulty=10),
        output("b", domain="logic", difficulty=9, correct=False),
        output("c", domain="arithmetic", difficulty=None, correct=False),
    ]
    found = checkpoint_metrics(rows, how=QUICK)
    assert {name: m.accuracy.mean for name, m in found.by_domain.items()} == {"arithmetic": 0, "logic": 0.5}
    assert list(found.by_difficulty) == ["9", "10"]  # by number, and nothing for an unknown difficulty
    assert found.by_difficulty["10"].accuracy.n == 1


def test_checkpoint_metrics_refuses_a_mixture() -> None:
    with pytest.raises(ValueError, match="one checkpoint on one split"):
        checkpoint_metrics([output("a"), output("a", checkpoint="base")])


def test_paired_matches_problems_by_id_and_skips_missing_values() -> None:
    a = [
        output("a", structure=0.2, correct=False),
        output("b", structure=None),
        output("c", structure=0.5),
        output("d", structure=1.0),
    ]
    b = [output("c", structure=0.9), output("b", structure=0.4), output("a", structure=0.4), output("e")]
    found = paired(a, b, "structure", QUICK)
    assert found is not None
    # Problems a and c have both values: (0.4 - 0.2 + 0.9 - 0.5) / 2 = 0.3.
    assert (found[0], found[3]) == (pytest.approx(0.3), 2)
    accuracy = paired(a, b, "accuracy", QUICK)
    assert accuracy is not None
    # Problems a, b, c: (1 - 0) + 0 + 0 over 3.
    assert (accuracy[0], accuracy[3]) == (pytest.approx(1 / 3), 3)


def test_paired_without_a_common_problem() -> None:
    assert paired([output("a")], [output("b")], "accuracy", QUICK) is None


def test_build_report_orders_checkpoints_and_pairs_what_there_is() -> None:
    rows = [
        output("a", checkpoint="rlkd"),
        output("a", checkpoint="base", correct=False),
        output("o", checkpoint="rlkd", split="ood", structure=None),
        output("o", checkpoint="base", split="ood", correct=False),
    ]
    report = build_report(rows, how=QUICK)
    assert [(m.split, m.checkpoint) for m in report.checkpoints] == [
        ("test", "base"),
        ("test", "rlkd"),
        ("ood", "base"),
        ("ood", "rlkd"),
    ]
    # No warm start, so only base -> rlkd; on ood one side has no structure score.
    assert [(p.split, p.a, p.b, p.metric, p.diff) for p in report.paired] == [
        ("test", "base", "rlkd", "accuracy", 1.0),
        ("test", "base", "rlkd", "structure", 0.0),
        ("ood", "base", "rlkd", "accuracy", 1.0),
    ]
    assert report.find("rlkd", "ood") is report.checkpoints[3]
    assert report.find("warm_start", "test") is None


def test_headline_names_are_shared_and_fit_for_trackers() -> None:
    rows = [
        output("a", checkpoint="base", correct=False, samples=2, correct_samples=1),
        output("a", checkpoint="warm_start", structure=None),
    ]
    values = headline(build_report(rows, (1,), QUICK))
    assert values["test_accuracy_base"] == 0
    assert values["test_accuracy_warm_start"] == 1
    assert values["test_pass_at_1_base"] == 0.5
    assert values["test_accuracy_gain_base_to_warm_start"] == 1
    # The last checkpoint is the final one, whatever the method; the structure score is then missing, not stale.
    assert values["test_accuracy_final"] == 1
    assert "test_structure_final" not in values
    assert all(name.replace("_", "").isalnum() for name in values)


def test_intervals_are_over_clusters_where_problems_have_one() -> None:
    # 10 passages of 4 problems, right or wrong together, base and final student on other passages
    rows = [
        output(
            f"{i}.{j}",
            checkpoint=name,
            correct=(i < 5) == (name == "rlkd"),
            samples=2,
            correct_samples=2 * (i % 2),
        )
        for name in ("base", "rlkd")
        for i in range(10)
        for j in range(4)
    ]
    clusters = {
        f"{i}.{j}": f"c{i}" for i in range(9) for j in range(4)
    }  # the problems of the last one stand alone
    alone, together = (build_report(rows, (1,), Resampling(500, clusters=c)) for c in ({}, clusters))
    assert (alone.clusters, together.clusters) == ({}, {"test": 13})
    for metric in ("accuracy", "pass_at"):
        wide, narrow = (
            value if metric == "accuracy" else value["1"]
            for report in (together, alone)
            for value in [getattr(report.checkpoints[-1].overall, metric)]
        )
        assert wide.mean == narrow.mean == 0.5
        assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)
    a, b = (next(p for p in r.paired if p.metric == "accuracy") for r in (alone, together))
    assert a.diff == b.diff == 0 and b.high - b.low > 1.4 * (a.high - a.low)


def test_an_answer_is_faithful_where_it_is_right_by_a_right_path() -> None:
    cases = [
        (True, 0.9, 1.0),
        (True, 0.5, 1.0),
        (True, 0.4, 0.0),
        (False, 0.9, 0.0),
        (False, None, 0.0),  # wrong, whatever its path
        (None, 0.4, 0.0),  # not by a right path, whatever the answer
        (None, 0.9, None),
        (True, None, None),
        (None, None, None),
    ]
    for correct, structure, value in cases:
        assert faithful(output("a", correct=correct, structure=structure)) == value
