"""Replaying a ledger: combined again or scored again, and what the comparison says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from transformers import AutoTokenizer

from rlkd.answers.conventions import OutputFormat, write_output
from rlkd.answers.verify import GYM_KEY
from rlkd.config.load import load_config, parse_config, resolved_yaml
from rlkd.errors import ConfigError, DataError, UserError
from rlkd.io import read_rows, write_json_atomic, write_rows
from rlkd.replay.comparison import replay_table
from rlkd.replay.ranking import advantages
from rlkd.replay.replay import open_run, replay, replay_run
from rlkd.rewards.components.standard import VERIFIER_FAILED
from rlkd.rewards.ledger import Ledger, read_ledger
from rlkd.rewards.scoring import RewardModel, combine
from rlkd.structure.decomposers.rules import RulesDecomposer
from rlkd.structure.factory import make_scorer
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import ScoreItem
from rlkd.student.checkpoints import demo_base_folder
from schemas.artifact import RunManifest, StageEntry
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure
from schemas.trace import TeacherTrace

PROBLEM = Problem(
    id="p0", question="Mia has 3 boxes of 12 pencils and gives away 7. How many are left?", answer="29"
)
TRACE = TeacherTrace(
    id="p0/0",
    problem_id="p0",
    teacher="column:t",
    path="3 * 12 = 36. 36 - 7 = 29. The answer is 29.",
    answer="29",
    accepted=True,
)
OTHER = TeacherTrace(
    id="p0/1",
    problem_id="p0",
    teacher="column:t",
    path="1 + 1 = 2. The answer is 29.",
    answer="29",
    accepted=True,
)
PATHS = [
    "3 * 12 = 36. 36 - 7 = 29. The answer is 29.",
    "12 - 7 = 5. 5 + 24 = 29. The answer is 29.",
    "3 + 7 = 10. The answer is 10.",
    "12.",
]
STRUCTURE: list[float | None] = [1.0, 0.2, 0.6, 0.0, 0.5, 0.5, None, 0.1]
OUTCOME = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]


def config(**rewards: Any) -> PipelineConfig:
    values = {
        "name": "run",
        "data": {"type": "file", "path": "x.jsonl", "columns": {"traces": ["t"]}},
        "traces": {"teacher": {"type": "column"}},
    }
    return parse_config(
        values
        | {"rewards": {"alpha": 0.5, "format": 0.0} | rewards, "rl": {"group_size": 4, "prompts_per_step": 1}}
    )


def ledger_rows(
    settings: PipelineConfig, structures: Sequence[float | None] = STRUCTURE
) -> list[RewardRecord]:
    """Two steps with one group of four each, rewarded as the settings say."""
    rows = []
    for i, (structure, outcome) in enumerate(zip(structures, OUTCOME, strict=True)):
        values = {"structure": structure, "outcome": outcome, "format": 1.0, "length": 1.0}
        made = combine(values, settings.rewards, i // 4)
        rows.append(
            RewardRecord(
                step=i // 4, group=0, problem_id="p0", completion=PATHS[i % 4], tokens=100 + 10 * i, finish_reason="stop",
                components=values, alpha=made.alpha, reward=made.reward, missing=made.missing,
            )
        )  # fmt: skip
    found = [
        a
        for k in (0, 4)
        for [a] in [advantages([[r.reward for r in rows[k : k + 4]]], settings.rl.scale_rewards)]
    ]
    return [
        row.model_copy(update={"advantage": a})
        for row, a in zip(rows, [a for group in found for a in group], strict=True)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run folder with the stages that a replay reads."""
    folder, store = tmp_path / "run", tmp_path / "store"
    stages = {name: store / name for name in ("data", "traces", "structures", "rl")}
    for path in (folder, *stages.values()):
        path.mkdir(parents=True)
    settings = config()
    (folder / "config.yaml").write_text(resolved_yaml(settings))
    entries = tuple(StageEntry(name=name, status="done", uri=str(path)) for name, path in stages.items())  # type: ignore[arg-type]
    manifest = RunManifest(
        name="run", config={}, config_digest="", store=str(store), stages=entries, status="done"
    )
    write_json_atomic(folder / "run.json", manifest)
    write_rows(stages["data"] / "train.jsonl", [PROBLEM])
    write_rows(stages["traces"] / "accepted.jsonl", [TRACE])
    [structure] = asyncio.run(RulesDecomposer().decompose([PathItem(PROBLEM.question, TRACE.path)]))
    assert structure is not None
    write_rows(
        stages["structures"] / "structures.jsonl",
        [structure.model_copy(update={"trace_id": "p0/0", "problem_id": "p0"})],
    )
    ledger = Ledger(stages["rl"] / "ledger")
    ledger.add(ledger_rows(settings))
    ledger.flush()
    return folder


