"""``rlkd rewards replay``: saved completions under other reward settings, without generating anything.

Components that the ledger holds are combined again; where the structure settings differ, structure is scored again
from the completions. What comes out is how rewards, the ranking within groups, and advantages would have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rlkd.answers.conventions import ParsedOutput
from rlkd.answers.verify import GYM_KEY
from rlkd.config.load import load_config
from rlkd.data.drawn import Pair, drawn_pairs
from rlkd.errors import ConfigError, DataError, UserError
from rlkd.io import iter_rows
from rlkd.pipeline.run_folder import make_folder, read_run
from rlkd.replay.comparison import compare
from rlkd.replay.ranking import advantages
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.standard import VERIFIER_FAILED, length_reward
from rlkd.rewards.ledger import Ledger, check_new_ledger, read_ledger
from rlkd.rewards.scoring import (
    combine,
    looks_at_structure,
    make_components,
    measure,
    read_rollout,
    wait_for_values,
)
from rlkd.structure.factory import make_decomposer, make_scorer
from rlkd.structure.interfaces import with_answer
from rlkd.structure.scorer import ScoreItem, path_item
from rlkd.structure.stage import trace_item
from rlkd.student.prompts import PromptBook
from rlkd.training.objective import Objective
from rlkd.training.practice import choose_problems, read_structures, shuffle_teachers
from schemas.alignment import StructureScore
from schemas.base import JsonValue
from schemas.config.pipeline import PipelineConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.replay import ReplayReport
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure

_NO_TIME = "time"
"""Why an answer is undecided where computer algebra, or a reasoning-gym verifier, did not finish."""
_CHANGEABLE = ("rewards", "structures", "rl.scale_rewards", "rl.mask_truncated")


@dataclass(frozen=True)
class ReplayInputs:
    """Where a finished run keeps what a replay needs.

    Attributes:
        config: The run's configuration.
        folders: Folders of its finished stages, by name.
    """

    config: PipelineConfig
    folders: Mapping[str, Path]

    @property
    def ledger(self) -> Path:
        """The folder of the reward ledger."""
        return self.folders["rl"] / "ledger"


def open_run(run: Path) -> ReplayInputs:
    """Finds a run's configuration and stage folders.

    Raises:
        UserError: The folder is no run, or its RL stage is not finished.
    """
    folders = {name: Path(entry.uri) for name, entry in read_run(run).finished.items()}
    if "rl" not in folders:
        raise UserError(
            f"{run}: its rl stage is not finished, so there is no ledger to replay; finish the run first"
        )
    return ReplayInputs(load_config(str(run / "config.yaml")), folders)


def replay_run(run: Path, overrides: Sequence[str] = (), output: Path | None = None) -> ReplayReport:
    """Replays a run's ledger under changed settings.

    Args:
        run: The run folder.
        overrides: ``rewards.alpha=0.3`` and the like: anything under ``rewards`` and ``structures``, ``rl.scale_rewards``
            and ``rl.mask_truncated``.
        output: Folder for the ledger as it would have been; ``None`` writes none.

    Raises:
        ConfigError: An override is wrong, or changes what only a new run can show.
        UserError, DataError: The run, its ledger, or what scoring again needs cannot be read, or the output cannot be
            written or holds a ledger already (it could be the run's own).
    """
    inputs = open_run(run)
    if output is not None:
        check_new_ledger(output)
    after = load_config(str(run / "config.yaml"), overrides)
    if output is not None:
        make_folder(output)  # before anything is scored
    before_rows = read_ledger(inputs.ledger)
    after_rows, report = replay(before_rows, inputs, after)
    if output is not None:
        ledger = Ledger(output)
        ledger.add(after_rows)
        ledger.flush()
    return report


def replay(
    rows: Sequence[RewardRecord], inputs: ReplayInputs, after: PipelineConfig
) -> tuple[list[RewardRecord], ReplayReport]:
    """Rewards saved completions again; see :func:`replay_run`.

    Returns:
        The rows as they would have been, and the comparison.
    """
    before = inputs.config
    changed = _differences(before, after)
    rescore = before.structures.model_dump(exclude={"cache"}) != after.structures.model_dump(
        exclude={"cache"}
    )
    rescore = rescore or any(_looked_at_otherwise(row, before.rewards, after.rewards) for row in rows)
    further = _measured_as(after.rewards)
    rescore = rescore or any(_measured_as(before.rewards).get(name) != how for name, how in further.items())
    parts: Sequence[RewardRecord] = rows
    if rescore:
        parts = _rescore(rows, inputs, after)
    elif before.rewards.length_free != after.rewards.length_free:
        parts = [_with_length(row, after) for row in rows]
    if before.rewards.undecided != after.rewards.undecided:
        parts = _with_undecided(parts, inputs, after.rewards)
    new = _with_advantages([_combine(row, after.rewards) for row in parts], after)
    return new, compare(rows, new, rescore, changed)


def _differences(before: PipelineConfig, after: PipelineConfig) -> tuple[str, ...]:
    """Settings that differ.

    Raises:
        ConfigError: One of them cannot be replayed.
    """
    found = list(_walk(before.model_dump(mode="json"), after.model_dump(mode="json"), ""))
    beyond = [
        name
        for name, _, _ in found
        if not name.startswith(tuple(f"{c}." for c in _CHANGEABLE)) and name not in _CHANGEABLE
    ]
    if beyond:
        raise ConfigError(
            f"a replay generates nothing, so it cannot change {', '.join(beyond)}; change {', '.join(_CHANGEABLE)} here, or start a new run"
        )
    return tuple(f"{name}: {_short(old)} -> {_short(new)}" for name, old, new in found)


def _looked_at_otherwise(row: RewardRecord, before: RewardsConfig, after: RewardsConfig) -> bool:
    """Whether a row has a structure score that the new settings would not look at, or lacks one that they need.

    With ``alpha: 0``, ``observe_structure: false`` and ``guessed: 0`` a replay paid every guess: nobody had looked at the paths.
    """
    looks = looks_at_structure(after, row.step)
    if row.structure is not None:
        return not looks
    return looks and not before.observe_structure and "structure" not in row.missing


def _measured_as(config: RewardsConfig) -> dict[str, dict[str, JsonValue]]:
    """What each further component's values depend on, by name: its settings but its weight."""
    return {
        name: settings.model_dump(exclude={"weight", "schedule"}) for name, settings in config.further.items()
    }


def _walk(before: JsonValue, after: JsonValue, name: str) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _walk(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    elif before != after:
        yield name, before, after


def _short(value: JsonValue) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- scoring again --------------------------------------------------------------------------------------


def _rescore(rows: Sequence[RewardRecord], inputs: ReplayInputs, after: PipelineConfig) -> list[RewardRecord]:
    """The rows with everything but outcome and format measured again from their completions."""
    _check_folders(inputs, "data", "traces", "structures")
    pairs = drawn_pairs(inputs.folders)
    problems = {problem.id: problem for problem, _ in pairs}
    components = {
        name: ask for name, ask in make_components(after.rewards).items() if name not in ("outcome", "format")
    }

    async def measured() -> list[RewardRecord]:
        teachers, paths = await _taught(pairs, inputs, after)
        rollouts = [_rollout(row, problems, after.student) for row in rows]
        seen = [i for i, row in enumerate(rows) if looks_at_structure(after.rewards, row.step)]
        items = [
            ScoreItem(
                path_item(rollouts[i].question, rollouts[i].parsed, problems[rows[i].problem_id].domain),
                tuple(teachers.get(rows[i].problem_id, ())),
            )
            for i in seen
        ]
        found = dict(zip(seen, await make_scorer(after.structures).score(items), strict=True))
        scores = [found.get(i) for i in range(len(rows))]
        rollouts = [
            replace(rollout, structure=score, teachers=tuple(paths[row.problem_id]))
            for rollout, score, row in zip(rollouts, scores, rows, strict=True)
        ]
        values = measure(rollouts, components)
        await wait_for_values(values)
        return [_measured(*parts) for parts in zip(rows, scores, values, strict=True)]

    return asyncio.run(measured())


def _check_folders(inputs: ReplayInputs, *stages: str) -> None:
    """Checks that what structure is scored from is still there.

    Raises:
        DataError: A stage's folder is gone.
    """
    for stage in stages:
        if stage not in inputs.folders or not inputs.folders[stage].is_dir():
            raise DataError(
                f"the folder of the run's {stage} stage is gone, so structure cannot be scored again; run the configuration again"
            )


async def _taught(
    pairs: Sequence[Pair], inputs: ReplayInputs, after: PipelineConfig
) -> tuple[dict[str, list[Structure]], dict[str, list[str]]]:
    """Whose structures and paths each problem's completions are compared with, as in training.

    A run with ``rl.shuffle_teachers`` compares with another problem's teacher: scored against its own one, the control
    looked like the run that it is a control for. Which problem got whose is drawn from those that were practised on.
    """
    teachers = await _teachers(pairs, inputs, after)
    paths: dict[str, list[str]] = {}
    for problem, trace in pairs:
        paths.setdefault(problem.id, []).append(trace.path)
    if not after.rl.shuffle_teachers:
        return teachers, paths
    from transformers import AutoTokenizer

    model = after.student.model
    tokenizer = AutoTokenizer.from_pretrained(
        inputs.folders["rl"] / "model",
        trust_remote_code=model.type == "checkpoint" and model.trust_remote_code,
    )
    book = PromptBook(after.student, tokenizer)
    practised = choose_problems(book, pairs, read_structures(inputs.folders["structures"]))
    given = {problem.id: teachers.get(problem.id, []) for problem in practised.problems}
    shuffled = shuffle_teachers(replace(practised, teachers=given), after.seed)
    return {**teachers, **shuffled.teachers}, {**paths, **shuffled.paths}


async def _teachers(
    pairs: Sequence[Pair], inputs: ReplayInputs, after: PipelineConfig
) -> dict[str, list[Structure]]:
    """Structures of the teachers' paths by problem: the stored ones, or new ones by another decomposer."""
    if after.structures.decomposer == inputs.config.structures.decomposer:
        by_trace: dict[str, Structure | None] = {**read_structures(inputs.folders["structures"])}
    else:
        items = [trace_item(problem, trace) for problem, trace in pairs]
        decomposer = make_decomposer(after.structures.decomposer, after.structures.cache)
        found = await decomposer.decompose(items)
        by_trace = {
            trace.id: with_answer(structure, item.answer)
            for (_, trace), item, structure in zip(pairs, items, found, strict=True)
        }
    teachers: dict[str, list[Structure]] = {}
    for problem, trace in pairs:
        structure = by_trace.get(trace.id)
        if structure is not None and structure.steps:
            teachers.setdefault(problem.id, []).append(structure)
    return teachers


def _rollout(row: RewardRecord, problems: Mapping[str, Problem], student: StudentConfig) -> Rollout:
    problem = problems.get(row.problem_id)
    if problem is None:
        raise DataError(
            f"the ledger names problem {row.problem_id}, which the run's data does not have; the folders do not belong together"
        )
    completion = Completion(
        problem_id=row.problem_id, text=row.completion, tokens=row.tokens, finish_reason=row.finish_reason
    )
    return read_rollout(completion, problem, student)


def _measured(
    row: RewardRecord, score: StructureScore | None, values: Mapping[str, float | None]
) -> RewardRecord:
    verdicts = () if score is None else score.steps
    return row.model_copy(
        update={
            "components": {**row.components, **values},
            "steps_found": 0 if score is None else score.student_steps,
            "verdicts": verdicts,
            "judged": 0 if score is None else score.judged,
            "own_answer": None if score is None else score.own_answer,
        }
    )


# -- rewards and advantages -----------------------------------------------------------------------------


def _with_length(row: RewardRecord, config: PipelineConfig) -> RewardRecord:
    """A row with the length component measured again, for which nothing but the row is needed."""
    rollout = Rollout(
        "",
        None,
        row.completion,
        ParsedOutput(row.completion, None, False),
        tokens=row.tokens,
        max_tokens=config.student.max_completion_tokens,
    )
    value = length_reward(rollout, config.rewards.length_free)
    return row.model_copy(update={"components": {**row.components, "length": value}})


def _with_undecided(
    rows: Sequence[RewardRecord], inputs: ReplayInputs, config: RewardsConfig
) -> list[RewardRecord]:
    """The rows with an undecided answer's outcome as ``rewards.undecided`` says; what a verifier could not do stays missing."""
    gym: set[str] = set()
    if any(row.undecided == _NO_TIME for row in rows):
        _check_folders(inputs, "data")
        problems = iter_rows(inputs.folders["data"] / "train.jsonl", Problem)
        gym = {problem.id for problem in problems if GYM_KEY in problem.metadata}
    outcome = None if config.undecided == "missing" else float(config.undecided == "right")
    return [
        row.model_copy(update={"components": {**row.components, "outcome": outcome}})
        if row.undecided
        and row.undecided != VERIFIER_FAILED
        and not (row.undecided == _NO_TIME and row.problem_id in gym)
        else row
        for row in rows
    ]


def _combine(row: RewardRecord, config: RewardsConfig) -> RewardRecord:
    made = combine(
        row.components, config, row.step, finished=row.finish_reason == "stop", own_answer=row.own_answer
    )
    return row.model_copy(update={"alpha": made.alpha, "reward": made.reward, "missing": made.missing})


def _with_advantages(rows: Sequence[RewardRecord], config: PipelineConfig) -> list[RewardRecord]:
    """The rows, in their order, with the advantages that the trainer would have used."""
    rounds: dict[int, dict[int, list[int]]] = {}
    for i, row in enumerate(rows):
        if row.advantage is not None:  # else it is of a group that was replaced: nothing was learned from it
            rounds.setdefault(row.step, {}).setdefault(row.group, []).append(i)
    new = list(rows)
    objective = Objective(config.rl.objective, config.rewards, config.rl.group_size)
    for groups in rounds.values():
        found = advantages(
            [[rows[i].reward for i in group] for group in groups.values()], config.rl.scale_rewards
        )
        places = [i for group in groups.values() for i in group]
        made = objective.advantages([rows[i] for i in places], [value for group in found for value in group])
        for i, value in zip(places, made, strict=True):
            masked = rows[i].reward is None or (
                config.rl.mask_truncated and rows[i].finish_reason == "length"
            )
            new[i] = rows[i].model_copy(update={"advantage": 0.0 if masked else value})
    return new


# -- comparison -----------------------------------------------------------------------------------------
