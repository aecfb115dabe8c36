from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlkd.evaluation.metrics import Resampling, build_report
from rlkd.reporting.findings import describe_findings
from schemas.evaluation import EvalReport, ProblemOutput

Students = Callable[..., list[ProblemOutput]]


def report_of(rows: list[ProblemOutput]) -> EvalReport:
    return build_report(rows, how=Resampling(resamples=300))


def rows_of(correct: dict[str, list[Any]], split: str = "test") -> list[ProblemOutput]:
    return [
        ProblemOutput(
            checkpoint=name,  # type: ignore[arg-type]
            split=split,  # type: ignore[arg-type]
            problem_id=str(i),
            domain="math",
            difficulty=None,
            completion="",
            answer=None,
            correct=right,
            structure=0.5,
            format=1.0,
            tokens=1,
            finish_reason="stop",
        )
        for name, values in correct.items()
        for i, right in enumerate(values)
    ]


def test_a_gain_is_told_with_its_interval(students: Students) -> None:
    found = describe_findings(report_of(students({"warm_start": 0.4, "rlkd": 0.9}, 200, 0)))
    assert found[0].text.startswith("The RLKD student solves ")
    assert "the warm-started student" in found[0].text
    assert found[1].tone == "good"
    assert "Warm start → RLKD: accuracy rises by" in found[1].text
    assert "over the same 200 problems" in found[1].text


def test_a_loss_is_told_as_a_loss(students: Students) -> None:
    found = describe_findings(report_of(students({"warm_start": 0.9, "rlkd": 0.4}, 200, 0)))
    assert found[1].tone == "bad"
    assert "accuracy falls by" in found[1].text


def test_an_interval_that_includes_0_is_undecided() -> None:
    # One problem gained, one lost, of 20: the difference is 0 and its interval holds 0.
    before, after = [True] * 10 + [False] * 10, [False] + [True] * 10 + [False] * 9
    found = describe_findings(report_of(rows_of({"warm_start": before, "rlkd": after})))
    assert found[1].tone == "unsure"
    assert "no difference in accuracy can be told from this run" in found[1].text
    assert "includes 0" in found[1].text


def test_near_zero_accuracy_comes_first_and_is_plain() -> None:
    values = [False] * 199 + [True]
    found = describe_findings(report_of(rows_of({"warm_start": [False] * 200, "rlkd": values})))
    assert found[0].tone == "bad"
    assert found[0].text.startswith("Accuracy is near zero: 1 of 200 test problems")


def test_zero_of_n_names_what_accuracy_it_allows() -> None:
    found = describe_findings(report_of(rows_of({"rlkd": [False] * 100})))
    # The 95% upper bound for 0 of 100 is 1 - 0.05 ** (1 / 100) = 2.95%.
    assert "0 of 100 is what a true accuracy of up to 3.0%" in found[0].text


def test_a_good_student_is_not_called_near_zero(students: Students) -> None:
    assert not any(
        "near zero" in s.text for s in describe_findings(report_of(students({"rlkd": 0.9}, 50, 20)))
    )


def test_missing_structure_is_named(students: Students) -> None:
    found = describe_findings(report_of(students({"rlkd": 0.9}, 50, 0)))  # problem 7 has no structure score
    assert any("1 of 50 completions have no structure score" in s.text for s in found)


def test_one_checkpoint_has_nothing_to_compare(students: Students) -> None:
    assert not any("→" in s.text for s in describe_findings(report_of(students({"base": 0.5}))))


def test_skipped_rl_compares_base_and_warm_start(students: Students) -> None:
    found = describe_findings(report_of(students({"base": 0.1, "warm_start": 0.9}, 100, 0)))
    assert "The warm-started student solves" in found[0].text
    assert any("Base → Warm start: accuracy rises" in s.text for s in found)


def test_completions_that_were_cut_off_are_counted_in_the_first_sentence() -> None:
    rows = rows_of({"rlkd": [True] * 7 + [None] * 3})
    cut = [
        row.model_copy(update={"finish_reason": "length"}) if i in (6, 9) else row
        for i, row in enumerate(rows)
    ]
    assert (
        "; 2 of its 10 completions were cut off at the length limit."
        in describe_findings(report_of(cut))[0].text
    )
    assert "cut off" not in describe_findings(report_of(rows))[0].text


def test_answers_that_the_path_does_not_find_are_counted_in_the_first_sentence() -> None:
    rows = rows_of({"rlkd": [True] * 7 + [None] * 3})
    for guessed, said in ((1, "; 1 of its answers is not"), (3, "; 3 of its answers are not")):
        told = [row.model_copy(update={"own_answer": i >= guessed}) for i, row in enumerate(rows)]
        assert f"{said} what its own steps find." in describe_findings(report_of(told))[0].text
    assert "its own steps" not in describe_findings(report_of(rows))[0].text


def test_undecided_answers_are_counted_by_reason_and_by_what_they_count_as() -> None:
    rows = rows_of({"rlkd": [True] * 6 + [False] * 2 + [None] * 2})
    reasons = {6: "units that are not known", 7: "time", 8: "the verifier failed", 9: "the verifier failed"}
    rows = [row.model_copy(update={"undecided": reasons.get(i, "")}) for i, row in enumerate(rows)]
    assert (
        "Whether 4 of 10 answers are right is undecided (2 x the verifier failed, 1 x units that are not known, 1 x time); "
        "2 of them count as wrong, 2 have no verdict and are left out of accuracy."
    ) in [s.text for s in describe_findings(report_of(rows))]
    assert not any("undecided" in s.text for s in describe_findings(report_of(rows[:6])))
    sampled = [rows[0].model_copy(update={"undecided_samples": 3}), *rows[1:6], rows[6]]
    told = report_of(sampled).model_copy(update={"undecided_counts_as": "right"})
    assert (
        "Whether 1 of 7 answers are right is undecided (1 x units that are not known); 1 of them count as right. "
        "3 of the samples for pass@k are undecided and treated in the same way."
    ) in [s.text for s in describe_findings(told)]


def test_the_judges_last_fault_is_named_with_the_scores_that_are_missing(students: Students) -> None:
    report = report_of(students({"rlkd": 0.9}, 50, 0)).model_copy(
        update={"structure_fault": "HTTP 401 from the judge"}
    )
    assert any(
        "or none that could be read; last fault: HTTP 401 from the judge)" in s.text
        for s in describe_findings(report)
    )