def test_the_same_settings_change_nothing(run: Path) -> None:
    report = replay_run(run)
    assert (report.rows, report.groups, report.steps, report.rescored, report.changed) == (8, 2, 2, False, ())
    assert report.before == report.after
    assert (report.kendall, report.spearman, report.best_changed, report.sign_flips) == (1.0, 1.0, 0.0, 0.0)
    assert report.advantage_change == pytest.approx(0.0, abs=1e-9)
    assert report.before.missing == 1 / 8


def test_another_alpha_by_hand(run: Path) -> None:
    report = replay_run(run, ["rewards.alpha=1.0"])
    assert report.changed == ("rewards.alpha: 0.5 -> 1.0",)
    # before: (1 + .6 + .3 + 0 + .25 + .75 + .05) / 7 = 2.95 / 7; after: (1 + .2 + .6 + 0 + .5 + .5 + .1) / 7 = 2.9 / 7
    assert report.before.reward == pytest.approx(2.95 / 7)
    assert report.after.reward == pytest.approx(2.9 / 7)
    # step 0, order of (1, .6, .3, 0) against (1, .2, .6, 0): one of six pairs turns: (5 - 1) / 6
    # step 1, (.25, .75, .05) against (.5, .5, .1): 2 agree of 3, one tied after: 2 / sqrt(3 * 2)
    assert [step.kendall for step in report.by_step] == pytest.approx([4 / 6, 2 / 6**0.5])
    assert report.kendall == pytest.approx((4 / 6 + 2 / 6**0.5) / 2)
    assert report.best_changed == 0.0  # the best of step 1 now shares its place
    assert report.ranked_groups == 2
    # right above wrong within groups: before 4 of 4 and 2 of 2; after 3 of 4 (0.2 < 0.6), and 1.5 of 2 (one tie)
    assert report.before.outcome_auroc == 1.0
    assert report.after.outcome_auroc == pytest.approx(4.5 / 6)


def test_outcome_only_brings_back_what_was_missing(run: Path) -> None:
    report = replay_run(run, ["rewards.alpha=0.0", "rl.scale_rewards=none"])
    assert (report.before.missing, report.after.missing) == (1 / 8, 0.0)
    assert report.after.reward == 0.5
    assert set(report.changed) == {"rewards.alpha: 0.5 -> 0.0", "rl.scale_rewards: group -> none"}


def test_a_schedule_the_format_and_the_length_term(run: Path, tmp_path: Path) -> None:
    overrides = [
        "rewards.alpha_schedule={end: 0.0, over: 1}", "rewards.length=0.5", "rewards.length_free=0.5", "rewards.format=0.1",
        "student.max_completion_tokens=160",
    ]  # fmt: skip
    out = tmp_path / "new"
    replay_run(run, overrides, out)
    rows = read_ledger(out)
    assert [row.alpha for row in rows] == [0.5] * 4 + [0.0] * 4
    # 100 tokens of 160, 80 of them free: (160 - 100) / 80 = 0.75; 0.4 * 1 + 0.1 * 1 + 0.5 * 0.75
    assert rows[0].components["length"] == pytest.approx(0.75)
    assert rows[0].reward == pytest.approx(0.875)
    assert rows[7].components["length"] == 0.0
    assert sum(row.advantage or 0 for row in rows[:4]) == pytest.approx(0.0)


def test_a_replay_follows_the_schedules(run: Path, tmp_path: Path) -> None:
    overrides = [
        "rewards.format=0.4",
        "rewards.format_schedule={end: 0.0, over: 1}",
        "rewards.length_schedule={end: 0.2, over: 1}",
    ]
    replay_run(run, overrides, tmp_path / "new")
    rows = read_ledger(tmp_path / "new")
    # step 0: 0.6 * (0.5 * 1 + 0.5 * 1) + 0.4; step 1 (structure and outcome of row 5 are 0.5 and 1): 0.8 * 0.75 + 0.2
    assert (rows[0].reward, rows[5].reward) == pytest.approx((1.0, 0.8))
    assert rows[3].reward == pytest.approx(0.4)  # neither structure nor outcome: 0.6 * 0 + 0.4


