"""The qualification of the structure reward as rows of text (for the terminal, Markdown and HTML) and as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlkd.qualification.verdict import (
    CUT,
    PADDING,
    bound,
    judge,
    mostly_unmeasured,
    number,
    read_figures,
    summary,
)
from rlkd.reporting.labels import percent
from rlkd.reporting.style import COLOURS, as_percent, draw
from schemas.config.pipeline import PipelineConfig
from schemas.qualification import Auroc, Qualification, Sensitivity, Separation, Verdict
from schemas.report import Plot, QualificationContent, Sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE_LABELS = {
    "paraphrased": "other wording",
    "steps_swapped": "two independent steps swapped",
    "step_scrambled": "a dependent step moved to before what it uses",
    "irrelevant_inserted": "an irrelevant step inserted",
    "irrelevant_in_wrong": "an irrelevant step inserted into a path with a wrong value",
    "step_repeated": "a step repeated",
    "path_repeated": "the whole path repeated",
    "problem_copied": "the problem copied in",
    "judge_addressed": "text aimed at the judge added to a path with a wrong value",
    "value_wrong": "an intermediate value wrong, carried on",
    "end_wrong": "the teacher's path with a wrong end",
    "last_step_only": "the last step of the teacher's path alone",
    "second_half_only": "the second half of the teacher's path alone",
    "empty": "an empty path",
}
_SHORT = {
    "paraphrased": "other wording",
    "steps_swapped": "steps swapped",
    "step_scrambled": "step too early",
    "irrelevant_inserted": "step inserted",
    "irrelevant_in_wrong": "step inserted in a wrong path",
    "step_repeated": "step repeated",
    "path_repeated": "path repeated",
    "problem_copied": "problem copied in",
    "judge_addressed": "judge addressed",
    "value_wrong": "value wrong",
    "end_wrong": "end wrong",
    "last_step_only": "last step only",
    "second_half_only": "second half only",
}
_CHANGES_OF = {
    "paraphrased": ("paraphrased",),
    "swapped": ("steps_swapped",),
    "scrambled": ("step_scrambled",),
    "padding": PADDING,
    "wrong_value": ("value_wrong",),
    "wrong_end": ("end_wrong",),
    "cut_short": CUT,
}
EXPECTED_LABELS = {
    "falls": "falls",
    "stays": "stays within 0.02",
    "does not rise": "does not rise",
    "is 0": "is 0",
}
QUESTION_LABELS = {"intent": "same intent", "sub_problem": "same sub-problem", "answer": "equal answer"}
STATUS_LABELS = {"passed": "met", "missed": "MISSED", "unmeasured": "too few cases"}
_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class QualificationTables:
    """Every table of a qualification, as text.

    Attributes:
        separation: Measure, AUROC hidden, AUROC on full paths.
        changes: Change, what the score should do, share that does, cases, mean before and after.
        bias: Question, mean probability of yes, share of yes, pairs.
        checks: What is asked, figure, threshold, verdict, cases, setting.
        facts: Sentences about repeatability, faults and cost.
    """

    separation: list[tuple[str, str, str]]
    changes: list[tuple[str, str, str, str, str]]
    bias: list[tuple[str, str, str, str]]
    checks: list[tuple[str, str, str, str, str, str]]
    facts: list[str]


def qualification_content(config: PipelineConfig, folder: Path) -> QualificationContent:
    """Collects what a finished stage measured, with the verdict under a configuration's thresholds."""
    figures = read_figures(folder)
    return QualificationContent(figures=figures, verdict=judge(figures, config.qualify))


def qualification_sentence(content: QualificationContent) -> Sentence:
    """Describes the verdict as a finding."""
    text = summary(content.verdict)
    verdict = content.verdict
    going_on = (
        "" if verdict.passed or verdict.refused else f"; RL went on, as qualify.action is {verdict.action}"
    )
    tone: Literal["good", "bad", "unsure"] = (
        "bad" if not verdict.passed else "unsure" if mostly_unmeasured(verdict) else "good"
    )
    return Sentence(text=f"{text[0].upper()}{text[1:]}{going_on}.", tone=tone)


def tables(content: QualificationContent) -> QualificationTables:
    """Builds the rows of every table."""
    found = content.figures
    return QualificationTables(
        separation=_separation(found),
        changes=[
            (
                CHANGE_LABELS[row.change],
                EXPECTED_LABELS[row.expected],
                _DASH if row.share is None else percent(row.share),
                str(row.n),
                _DASH if row.n == 0 else f"{row.mean_before:.3f} \N{RIGHTWARDS ARROW} {row.mean_after:.3f}",
            )
            for row in found.sensitivities
        ],
        bias=[
            (QUESTION_LABELS[row.question], f"{row.mean:.3f}", percent(row.share), str(row.n))
            for row in found.yes_bias
        ],
        checks=[
            (
                c.label,
                number(c.value),
                bound(c),
                STATUS_LABELS[c.status],
                str(c.cases),
                f"qualify.thresholds.{c.name}",
            )
            for c in content.verdict.checks
        ],
        facts=_facts(found),
    )


