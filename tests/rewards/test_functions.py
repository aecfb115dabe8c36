"""The reward as a plain function, as TRL and verl call it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from rlkd.answers.conventions import OutputFormat
from rlkd.answers.equal import Verdict
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.errors import ConfigError, DataError, MissingScoreError
from rlkd.rewards.functions import compute_score, make_reward_function
from schemas.config.rewards import RewardsConfig
from schemas.config.structure import StructuresConfig

PROBLEM = "Mia has 3 boxes of 12 pencils and gives away 7. How many are left?"
TEACHER = "There are 3 * 12 = 36 pencils. After giving away 7 there are 36 - 7 = 29. The answer is 29."
GOOD = "First, 3 * 12 = 36. Then 36 - 7 = 29. The answer is 29."
LUCKY = "I guess 20 + 9 = 29. The answer is 29."
WRONG = "3 + 12 = 15. 15 - 7 = 8. The answer is 8."
TEXTS = [GOOD, LUCKY, WRONG]


def call(function: Any, completions: list[Any] = TEXTS, **columns: Any) -> list[float | None]:
    count = len(completions)
    columns = {"teacher": [TEACHER] * count, "answer": ["29"] * count} | columns
    rewards: list[float | None] = function(prompts=[PROMPT] * count, completions=completions, **columns)
    return rewards


PROMPT = PROBLEM


def test_a_path_like_the_teachers_is_worth_more_than_a_lucky_guess() -> None:
    good, lucky, wrong = call(make_reward_function())
    assert good is not None
    assert good > 0.9
    assert lucky is not None
    assert wrong is not None
    assert 0.5 <= lucky < 0.9  # half for the answer, little for the path
    assert wrong < 0.5


def test_conversations_and_several_teachers() -> None:
    conversations = [[{"role": "assistant", "content": text}] for text in TEXTS]
    function = make_reward_function(problem_column="problem")
    rewards = call(
        function, conversations, teacher=[[TEACHER, TEACHER]] * 3, problem=[PROBLEM] * 3, domain=["math"] * 3
    )
    assert rewards == call(make_reward_function())
    prompts = [[{"role": "system", "content": "Think."}, {"role": "user", "content": PROBLEM}]] * 3
    assert make_reward_function()(prompts, TEXTS, teacher=[TEACHER] * 3, answer=["29"] * 3) == rewards


def test_weights_schedule_and_metrics() -> None:
    rewards = RewardsConfig.model_validate(
        {"alpha": 1.0, "alpha_schedule": {"end": 0.0, "over": 10}, "format": 0.0}
    )
    function = make_reward_function(rewards=rewards)
    logged: dict[str, float] = {}
    start = call(function, log_metric=logged.__setitem__, trainer_state=SimpleNamespace(global_step=0))
    end = call(function, trainer_state=SimpleNamespace(global_step=10))
    assert end == [1.0, 1.0, 0.0]  # outcome only
    assert start[1] is not None
    assert start[1] < 0.9  # structure only
    assert logged["rlkd/outcome"] == pytest.approx(2 / 3)
    assert logged["rlkd/missing"] == 0.0
    assert logged["rlkd/structure"] == pytest.approx(sum(r or 0 for r in start) / 3)


def test_the_share_of_undecided_answers_is_logged() -> None:
    logged: dict[str, float] = {}
    texts = ["36 - 7 = 29. The answer is 29 pens.", "36 - 7 = 29. The answer is 29 pencils."]
    rewards = call(make_reward_function(), texts, answer=["29 pencils"] * 2, log_metric=logged.__setitem__)
    assert logged["rlkd/undecided"] == 0.5  # one of two
    assert rewards[0] is not None  # counts as wrong, as rewards.undecided says
    assert rewards[1] is not None
    assert rewards[0] < rewards[1]


def test_format_and_length() -> None:
    rewards = RewardsConfig(alpha=0.0, format=0.2, length=0.3, length_free=0.5)
    function = make_reward_function(rewards=rewards, output="answer_line", max_completion_tokens=10)
    ids = [[1] * 5, [1] * 8, [1] * 10]
    # right, well formed, length 1: 0.5 + 0.2 + 0.3; right, well formed, length (10 - 8) / 5 = 0.4: 0.5 + 0.2 + 0.12;
    # wrong, cut off at the limit (half the format), length 0: 0 + 0.1 + 0
    assert call(function, completion_ids=ids) == pytest.approx([1.0, 0.82, 0.1])
    with pytest.raises(ConfigError, match="`output`"):
        make_reward_function(rewards=rewards, max_completion_tokens=10)
    with pytest.raises(ConfigError, match="`max_completion_tokens`"):
        make_reward_function(rewards=rewards, output="boxed")
    later = RewardsConfig.model_validate({"format": 0.0, "format_schedule": {"end": 0.1, "over": 5}})
    with pytest.raises(ConfigError, match="`output`"):
        make_reward_function(rewards=later)


@pytest.mark.parametrize("output", ["think_boxed", None])
def test_the_stated_answer_is_no_part_of_the_path(output: OutputFormat | None) -> None:
    path = "Cats are mammals with fur.\nMammals are warm-blooded animals."
    text = f"<think>\n{path}\n</think>\n<answer>\n\\boxed{{yes}}\n</answer>"
    function = make_reward_function(output=output)
    [scored] = function.score(["Are cats warm?"], [text], teacher=[path], answer=["yes"])
    assert scored.values["structure"] == 1.0
    assert scored.structure is not None
    assert scored.structure.student_steps == 2


def test_a_missing_component_makes_the_reward_missing_and_too_many_stop_the_run() -> None:
    function = make_reward_function(max_missing_share=0.5)
    assert call(function, teacher=["", TEACHER, TEACHER])[0] is None  # a teacher without a step
    assert call(function, teacher=[[], TEACHER, TEACHER])[0] is None
    with pytest.raises(MissingScoreError, match="structure"):
        call(function, TEXTS * 10, teacher=[""] * 30)
    outcome_only = make_reward_function(rewards=RewardsConfig(alpha=0.0, format=0.0))
    assert call(outcome_only, teacher=[""] * 3) == [1.0, 1.0, 0.0]


def test_structure_alone_needs_no_answers() -> None:
    function = make_reward_function(rewards=RewardsConfig(alpha=1.0, format=0.0))
    [reward] = function([PROBLEM], [GOOD], teacher=[TEACHER])
    assert reward > 0.9


def test_columns_that_are_not_there() -> None:
    function = make_reward_function()
    with pytest.raises(DataError, match="no column 'teacher'"):
        function([PROBLEM], [GOOD], answer=["29"])
    with pytest.raises(DataError, match="no column 'answer'"):
        function([PROBLEM], [GOOD], teacher=[TEACHER])
    with pytest.raises(DataError, match="2 values for 1"):
        function([PROBLEM], [GOOD], teacher=[TEACHER] * 2, answer=["29"])
    with pytest.raises(DataError, match="row 0"):
        function([PROBLEM], [GOOD], teacher=[[7]], answer=["29"])
    with pytest.raises(DataError, match="text or a conversation"):
        function([PROBLEM], [7], teacher=[TEACHER], answer=["29"])


def test_it_can_be_called_where_a_loop_is_running_and_from_several_threads() -> None:
    function = make_reward_function()
    expected = call(function)

    async def inside() -> list[float | None]:
        return call(function)

    assert asyncio.run(inside()) == expected
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(call(function))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 4


STEPS = {
    "teacher path": [("find a", "1"), ("find b", "2")],
    "student good": [("seek a", "1"), ("seek b", "2")],
    "student half": [("seek a", "1"), ("seek c", "3")],
}


def model(body: dict[str, Any]) -> Reply:
    """Decomposes by table; same sub-problem where the last letters agree."""
    value = json.loads(body["messages"][1]["content"].split("\n")[1])
    if "solution" in value:
        if value["solution"] == "student broken":
            return Reply("no JSON today")
        rows = [{"sub_problem": q, "answer": a} for q, a in STEPS[value["solution"]]]
        return Reply(json.dumps({"steps": rows}), 100, 50)
    return Reply("yes" if value["A"][-1] == value["B"][-1] else "no", 10, 1)


def test_models_each_path_read_once_and_faults_missing() -> None:
    with SimulatedServer(model) as server:
        endpoint = {"type": "openai", "base_url": server.url, "model": "m"}
        structures = StructuresConfig.model_validate(
            {
                "decomposer": {"type": "generative", "endpoint": endpoint},
                "judge": {"type": "llm", "endpoint": endpoint},
                "alignment": {"type": "prefix"},
                "cache": {"enabled": False},
            }
        )
        function = make_reward_function(
            structures, RewardsConfig(alpha=1.0, format=0.0), max_missing_share=1.0
        )
        students = ["student good", "student half", "student broken", "student good"]
        rewards = function([PROBLEM] * 4, students, teacher=["teacher path"] * 4)
        assert rewards == [1.0, 0.5, None, 1.0]
        read = [body for seen in server.seen if "solution" in (body := seen.body["messages"][1]["content"])]
        assert len(read) == 5  # teacher, good, half, broken and its repair: nothing twice
        before = len(server.seen)
        assert function([PROBLEM], ["student good"], teacher=["teacher path"]) == [1.0]
        assert len(server.seen) == before


def test_verl_gets_a_number_and_its_parts() -> None:
    info = {"teacher": [TEACHER], "problem": PROBLEM}
    score = compute_score("gsm8k", GOOD, "29", info, some_new_argument=1)
    assert set(score) == {"score", "structure", "prefix", "outcome"}
    assert score["score"] == pytest.approx((score["structure"] + score["outcome"]) / 2)
    assert min(score.values()) > 0.9
    wrong = compute_score("gsm8k", WRONG, "29", info | {"teacher": TEACHER})
    assert wrong["outcome"] == 0.0
    assert 0 <= wrong["score"] < 0.5


def test_verl_with_a_configuration(tmp_path: Any) -> None:
    path = tmp_path / "reward.yaml"
    path.write_text("structures: {alignment: {type: prefix}}\nrewards: {alpha: 1.0}\n")
    info = {"teacher": TEACHER, "question": PROBLEM}
    score = compute_score("gsm8k", LUCKY, "29", info, config=str(path))
    assert score["score"] == score["prefix"]
    path.write_text("rewards: {alpha: 2.0}\n")
    other = tmp_path / "wrong.yaml"
    other.write_text("rewards: {alpha: 2.0}\n")
    with pytest.raises(ConfigError, match="alpha"):
        compute_score("gsm8k", LUCKY, "29", info, config=str(other))


def test_verl_never_gets_a_made_up_number() -> None:
    with pytest.raises(DataError, match="no `teacher`"):
        compute_score("gsm8k", GOOD, "29", {})
    with pytest.raises(MissingScoreError, match="structure"):
        compute_score("gsm8k", GOOD, "29", {"teacher": " "})


def test_an_outcome_that_carries_no_weight_may_be_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "reward.yaml"
    path.write_text("rewards: {alpha: 1.0, undecided: missing}\n")
    monkeypatch.setattr("rlkd.rewards.components.standard.judge_answer", lambda *_: Verdict(None, "time"))
    score = compute_score("gsm8k", GOOD, "29", {"teacher": TEACHER, "problem": PROBLEM}, config=str(path))
    assert math.isnan(score["outcome"])
    assert score["score"] == score["structure"] > 0.9


def test_a_structure_that_carries_no_weight_may_be_unknown(tmp_path: Any) -> None:
    path = tmp_path / "reward.yaml"
    path.write_text("rewards: {alpha: 0}\n")
    score = compute_score("gsm8k", GOOD, "29", {"teacher": "#### 29", "problem": PROBLEM}, config=str(path))
    assert score["score"] == score["outcome"] == 1.0  # it was an error: a teacher without a step
    assert math.isnan(score["structure"]) and math.isnan(score["prefix"])
    other = tmp_path / "other.yaml"
    other.write_text("rewards: {alpha: 0, guessed: 0}\n")
    with pytest.raises(MissingScoreError, match="the structure of a completion"):
        compute_score("gsm8k", GOOD, "29", {"teacher": "#### 29"}, config=str(other))