def test_structure_is_scored_again_from_the_completions(run: Path, tmp_path: Path) -> None:
    report = replay_run(run, ["structures.alignment={type: prefix}", "rewards.alpha=1.0"], tmp_path / "new")
    assert report.rescored
    rows = read_ledger(tmp_path / "new")
    section = load_config(str(run / "config.yaml"), ["structures.alignment={type: prefix}"]).structures
    [teacher] = asyncio.run(RulesDecomposer().decompose([PathItem(PROBLEM.question, TRACE.path)]))
    assert isinstance(teacher, Structure)
    items = [ScoreItem(PathItem(PROBLEM.question, path), (teacher,)) for path in PATHS]
    expected = [
        score.structure for score in asyncio.run(make_scorer(section).score(items)) if score is not None
    ]
    assert [row.structure for row in rows] == pytest.approx(expected * 2)
    assert expected[0] == 1.0
    assert expected[1] < 1.0
    assert [row.steps_found for row in rows[:3]] == [2, 2, 1]
    assert len(rows[0].verdicts) == 2
    assert rows[0].verdicts[0].p_intent == 1.0
    assert report.after.missing == 0.0


@pytest.mark.parametrize("output", get_args(OutputFormat))
def test_scoring_again_gives_what_training_scored(run: Path, tmp_path: Path, output: OutputFormat) -> None:
    values = load_config(str(run / "config.yaml")).model_dump(mode="json")
    settings = parse_config(values | {"student": values["student"] | {"output": output}})
    (run / "config.yaml").write_text(resolved_yaml(settings))
    teacher = read_rows(tmp_path / "store" / "structures" / "structures.jsonl", Structure)
    words = "Pencils in boxes are counted first. Then the ones given away leave."
    texts = [write_output(path, "29", output) for path in (*PATHS[:2], words)]
    texts += [f"{PATHS[0]}\n$\\boxed{{29}}$ and more words after it.", f"<think>\n{PATHS[1]}\n</think>\n29"]
    completions = [Completion(problem_id="p0", text=text, tokens=9, finish_reason="stop") for text in texts]
    model = RewardModel(
        settings.rewards, settings.student, make_scorer(settings.structures), {"p0": PROBLEM}, {"p0": teacher}
    )
    records = asyncio.run(model.score(completions, 0))
    assert (records[0].structure or 0) > 0.99
    same_but_for_a_limit = load_config(str(run / "config.yaml"), ["structures.decomposer.max_steps=255"])
    rows, report = replay(records, open_run(run), same_but_for_a_limit)
    assert report.rescored
    assert [row.structure for row in rows] == [record.structure for record in records]
    assert [row.verdicts for row in rows] == [record.verdicts for record in records]


def test_only_the_traces_that_the_student_saw_teach(run: Path, tmp_path: Path) -> None:
    data = tmp_path / "store"
    write_rows(data / "traces" / "accepted.jsonl", [TRACE, OTHER])
    warm = data / "warm_start"
    warm.mkdir()
    write_json_atomic(warm / "traces.json", {"trace_ids": ["p0/1"]})
    manifest = RunManifest.model_validate_json((run / "run.json").read_text())
    entry = StageEntry(name="warm_start", status="reused", uri=str(warm))
    write_json_atomic(run / "run.json", manifest.model_copy(update={"stages": (*manifest.stages, entry)}))
    replay_run(
        run, ["structures.decomposer.max_steps=200", "structures.alignment={type: prefix}"], tmp_path / "new"
    )
    assert [row.structure for row in read_ledger(tmp_path / "new")][:2] == [
        0.0,
        0.0,
    ]  # nobody follows 1 + 1 = 2


