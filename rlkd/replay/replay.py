"""``rlkd rewards replay``: saved completions under other reward settings, without generating anything.

Components that the ledger holds are combined again; where the structure settings differ, structure is scored again
from the completions. What comes out is how rewards, the ranking within groups, and advantages would have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlkd.answers.conventions import ParsedOutput
from rlkd.config.load import load_config
from rlkd.errors import ConfigError, DataError, UserError
from rlkd.io import read_rows
from rlkd.replay.ranking import advantages, deviation, kendall, mean, pearson, spearman
from rlkd.rewards.components import Rollout
from rlkd.rewards.components.standard import length_reward
from rlkd.rewards.ledger import Ledger, check_new_ledger, read_ledger
from rlkd.rewards.scoring import (
    RIGHT,
    combine,
    make_components,
    measure,
    read_rollout,
    wait_for_values,
)
from rlkd.rewards.statistics import components_of, group_records, without_difference
from rlkd.structure.factory import make_decomposer, make_scorer
from rlkd.structure.interfaces import PathItem
from rlkd.structure.scorer import ScoreItem
from schemas.alignment import StructureScore
from schemas.artifact import RunManifest
from schemas.base import JsonValue
from schemas.config.pipeline import PipelineConfig
from schemas.config.rewards import RewardsConfig
from schemas.config.student import StudentConfig
from schemas.problem import Problem
from schemas.replay import ReplayReport, ReplaySide, ReplayStep
from schemas.rollout import Completion, RewardRecord
from schemas.structure import Structure

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
    path = run / "run.json"
    try:
        manifest = RunManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{run}: not a run folder (it has no run.json); name one that `rlkd run` made"
        ) from None
    except (OSError, ValidationError, UnicodeDecodeError):
        raise UserError(
            f"{path}: cannot be read as a run of this version; run the configuration again"
        ) from None
    folders: dict[str, Path] = {
        str(entry.name): Path(entry.uri) for entry in manifest.stages if entry.status in ("done", "reused")
    }
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
        UserError, DataError: The run, its ledger, or what scoring again needs cannot be read, or the output holds a
            ledger already (it could be the run's own).
    """
    inputs = open_run(run)
    if output is not None:
        check_new_ledger(output)
    after = load_config(str(run / "config.yaml"), overrides)
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
    if not before.rewards.observe_structure:  # where alpha was 0, structure was never looked at
        rescore = rescore or any(row.structure is None and "structure" not in row.missing for row in rows)
    further = _measured_as(after.rewards)
    rescore = rescore or any(_measured_as(before.rewards).get(name) != how for name, how in further.items())
    parts: Sequence[RewardRecord] = rows
    if rescore:
        parts = _rescore(rows, inputs, after)
    elif before.rewards.length_free != after.rewards.length_free:
        parts = [_with_length(row, after) for row in rows]
    new = _with_advantages([_combine(row, after.rewards) for row in parts], after)
    return new, _compare(rows, new, rescore, changed)


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
    from rlkd.data.drawn import Pair, drawn_pairs

    for stage in ("data", "traces", "structures"):
        if stage not in inputs.folders or not inputs.folders[stage].is_dir():
            raise DataError(
                f"the folder of the run's {stage} stage is gone, so structure cannot be scored again; run the configuration again"
            )
    pairs: list[Pair] = drawn_pairs(inputs.folders)
    problems = {problem.id: problem for problem, _ in pairs}
    paths: dict[str, tuple[str, ...]] = {}
    for problem, trace in pairs:
        paths[problem.id] = (*paths.get(problem.id, ()), trace.path)

    components = {
        name: ask for name, ask in make_components(after.rewards).items() if name not in ("outcome", "format")
    }

    async def measured() -> list[RewardRecord]:
        teachers = await _teachers(pairs, inputs, after)
        rollouts = [_rollout(row, problems, after.student) for row in rows]
        items = [
            ScoreItem(
                rollout.question,
                tuple(teachers.get(row.problem_id, ())),
                rollout.parsed.path,
                problems[row.problem_id].domain,
            )
            for row, rollout in zip(rows, rollouts, strict=True)
        ]
        scores = await make_scorer(after.structures).score(items)
        rollouts = [
            replace(rollout, structure=score, teachers=paths[row.problem_id])
            for rollout, score, row in zip(rollouts, scores, rows, strict=True)
        ]
        values = measure(rollouts, components)
        await wait_for_values(values)
        return [_measured(*parts) for parts in zip(rows, scores, values, strict=True)]

    return asyncio.run(measured())


