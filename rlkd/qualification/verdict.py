"""The verdict: what was measured, held against the configured thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rlkd.errors import StageError
from schemas.config.pipeline import PipelineConfig
from schemas.config.qualify import QualifyConfig
from schemas.qualification import ChangeName, Check, Qualification, Sensitivity, Verdict

FIGURES = "qualification.json"
"""The file of the stage that holds a :class:`~schemas.qualification.Qualification`."""

_NAMED = 4
"""Most thresholds that are named where they could not be measured; more are counted."""
PADDING: tuple[ChangeName, ...] = (
    "irrelevant_inserted",
    "irrelevant_in_wrong",
    "step_repeated",
    "path_repeated",
    "problem_copied",
    "judge_addressed",
)
"""The changes that ``qualify.thresholds.padding`` is about."""
CUT: tuple[ChangeName, ...] = ("last_step_only", "second_half_only")
"""The changes that ``qualify.thresholds.cut_short`` is about."""


@dataclass(frozen=True)
class _Figure:
    """A figure and how many cases are behind it; ``None`` where it could not be measured."""

    value: float | None
    cases: int


@dataclass(frozen=True)
class _Rule:
    """How a threshold reads its figure."""

    label: str
    read: Callable[[Qualification], _Figure]
    at_least: bool = True
    broken: bool = False


def _hidden_low(found: Qualification) -> _Figure:
    hidden = found.hidden
    return _Figure(
        hidden.structure.low if hidden.structure else None, min(hidden.right, hidden.pairs - hidden.right)
    )


def _gap(found: Qualification) -> _Figure:
    hidden = found.hidden
    return _Figure(hidden.gap.high if hidden.gap else None, min(hidden.right, hidden.pairs - hidden.right))


def _share(name: ChangeName) -> Callable[[Qualification], _Figure]:
    def read(found: Qualification) -> _Figure:
        row = _row(found, name)
        return _Figure(row.share if row else None, row.n if row else 0)

    return read


def _worst(names: tuple[ChangeName, ...]) -> Callable[[Qualification], _Figure]:
    def read(found: Qualification) -> _Figure:
        rows = [row for name in names if (row := _row(found, name)) is not None and row.share is not None]
        worst = min(rows, key=lambda row: row.share or 0.0, default=None)
        return _Figure(worst.share, worst.n) if worst is not None else _Figure(None, 0)

    return read


def _mean(name: ChangeName) -> Callable[[Qualification], _Figure]:
    def read(found: Qualification) -> _Figure:
        row = _row(found, name)
        return _Figure(row.mean_after if row else None, row.n if row else 0)

    return read


def _bias(found: Qualification) -> _Figure:
    worst = max(found.yes_bias, key=lambda row: row.share, default=None)
    return _Figure(worst.share, worst.n) if worst is not None else _Figure(None, 0)


def _parse(found: Qualification) -> _Figure:
    return _Figure(found.parse_failures / found.paths if found.paths else None, found.paths)


def _missing(found: Qualification) -> _Figure:
    return _Figure(found.missing / found.scored if found.scored else None, found.scored)


def _repeatable(found: Qualification) -> _Figure:
    twice = found.repeatability
    return _Figure(twice.unchanged if twice else None, twice.n if twice else 0)


def _cost(found: Qualification) -> _Figure:
    return _Figure(found.cost.seconds if found.cost else None, found.cost.completions if found.cost else 0)


def _row(found: Qualification, name: ChangeName) -> Sensitivity | None:
    return next((row for row in found.sensitivities if row.change == name), None)


RULES: Mapping[str, _Rule] = {
    "auroc_hidden": _Rule("AUROC with the last step hidden, lower end of its interval", _hidden_low),
    "baseline_gap": _Rule(
        "hidden AUROC less the best trivial baseline's, upper end of its interval", _gap, broken=True
    ),
    "scrambled": _Rule("dependent step too early: score falls", _share("step_scrambled")),
    "swapped": _Rule("independent steps swapped: score stays", _share("steps_swapped")),
    "wrong_value": _Rule("intermediate value wrong: score falls", _share("value_wrong")),
    "wrong_end": _Rule("teacher's path with a wrong end: score falls", _share("end_wrong")),
    "cut_short": _Rule("teacher's path cut short: score falls (the worse kind)", _worst(CUT)),
    "last_step": _Rule(
        "mean score of the teacher's last step alone", _mean("last_step_only"), at_least=False, broken=True
    ),
    "paraphrased": _Rule("other wording: score stays", _share("paraphrased")),
    "padding": _Rule("padding: score does not rise (the worst kind)", _worst(PADDING)),
    "empty": _Rule("mean score of an empty path", _mean("empty"), at_least=False, broken=True),
    "yes_bias": _Rule(
        "the judge says yes to steps that are certainly different (the worst question)",
        _bias,
        at_least=False,
        broken=True,
    ),
    "parse_failures": _Rule("paths that could not be read", _parse, at_least=False, broken=True),
    "missing": _Rule("scores that are missing", _missing, at_least=False, broken=True),
    "repeatable": _Rule("scored again, nothing cached: score stays", _repeatable, broken=True),
    "cost_s": _Rule("seconds for scoring 1,000 completions", _cost, at_least=False),
}
"""Every threshold of ``qualify.thresholds``, by its name there."""


def judge(found: Qualification, settings: QualifyConfig) -> Verdict:
    """Holds what was measured against the thresholds that are asked for.

    A figure with fewer than ``min_cases`` cases behind it is not held against its threshold (unless ``strict``).
    """
    checks = []
    for name, rule in RULES.items():
        limit = getattr(settings.thresholds, name)
        if limit is not None:
            checks.append(_check(name, rule, rule.read(found), limit, settings))
    missed = [check for check in checks if check.status == "missed"]
    refused = {"refuse": bool(missed), "warn": False, "auto": any(check.broken for check in missed)}[
        settings.action
    ]
    return Verdict(passed=not missed, refused=refused, action=settings.action, checks=tuple(checks))


def _check(name: str, rule: _Rule, figure: _Figure, limit: float, settings: QualifyConfig) -> Check:
    measured = figure.value is not None and figure.cases >= settings.min_cases
    value = figure.value or 0.0
    good = value >= limit if rule.at_least else value <= limit
    return Check(
        name=name,
        label=rule.label,
        value=figure.value,
        limit=limit,
        at_least=rule.at_least,
        status="missed"
        if not (good if measured else not settings.strict)
        else "passed"
        if measured
        else "unmeasured",
        cases=figure.cases,
        broken=rule.broken,
    )


def misses(verdict: Verdict) -> list[str]:
    """Describes every missed threshold in words, with its figure, limit and setting."""
    return [
        f"{check.label} is {number(check.value)}, not {bound(check)} (qualify.thresholds.{check.name})"
        for check in verdict.checks
        if check.status == "missed"
    ]


def number(value: float | None) -> str:
    """Formats a figure: three digits after the point, fewer where it is large."""
    if value is None:
        return "not measured"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def bound(check: Check) -> str:
    """Describes a threshold in words."""
    return f"{'at least' if check.at_least else 'at most'} {check.limit:g}"


def summary(verdict: Verdict) -> str:
    """Describes the verdict in one sentence."""
    missed, asked = misses(verdict), len(verdict.checks)
    unmeasured = [check.name for check in verdict.checks if check.status == "unmeasured"]
    rest = f" ({_unmeasured(unmeasured)})" if unmeasured else ""
    if not missed:
        met = asked - len(unmeasured)
        if mostly_unmeasured(verdict):
            return (
                f"the structure reward could not be judged: {met} of {asked} thresholds are met, the other {len(unmeasured)} have "
                "too few cases; more labelled pairs would tell (qualify.pairs)"
            )
        return f"the structure reward passes its qualification: {met} of {asked} thresholds are met{rest}"
    return f"the structure reward misses {len(missed)} of {asked} thresholds{rest}: {'; '.join(missed)}"


def mostly_unmeasured(verdict: Verdict) -> bool:
    """Says whether more thresholds had too few cases than could be asked: 2 right ones among 64 samples ask 4 of 15."""
    unmeasured = sum(check.status == "unmeasured" for check in verdict.checks)
    return 2 * unmeasured > len(verdict.checks)


def _unmeasured(names: list[str]) -> str:
    if len(names) > _NAMED:
        return f"{len(names)} could not be measured"
    return f"too few cases for {', '.join(names)}"


def read_figures(folder: Path) -> Qualification:
    """Reads what a finished stage measured."""
    return Qualification.model_validate_json((folder / FIGURES).read_text(encoding="utf-8"))


def check_thresholds(config: PipelineConfig, folder: Path) -> str:
    """Asks a finished stage whether RL may start.

    Thresholds are no part of what was measured, so a run with others asks the same folder again.

    Args:
        config: The configuration with the thresholds.
        folder: Folder of the finished stage.

    Returns:
        The verdict in words.

    Raises:
        StageError: A threshold is missed, and ``qualify.action`` refuses to go on.
    """
    verdict = judge(read_figures(folder), config.qualify)
    text = summary(verdict)
    if verdict.passed:
        return text
    if verdict.refused:
        raise StageError(
            f"{text}. RL was not started. Improve the reward (structures.*), change what is asked (qualify.thresholds.*), or go on "
            "in spite of it with --set qualify.action=warn"
        )
    return f"{text}; going on, as qualify.action is {verdict.action}"