def test_structure_that_was_never_looked_at_is_scored_now(run: Path, tmp_path: Path) -> None:
    settings = config(alpha=0.0, observe_structure=False)
    (run / "config.yaml").write_text(resolved_yaml(settings))
    ledger = tmp_path / "store" / "rl" / "ledger"
    shutil.rmtree(ledger)
    blind = Ledger(ledger)
    blind.add(ledger_rows(settings, [None] * 8))
    blind.flush()
    assert not any(row.missing for row in read_ledger(ledger))
    report = replay_run(run, ["rewards.alpha=0.5"])
    assert report.rescored
    assert report.before.components["structure"] is None
    assert report.after.components["structure"] is not None
    assert report.after.missing == 0.0


def write_run(run: Path, settings: PipelineConfig, rows: Sequence[RewardRecord]) -> None:
    """Gives a run folder another configuration and another ledger."""
    (run / "config.yaml").write_text(resolved_yaml(settings))
    folder = open_run(run).ledger
    shutil.rmtree(folder)
    ledger = Ledger(folder)
    ledger.add(rows)
    ledger.flush()


def test_guesses_of_a_run_that_never_looked_at_paths_are_found(run: Path, tmp_path: Path) -> None:
    logic = Problem(
        id="p0",
        question="Every cat is an animal. Animals are not bony. Tom is a cat. True or false: Tom is bony.",
        answer="False",
        domain="logic",
    )
    path = (
        "Tom is a cat.\nEvery cat is an animal.\nTom is an animal.\nAnimals are not bony.\nTom is not bony."
    )
    write_rows(tmp_path / "store" / "data" / "train.jsonl", [logic])
    write_rows(
        tmp_path / "store" / "traces" / "accepted.jsonl",
        [TRACE.model_copy(update={"path": path, "answer": "False"})],
    )
    item = PathItem(logic.question, path, "logic", "False")
    [structure] = asyncio.run(RulesDecomposer().decompose([item]))
    assert structure is not None
    write_rows(
        tmp_path / "store" / "structures" / "structures.jsonl",
        [structure.model_copy(update={"trace_id": "p0/0", "problem_id": "p0"})],
    )
    settings = config(alpha=0.0, observe_structure=False)
    settings = settings.model_copy(
        update={"student": settings.student.model_copy(update={"output": "answer_line"})}
    )
    texts = [f"{found}\nThe answer is False." for found in (path, "Tom is a cat.\nTom is bony.")]
    model = RewardModel(settings.rewards, settings.student, make_scorer(settings.structures), {"p0": logic}, {"p0": [structure]})  # fmt: skip
    completions = [Completion(problem_id="p0", text=text, tokens=9, finish_reason="stop") for text in texts]
    rows = asyncio.run(model.score(completions, 0))
    assert [(row.reward, row.own_answer, row.judged) for row in rows] == [(1.0, None, 0)] * 2
    write_run(run, settings, [row.model_copy(update={"advantage": 0.0}) for row in rows])
    # nothing but the weight of the outcome: the second finds that Tom is bony, says False, and is paid 0 * 1
    replay_run(run, ["rewards.guessed=0"], tmp_path / "new")
    new = read_ledger(tmp_path / "new")
    assert [row.reward for row in new] == [1.0, 0.0]
    assert [row.own_answer for row in new] == [True, False]
    assert all(row.judged > 0 for row in new)
    assert not replay_run(run, ["rewards.format=0.2"]).rescored  # still nobody looks
    # a ledger of an earlier release, which paid guesses that it had not looked for
    guessed = settings.rewards.model_copy(update={"guessed": 0.0})
    write_run(run, settings.model_copy(update={"rewards": guessed}), rows)
    assert (replay_run(run).before.reward, replay_run(run).after.reward) == (1.0, 0.5)


def test_structure_that_would_not_be_looked_at_is_not_there(run: Path, tmp_path: Path) -> None:
    report = replay_run(run, ["rewards.alpha=0", "rewards.observe_structure=false"], tmp_path / "new")
    rows = read_ledger(tmp_path / "new")
    assert [(row.structure, row.own_answer, row.judged, row.verdicts) for row in rows] == [
        (None, None, 0, ())
    ] * 8
    assert [row.reward for row in rows] == OUTCOME
    assert report.after.components["structure"] is None


