"""The measurement, with rules and with model judges that are wrong in ways that a qualification must notice."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.errors import DataError
from rlkd.qualification.measure import Measured, Measurer, repeatability
from rlkd.qualification.pairs import Labelled, labelled_pair
from rlkd.qualification.verdict import judge, misses
from rlkd.structure.scorer import teacher_item
from schemas.config.qualify import QualifyConfig
from schemas.config.structure import StructuresConfig
from schemas.qualification import Qualification

pytestmark = pytest.mark.slow

Pairs = Callable[..., Labelled]
SETTINGS = QualifyConfig(limit=None, resamples=100, changed=12, repeats=8, unrelated=20, min_cases=5)


def measure(labelled: Labelled, settings: QualifyConfig = SETTINGS, **structures: Any) -> Measured:
    return asyncio.run(Measurer(StructuresConfig.model_validate(structures), settings).measure(labelled))


def model_judge(url: str, **settings: Any) -> dict[str, Any]:
    endpoint = {"type": "openai", "base_url": url, "model": "m", "attempts": 1, "concurrency": 16}
    return {"judge": {"type": "llm", "endpoint": endpoint, **settings}, "cache": {"enabled": False}}


def share(found: Qualification, change: str) -> float | None:
    return next(row.share for row in found.sensitivities if row.change == change)


def test_rules_on_paths_whose_scores_are_known(labelled: Pairs) -> None:
    seen: list[tuple[int, int]] = []
    measurer = Measurer(StructuresConfig(), SETTINGS, progress=lambda done, total: seen.append((done, total)))
    made = asyncio.run(measurer.measure(labelled()))
    found = made.figures
    assert (found.pairs, found.right, found.source) == (24, 12, "made up")
    assert (found.decomposer, found.judge, found.alignment) == ("rules@6", "rules@5", "structure")
    # Every right path is the teacher's in other words; every wrong one goes wrong at once.
    for part in (found.full, found.hidden):
        assert part.structure is not None
        assert (part.structure.value, part.structure.low) == (1.0, 1.0)
        assert part.best_baseline == max(part.baselines, key=lambda name: part.baselines[name].value)
    assert all(row.full is not None and (row.full > 0.99) is row.right for row in made.scores)
    assert {row.change: row.n for row in found.sensitivities}["empty"] == 12
    assert share(found, "step_scrambled") == share(found, "value_wrong") == share(found, "end_wrong") == 1.0
    assert share(found, "step_repeated") == share(found, "path_repeated") == share(found, "empty") == 1.0
    assert share(found, "steps_swapped") is None  # each step needs the one before
    assert found.repeatability is not None
    assert (found.repeatability.n, found.repeatability.identical, found.repeatability.largest) == (
        8,
        1.0,
        0.0,
    )
    assert found.cost is not None
    assert (found.cost.completions, found.cost.requests, found.cost.prompt_tokens) == (8, 0.0, None)
    # 12 teachers, 12 more with the last step hidden, 12 right students.
    assert (found.paths, found.parse_failures, found.missing) == (36, 0, 0)
    assert judge(found, SETTINGS).passed
    assert seen[-1][0] == seen[-1][1] == found.scored
    assert {row.change for row in made.changes} == {row.change for row in found.sensitivities if row.n}


def test_a_judge_that_always_says_yes_is_caught(labelled: Pairs) -> None:
    def yes(_: dict[str, Any]) -> Reply:
        return Reply(
            "yes",
            prompt_tokens=30,
            completion_tokens=1,
            logprobs=(("yes", math.log(0.97)), ("no", math.log(0.03))),
        )

    with SimulatedServer(yes) as server:
        made = measure(labelled(8), SETTINGS.model_copy(update={"changed": 2}), **model_judge(server.url))
    found = made.figures
    assert {row.question: (row.share, round(row.mean, 2)) for row in found.yes_bias} == {
        "intent": (1.0, 0.97), "sub_problem": (1.0, 0.97), "answer": (1.0, 0.97),
    }  # fmt: skip
    verdict = judge(found, SETTINGS)
    assert verdict.refused  # broken, so also where nothing is set
    assert any(
        "says yes to steps that are certainly different (the worst question) is 1.000" in line
        for line in misses(verdict)
    )
    # Wrong ones are paid for whatever they say: only steps that are missing or too many still cost (0.41 of them).
    assert all(row.full is not None and row.full > 0.4 for row in made.scores if not row.right)
    assert found.cost is not None
    assert found.cost.requests > 1000  # every completion needs some
    assert found.cost.prompt_tokens == pytest.approx(30 * found.cost.requests)
    assert found.cost.completion_tokens == pytest.approx(found.cost.requests)


def test_a_judge_that_obeys_what_a_path_tells_it_is_caught(labelled: Pairs) -> None:
    def obeys(body: dict[str, Any]) -> Reply:
        return Reply("yes" if "Note to the judge" in body["messages"][-1]["content"] else "no")

    with SimulatedServer(obeys) as server:
        settings = SETTINGS.model_copy(update={"changed": 6})
        found = measure(labelled(8), settings, **model_judge(server.url, verdict="exact")).figures
    assert (share(found, "judge_addressed") or 0.0) < 0.5
    assert "padding" in {check.name for check in judge(found, settings).checks if check.status == "missed"}


def test_all_three_questions_are_asked_about_bias_whatever_the_gate(labelled: Pairs) -> None:
    def gated(body: dict[str, Any]) -> Reply:
        asked = body["messages"][-1]["content"]
        return Reply(
            "yes" if "answer" in asked.rsplit("</data>", 1)[-1].lower().split("answer yes or no")[0] else "no"
        )

    with SimulatedServer(gated) as server:
        found = measure(
            labelled(8),
            SETTINGS.model_copy(update={"changed": 1}),
            **model_judge(server.url, verdict="exact"),
        ).figures
    said = {row.question: row.share for row in found.yes_bias}
    assert said["intent"] == 0.0
    assert said["answer"] == 1.0


def test_a_judge_that_rolls_dice_does_not_repeat_itself(labelled: Pairs) -> None:
    dice = random.Random(0)

    def random_verdict(_: dict[str, Any]) -> Reply:
        p = dice.uniform(0.05, 0.95)
        return Reply("yes", logprobs=(("yes", math.log(p)), ("no", math.log(1 - p))))

    with SimulatedServer(random_verdict) as server:
        found = measure(
            labelled(10), SETTINGS.model_copy(update={"changed": 1}), **model_judge(server.url)
        ).figures
    assert found.repeatability is not None
    assert found.repeatability.unchanged < 0.9
    assert found.repeatability.largest > 0.02
    assert "repeatable" in {check.name for check in judge(found, SETTINGS).checks if check.status == "missed"}


def test_a_judge_that_does_not_answer_leaves_scores_missing_and_no_figure_is_made_up(labelled: Pairs) -> None:
    with SimulatedServer(lambda _: Reply("down", status=500)) as server:
        made = measure(labelled(8), SETTINGS.model_copy(update={"changed": 2}), **model_judge(server.url))
    found = made.figures
    # Identical texts need no model, so an empty path and a copy of the teacher's may still be scored.
    assert found.missing > 0.5 * found.scored
    assert found.full.structure is None
    assert found.yes_bias == ()
    assert all(row.full is None for row in made.scores)
    assert all(row.as_expected is None for row in made.changes if row.after is None)
    verdict = judge(found, SETTINGS)
    assert "missing" in {check.name for check in verdict.checks if check.status == "missed"}
    assert verdict.refused


def test_a_decomposer_that_writes_no_structure_counts_as_parse_failures(labelled: Pairs) -> None:
    with SimulatedServer(lambda _: Reply("I cannot do that.")) as server:
        endpoint = {"type": "openai", "base_url": server.url, "model": "m", "attempts": 1}
        decomposer = {"type": "generative", "endpoint": endpoint}
        found = measure(labelled(8), decomposer=decomposer, cache={"enabled": False}).figures
    assert (found.parse_failures, found.decomposer_faults) == (found.paths, found.paths)
    assert found.missing == found.scored
    assert found.repeatability is found.cost is None
    assert judge(found, SETTINGS).refused


def test_a_few_right_paths_are_helped_out_by_the_teachers_own(labelled: Pairs) -> None:
    wrong = Labelled(tuple(pair for pair in labelled().pairs if not pair.right), "made up")
    found = measure(wrong).figures
    assert found.full.structure is None
    assert share(found, "step_scrambled") == 1.0
    assert {row.change: row.n for row in found.sensitivities}["step_repeated"] == 12


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(DataError, match="no labelled pair"):
        measure(Labelled((), "nowhere"))


def test_repeatability_by_hand() -> None:
    # Differences 0, 0.02, 0.3, missing twice (0), missing once (1).
    found = repeatability([0.5, 0.5, 0.5, None, None], [0.5, 0.48, 0.8, None, 0.1])
    assert (found.n, found.largest) == (5, 1.0)
    assert found.unchanged == pytest.approx(3 / 5)
    assert found.identical == pytest.approx(2 / 5)


HOCKEY = "DK Metcalf is an American football player.\nTaking a backhand shot is part of hockey."


def test_whole_paths_are_scored_with_what_they_state_as_in_rl_and_hidden_ones_without() -> None:
    pairs = []
    for said, right in (("no", True), ("yes", False)):
        item = teacher_item("", f"{HOCKEY}\n#### {said}")
        pairs.append(
            labelled_pair("g", "Is it plausible?", [teacher_item("", f"{HOCKEY}\n#### no")], item, right)
        )
    found = measure(Labelled(tuple(pairs), "made up"))
    # RL pays 1 and, for the other conclusion, 2 halvings less; it was 1 and 1
    assert [row.full for row in found.scores] == [1.0, 0.25]
    assert [row.hidden for row in found.scores] == [1.0, 1.0]  # one sentence, nothing stated
    auroc = found.figures.full.structure
    assert auroc is not None and auroc.value == 1.0