def _separation(found: Qualification) -> list[tuple[str, str, str]]:
    names = list(dict.fromkeys([*found.hidden.baselines, *found.full.baselines]))
    rows = [("structure", _auroc(found.hidden.structure), _auroc(found.full.structure))]
    rows += [
        (name, _auroc(found.hidden.baselines.get(name)), _auroc(found.full.baselines.get(name)))
        for name in names
    ]
    gaps = (_auroc(found.hidden.gap, signed=True), _auroc(found.full.gap, signed=True))
    return [*rows, ("structure less the best of the others", *gaps)]


def _auroc(value: Auroc | None, signed: bool = False) -> str:
    if value is None:
        return _DASH
    sign = "+" if signed else ""
    return f"{value.value:{sign}.3f} [{value.low:{sign}.3f}, {value.high:{sign}.3f}]"


def _facts(found: Qualification) -> list[str]:
    facts = [
        f"{found.pairs:,} labelled pairs, {found.right:,} of them right: {found.source}.",
        *found.notes,
        f"Decomposer {found.decomposer}, judge {found.judge}, alignment {found.alignment}.",
        f"With the last step hidden, {found.hidden_left_out:,} pairs have nothing left of the teacher's path and are left out.",
    ]
    if found.repeatability is not None:
        twice = found.repeatability
        facts.append(
            f"Scored again with nothing cached: {percent(twice.identical)} of {twice.n} scores are identical, {percent(twice.unchanged)} "
            f"the same within 0.02; the largest difference is {twice.largest:.3f}."
        )
    facts.append(
        f"{found.parse_failures:,} of {found.paths:,} paths that hold steps could not be read ({found.decomposer_faults:,} faults of the "
        f"decomposer); {found.missing:,} of {found.scored:,} scores are missing."
    )
    if found.cost is not None:
        cost = found.cost
        text = f"1,000 completions cost {cost.seconds:,.1f} s, {cost.requests:,.0f} requests"
        if cost.prompt_tokens is not None and cost.completion_tokens is not None:
            text += f", {cost.prompt_tokens:,.0f} prompt and {cost.completion_tokens:,.0f} output tokens"
        facts.append(
            f"{text} (nothing cached, the teachers decomposed beforehand; measured on {cost.completions})."
        )
    return facts


def qualification_plot(content: QualificationContent) -> Plot | None:
    """Draws AUROC with intervals beside the trivial baselines, and what the score notices; ``None`` where there is neither."""
    found = content.figures
    changes = [row for row in found.sensitivities if row.share is not None and row.change != "empty"]
    limits = _limits(content.verdict)
    if not changes and found.hidden.structure is None and found.full.structure is None:
        return None

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        _paint_auroc(left, found.hidden, found.full)
        _paint_changes(right, changes, limits)

    return draw(
        "qualification",
        "Qualification of the structure reward",
        f"Left: the chance that a right solution scores above a wrong one, with {found.confidence:.0%} intervals over problems. Filled: the last "
        "step hidden on both sides; open: whole paths. Right: share of right paths whose score does as expected when they are changed; the strokes are the thresholds.",
        (10.4, 3.4),
        paint,
    )


def _limits(verdict: Verdict) -> dict[str, float]:
    """The threshold of each change, where one is asked for."""
    asked = {check.name: check.limit for check in verdict.checks}
    return {
        change: asked[name] for name, changes in _CHANGES_OF.items() for change in changes if name in asked
    }


def _paint_changes(axis: Axes, rows: Sequence[Sensitivity], limits: Mapping[str, float]) -> None:
    for i, row in enumerate(reversed(rows)):
        share, limit = row.share or 0.0, limits.get(row.change)
        missed = limit is not None and share < limit
        axis.barh([i], [share], height=0.55, color=COLOURS["wrong" if missed else "structure"])
        if limit is not None:
            axis.plot([limit, limit], [i - 0.38, i + 0.38], color=COLOURS["ink"], linewidth=1.4)
    axis.set_yticks(range(len(rows)), [f"{_SHORT[row.change]}: {row.expected}" for row in reversed(rows)])
    axis.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axis.set_xlim(0, 1.04)
    as_percent(axis.xaxis)
    axis.set_title("Score does as expected")
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)


def _paint_auroc(axis: Axes, hidden: Separation, full: Separation) -> None:
    names = ["structure", *dict.fromkeys([*hidden.baselines, *full.baselines])]
    for part, shift, filled in ((hidden, 0.14, True), (full, -0.14, False)):
        values = {"structure": part.structure, **part.baselines}
        for i, name in enumerate(names):
            value = values.get(name)
            if value is None:
                continue
            colour = COLOURS["structure" if name == "structure" else "muted"]
            y = len(names) - 1 - i + shift
            axis.plot([value.low, value.high], [y, y], color=colour, linewidth=2.4, alpha=0.55)
            axis.plot(
                [value.value],
                [y],
                "o",
                color=colour,
                markerfacecolor=colour if filled else COLOURS["surface"],
                markersize=7,
                markeredgewidth=1.8,
            )
    axis.axvline(0.5, color=COLOURS["grid"], linewidth=1.2)
    axis.set_yticks(range(len(names)), [name.capitalize() for name in reversed(names)])
    axis.tick_params(axis="y", labelcolor=COLOURS["ink"])
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlim(0.0 if _lowest(hidden, full) < 0.4 else 0.4, 1.02)
    axis.set_title("AUROC for the solution being right")
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)


def _lowest(*parts: Separation) -> float:
    return min(
        (
            value.low
            for part in parts
            for value in (part.structure, *part.baselines.values())
            if value is not None
        ),
        default=0.5,
    )