def test_undecided_answers_count_as_the_new_settings_say(run: Path, tmp_path: Path) -> None:
    settings = config(alpha=0.0, undecided="wrong")
    reasons = ["units that are not known", VERIFIER_FAILED, "", "time"]
    values = [0.0, None, 0.0, 0.0]

    def rows(outcomes: Sequence[float | None]) -> list[RewardRecord]:
        return [
            row.model_copy(update={"components": {**row.components, "outcome": outcome}, "undecided": reason})
            for row, outcome, reason in zip(ledger_rows(settings)[:4], outcomes, reasons, strict=True)
        ]

    def outcomes(setting: str, out: str) -> list[float | None]:
        replay_run(run, [f"rewards.undecided={setting}"], tmp_path / out)
        return [row.outcome for row in read_ledger(tmp_path / out)]

    write_run(run, settings, rows(values))
    assert outcomes("right", "a") == [1.0, None, 0.0, 1.0]
    assert [row.reward for row in read_ledger(tmp_path / "a")] == [
        1.0,
        None,
        0.0,
        1.0,
    ]  # alpha 0: the outcome
    assert outcomes("missing", "b") == [None, None, 0.0, None]
    missing = settings.model_copy(update={"rewards": settings.rewards.model_copy(update={"undecided": "missing"})})  # fmt: skip
    write_run(run, missing, rows([None, None, 0.0, None]))
    assert outcomes("wrong", "c") == [0.0, None, 0.0, 0.0]
    # a reasoning-gym verifier that did not finish gave no value whatever the setting: the last row is no undecided comparison
    gym = PROBLEM.model_copy(update={"metadata": {GYM_KEY: {}}})
    write_rows(tmp_path / "store" / "data" / "train.jsonl", [gym])
    assert outcomes("right", "d") == [1.0, None, 0.0, None]


def test_a_control_is_scored_against_the_teachers_that_it_was_trained_on(run: Path, tmp_path: Path) -> None:
    problems = [PROBLEM, PROBLEM.model_copy(update={"id": "p1", "question": "What is 1 + 1?", "answer": "2"})]
    other = "1 + 1 = 2. The answer is 2."
    traces = [
        TRACE,
        TRACE.model_copy(update={"id": "p1/0", "problem_id": "p1", "path": other, "answer": "2"}),
    ]
    items = [PathItem(p.question, t.path) for p, t in zip(problems, traces, strict=True)]
    found = asyncio.run(RulesDecomposer().decompose(items))
    structures = [
        s.model_copy(update={"trace_id": t.id, "problem_id": t.problem_id})
        for s, t in zip(found, traces, strict=True)
        if s is not None
    ]
    store = tmp_path / "store"
    write_rows(store / "data" / "train.jsonl", problems)
    write_rows(store / "traces" / "accepted.jsonl", traces)
    write_rows(store / "structures" / "structures.jsonl", structures)
    AutoTokenizer.from_pretrained(demo_base_folder()).save_pretrained(store / "rl" / "model")
    values = config(alpha=1.0).model_dump(mode="json")
    settings = parse_config(values | {"rl": values["rl"] | {"shuffle_teachers": True}})
    # two problems: each has the other's teacher
    own = {"p0": structures[0], "p1": structures[1]}
    given = {"p0": [own["p1"]], "p1": [own["p0"]]}
    model = RewardModel(
        settings.rewards,
        settings.student,
        make_scorer(settings.structures),
        {p.id: p for p in problems},
        given,
    )
    completions = [
        Completion(problem_id=t.problem_id, text=t.path, tokens=9, finish_reason="stop") for t in traces
    ]
    records = asyncio.run(model.score(completions, 0))
    assert all((record.structure or 0) < 0.5 for record in records)
    write_run(run, settings, [record.model_copy(update={"advantage": 0.0}) for record in records])
    report = replay_run(run, ["structures.decomposer.max_steps=255"], tmp_path / "new")
    assert report.rescored
    assert [row.structure for row in read_ledger(tmp_path / "new")] == [row.structure for row in records]


def test_a_cache_setting_is_no_other_score(run: Path) -> None:
    assert not replay_run(run, ["structures.cache.enabled=false"]).rescored


def test_cut_off_completions_are_masked_as_in_training() -> None:
    settings = config()
    rows = [
        row.model_copy(update={"finish_reason": "length"}) if i == 0 else row
        for i, row in enumerate(ledger_rows(settings))
    ]
    after = parse_config(
        settings.model_dump(mode="json")
        | {"rl": settings.rl.model_dump(mode="json") | {"mask_truncated": True}}
    )
    from rlkd.replay.replay import ReplayInputs

    new, report = replay(rows, ReplayInputs(settings, {}), after)
    assert new[0].advantage == 0.0
    assert new[1].advantage == pytest.approx(rows[1].advantage)
    assert new[6].advantage == 0.0  # missing
    assert report.advantage_change is not None
    assert report.advantage_change > 0