async def _teachers(
    pairs: Sequence[Any], inputs: ReplayInputs, after: PipelineConfig
) -> dict[str, list[Structure]]:
    """Structures of the teachers' paths by problem: the stored ones, or new ones by another decomposer."""
    if after.structures.decomposer == inputs.config.structures.decomposer:
        rows = read_rows(inputs.folders["structures"] / "structures.jsonl", Structure)
        by_trace: dict[str, Structure | None] = {row.trace_id: row for row in rows}
    else:
        items = [PathItem(problem.question, trace.path, problem.domain) for problem, trace in pairs]
        decomposer = make_decomposer(after.structures.decomposer, after.structures.cache)
        found = await decomposer.decompose(items)
        by_trace = {trace.id: structure for (_, trace), structure in zip(pairs, found, strict=True)}
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


def _combine(row: RewardRecord, config: RewardsConfig) -> RewardRecord:
    made = combine(row.components, config, row.step, finished=row.finish_reason == "stop")
    return row.model_copy(update={"alpha": made.alpha, "reward": made.reward, "missing": made.missing})


def _with_advantages(rows: Sequence[RewardRecord], config: PipelineConfig) -> list[RewardRecord]:
    """The rows, in their order, with the advantages that the trainer would have used."""
    rounds: dict[int, dict[int, list[int]]] = {}
    for i, row in enumerate(rows):
        rounds.setdefault(row.step, {}).setdefault(row.group, []).append(i)
    new = list(rows)
    for groups in rounds.values():
        found = advantages(
            [[rows[i].reward for i in group] for group in groups.values()], config.rl.scale_rewards
        )
        for group, values in zip(groups.values(), found, strict=True):
            for i, value in zip(group, values, strict=True):
                masked = rows[i].reward is None or (
                    config.rl.mask_truncated and rows[i].finish_reason == "length"
                )
                new[i] = rows[i].model_copy(update={"advantage": 0.0 if masked else value})
    return new


# -- comparison -----------------------------------------------------------------------------------------


def _compare(
    before: Sequence[RewardRecord], after: Sequence[RewardRecord], rescored: bool, changed: tuple[str, ...]
) -> ReplayReport:
    old_groups, new_groups = group_records(before), group_records(after)
    ranks = [_rank(old, new) for old, new in zip(old_groups, new_groups, strict=True)]
    known = [rank for rank in ranks if rank is not None]
    pairs = [(a.advantage, b.advantage) for a, b in zip(before, after, strict=True)]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return ReplayReport(
        rows=len(before),
        groups=len(old_groups),
        steps=len({row.step for row in before}),
        rescored=rescored,
        changed=changed,
        before=_side(before, old_groups),
        after=_side(after, new_groups),
        kendall=mean([rank[0] for rank in known]),
        spearman=mean([rank[1] for rank in known]),
        ranked_groups=len(known),
        best_changed=mean([float(rank[2]) for rank in known]),
        advantage_correlation=pearson([a for a, _ in both], [b for _, b in both]),
        advantage_change=mean([abs(a - b) for a, b in both]),
        sign_flips=mean([float(a * b < 0) for a, b in both]),
        by_step=tuple(_steps(old_groups, new_groups, ranks)),
    )