@pytest.mark.parametrize("override", ["rl.steps=7", "student.output=boxed", "rl.group_size=2", "seed=3"])
def test_what_only_a_new_run_can_show(run: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot change {override.split('=')[0]}"):
        replay_run(run, [override])


def test_overrides_that_are_wrong(run: Path) -> None:
    with pytest.raises(ConfigError, match="alpha"):
        replay_run(run, ["rewards.alpha=2"])


def test_runs_that_cannot_be_replayed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        open_run(tmp_path)
    shutil.rmtree(tmp_path / "store" / "structures")
    with pytest.raises(DataError, match="structures stage is gone"):
        replay_run(run, ["structures.alignment={type: prefix}"])
    shutil.rmtree(tmp_path / "store" / "rl" / "ledger")
    with pytest.raises(DataError, match="no reward ledger"):
        replay_run(run)
    manifest = RunManifest.model_validate_json((run / "run.json").read_text())
    failed = tuple(
        e.model_copy(update={"status": "failed"}) if e.name == "rl" else e for e in manifest.stages
    )
    write_json_atomic(run / "run.json", manifest.model_copy(update={"stages": failed}))
    with pytest.raises(UserError, match="rl stage is not finished"):
        open_run(run)
    (run / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot be read \(damaged"):
        open_run(run)


def test_a_ledger_of_other_problems(run: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "store" / "data" / "train.jsonl", [PROBLEM.model_copy(update={"id": "q"}), PROBLEM])
    ledger = tmp_path / "store" / "rl" / "ledger"
    rows = [row.model_copy(update={"problem_id": "zzz"}) for row in read_ledger(ledger)]
    shutil.rmtree(ledger)
    changed = Ledger(ledger)
    changed.add(rows)
    changed.flush()
    with pytest.raises(DataError, match="names problem zzz"):
        replay_run(run, ["structures.alignment={type: prefix}"])


def test_the_table(run: Path) -> None:
    text = replay_table(replay_run(run, ["rewards.alpha=1.0"]))
    assert "8 completions, 2 groups, 2 steps" in text
    assert "rewards.alpha: 0.5 -> 1.0" in text
    assert "reward                          0.421    0.414" in text
    assert "Kendall 0.742" in text


def test_a_ledger_is_never_written_over_another(run: Path, tmp_path: Path) -> None:
    ledger = open_run(run).ledger
    before = {path.name: path.read_bytes() for path in ledger.iterdir()}
    with pytest.raises(
        DataError, match="holds a reward ledger already, which would be lost; name a new folder"
    ):
        replay_run(run, ["rewards.alpha=1.0"], ledger)
    assert {path.name: path.read_bytes() for path in ledger.iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; name a new folder"):
        replay_run(run, [], tmp_path / "file")


def test_advantages_are_made_again_as_the_objective_says_and_replaced_groups_stay_out() -> None:
    from rlkd.replay.replay import ReplayInputs
    from rlkd.training.objectives.components import component_advantages

    settings = config()
    rl = settings.rl.model_dump(mode="json") | {"objective": {"normalize": "components"}}
    after = parse_config(settings.model_dump(mode="json") | {"rl": rl})
    rows = ledger_rows(settings)
    replaced = [row.model_copy(update={"group": 90, "advantage": None}) for row in rows[:4]]
    new, _ = replay([*rows, *replaced], ReplayInputs(after, {}), after)
    expected = [
        a for k in (0, 4) for a in component_advantages(rows[k : k + 4], after.rewards)
    ]  # one group a step
    assert [row.advantage for row in new[:8]] == pytest.approx(expected)
    assert all(row.advantage is None for row in new[8:])


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_scored(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlkd.replay.replay.replay", lambda *args: pytest.fail("it was scored"))
    with pytest.raises(
        UserError, match="cannot write to /dev/null/x: Not a directory; choose another --output"
    ):
        replay_run(run, [], Path("/dev/null/x"))