def _rank(old: Sequence[RewardRecord], new: Sequence[RewardRecord]) -> tuple[float, float, bool] | None:
    """Kendall, Spearman, and whether another completion is best; ``None`` where one side does not rank."""
    pairs = [
        (a.reward, b.reward)
        for a, b in zip(old, new, strict=True)
        if a.reward is not None and b.reward is not None
    ]
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    tau, rho = kendall(first, second), spearman(first, second)
    if tau is None or rho is None:
        return None
    best = {i for i, value in enumerate(first) if value >= max(first) - 1e-12}
    now = {i for i, value in enumerate(second) if value >= max(second) - 1e-12}
    return tau, rho, not best & now


def _side(rows: Sequence[RewardRecord], groups: Sequence[Sequence[RewardRecord]]) -> ReplaySide:
    rewards = [row.reward for row in rows if row.reward is not None]
    means = {
        name: mean([value for row in rows if (value := row.components.get(name)) is not None])
        for name in components_of(rows)
    }
    return ReplaySide(
        reward=mean(rewards),
        reward_std=deviation(rewards) if rewards else None,
        missing=1 - len(rewards) / len(rows),
        flat_groups=sum(map(without_difference, groups)) / len(groups),
        outcome_auroc=_auroc(groups),
        components=means,
    )


def _auroc(groups: Sequence[Sequence[RewardRecord]]) -> float | None:
    """Chance that a right completion of a group is paid more than a wrong one of it, ties half."""
    won = pairs = 0.0
    for group in groups:
        known = [
            (row.outcome, row.reward) for row in group if row.outcome is not None and row.reward is not None
        ]
        right = [reward for outcome, reward in known if outcome >= RIGHT]
        wrong = [reward for outcome, reward in known if outcome < RIGHT]
        won += sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
        pairs += len(right) * len(wrong)
    return won / pairs if pairs else None


def _steps(
    old: Sequence[Sequence[RewardRecord]],
    new: Sequence[Sequence[RewardRecord]],
    ranks: Sequence[tuple[float, float, bool] | None],
) -> Iterator[ReplayStep]:
    by_step: dict[int, list[int]] = {}
    for k, group in enumerate(old):
        by_step.setdefault(group[0].step, []).append(k)
    for step, own in sorted(by_step.items()):
        yield ReplayStep(
            step=step,
            before=mean([row.reward for k in own for row in old[k] if row.reward is not None]),
            after=mean([row.reward for k in own for row in new[k] if row.reward is not None]),
            kendall=mean([rank[0] for k in own if (rank := ranks[k]) is not None]),
        )


def replay_table(report: ReplayReport) -> str:
    """The report as text for a terminal."""
    lines = [f"{report.rows} completions, {report.groups} groups, {report.steps} steps"]
    lines += [f"  {change}" for change in report.changed] or ["  (no setting changed)"]
    lines.append(
        "  structure scored again from the completions"
        if report.rescored
        else "  stored components combined again"
    )
    lines.append(f"{'':28}{'before':>9}{'after':>9}")
    before, after = _figures(report.before), _figures(report.after)
    for name in dict.fromkeys([*before, *after]):
        lines.append(
            f"{name.replace('_', ' '):28}{_number(before.get(name)):>9}{_number(after.get(name)):>9}"
        )
    lines.append(
        f"ranking within groups: Kendall {_number(report.kendall)}, Spearman {_number(report.spearman)} over {report.ranked_groups} groups"
    )
    lines.append(f"another completion is best in {_share(report.best_changed)} of them")
    lines.append(
        f"advantages: correlation {_number(report.advantage_correlation)}, mean change {_number(report.advantage_change)}, "
        f"sign turned for {_share(report.sign_flips)} of the completions"
    )
    return "\n".join(lines)


def _figures(side: ReplaySide) -> dict[str, float | None]:
    """One side's figures by name, the components after the reward."""
    figures = side.model_dump(exclude={"components"})
    first = {name: figures.pop(name) for name in ("reward", "reward_std")}
    return {**first, **side.components, **figures}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
