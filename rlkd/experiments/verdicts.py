"""Verdicts of a family of comparisons, each a word and a sentence made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from rlkd.evaluation.estimate import Estimate
from rlkd.experiments.power import cohens_h
from rlkd.experiments.statistics import holm, is_equivalent
from rlkd.reporting.labels import METRIC_LABELS, SHARES, points, signed
from schemas.config.experiment import CompareConfig
from schemas.evaluation import Interval
from schemas.experiment import ComparisonRow, VerdictWord


@dataclass(frozen=True)
class Compared:
    """A comparison before its p-value is corrected.

    Attributes:
        a: The one method.
        b: The other.
        setting: Setting of the grid.
        found: A minus B; ``None`` where a seed is missing or the two do not compare.
        missing: Cells that are missing, in words.
        why_not: Why the two do not compare.
        per_seed: A minus B of each seed.
        pairs: Pairs of outputs: problems times seeds.
        wins: Problems that A alone gets right, and B alone.
        means: Mean of A and of B over the pairs.
        axes: The setting, by axis.
    """

    a: str
    b: str
    setting: str
    found: Estimate | None = None
    missing: tuple[str, ...] = ()
    why_not: str = ""
    per_seed: dict[str, float] = field(default_factory=dict)
    pairs: int = 0
    wins: tuple[int, int] | None = None
    means: tuple[float, float] | None = None
    axes: Mapping[str, str] = field(default_factory=dict)


def judge_family(family: Sequence[Compared], compare: CompareConfig) -> tuple[ComparisonRow, ...]:
    """Judges every comparison of a family; p-values are corrected over those that could be made.

    Better or worse: the corrected p-value is below the level. Else equivalent: the difference lies within the margin by
    two one-sided tests. Else no difference is shown, which says nothing about whether there is one. A comparison with a
    missing seed still counts in the correction, so that finishing it later makes no other verdict weaker.
    """
    p_values = [1.0 if item.found is None else item.found.p_value for item in family]
    corrected = holm(p_values)
    return tuple(
        _row(item, p, p_holm, len(family), compare)
        for item, p, p_holm in zip(family, p_values, corrected, strict=True)
    )


def _row(item: Compared, p: float, p_holm: float, family: int, compare: CompareConfig) -> ComparisonRow:
    where = f" with {item.setting}" if item.setting else ""
    if item.found is None:
        word: VerdictWord = "missing" if item.missing else "not comparable"
        why = (
            f"{', '.join(item.missing)} is missing"
            if item.missing
            else item.why_not or "no problem has both values"
        )
        return ComparisonRow(
            a=item.a,
            b=item.b,
            setting=item.setting,
            verdict=word,
            sentence=f"{item.a} against {item.b}{where}: {word}, since {why}.",
            per_seed=item.per_seed,
            axes=dict(item.axes),
        )
    low, high = item.found.interval(1 - compare.level)
    within = item.found.interval(1 - 2 * compare.level)
    # The same problem answered under five seeds is five pairs, and tells what one problem does.
    units = item.pairs if item.found.units is None else min(item.pairs, item.found.units)
    word = verdict(item.found.mean, p_holm, within, units, compare)
    show = points if compare.metric in SHARES else signed
    unit = " points" if compare.metric in SHARES else ""
    middle = {
        "better": f"{item.a} is better than {item.b}",
        "worse": f"{item.a} is worse than {item.b}",
        "equivalent": f"{item.a} and {item.b} are equivalent",
        "no difference shown": f"no difference between {item.a} and {item.b} is shown",
    }[word]
    margin = (
        f", within the margin of {show(compare.margin).lstrip('+')}{unit}" if word == "equivalent" else ""
    )
    counted = f", Holm over {family}" if family > 1 else ""
    sentence = (
        f"In {METRIC_LABELS[compare.metric].lower()} on {compare.split}{where}, {middle}: {show(item.found.mean)}{unit} "
        f"[{show(low)}, {show(high)}]{margin}, p {_p_text(p_holm, item.found.p_is_bound)}{counted} "
        f"({len(item.per_seed)} seed{'s' if len(item.per_seed) > 1 else ''}, {item.pairs} pairs of answers)."
    )
    return ComparisonRow(
        a=item.a,
        b=item.b,
        setting=item.setting,
        verdict=word,
        sentence=sentence[0].upper() + sentence[1:],
        difference=Interval(mean=item.found.mean, low=low, high=high, n=item.pairs),
        equivalence=within,
        p=p,
        p_holm=p_holm,
        p_is_bound=item.found.p_is_bound,
        per_seed=item.per_seed,
        wins=item.wins,
        effect=cohens_h(*item.means) if item.means is not None and compare.metric in SHARES else None,
        axes=dict(item.axes),
    )


def verdict(
    mean: float, p_holm: float, within: tuple[float, float], pairs: int, compare: CompareConfig
) -> VerdictWord:
    """Names the verdict of one comparison.

    Args:
        mean: A minus B.
        p_holm: Corrected p-value.
        within: Interval of coverage 1 - 2 x level.
        pairs: Pairs of answers.
        compare: Level and margin.
    """
    if p_holm < compare.level and mean != 0:
        return "better" if mean > 0 else "worse"
    return (
        "equivalent" if is_equivalent(within, compare.margin, pairs, compare.level) else "no difference shown"
    )


def summaries(rows: Sequence[ComparisonRow]) -> tuple[str, ...]:
    """Says for each pair of methods in which settings of the grid it came out how; nothing for a pair with one setting."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in rows:
        found.setdefault((row.a, row.b), {}).setdefault(row.verdict, []).append(row.setting)
    return tuple(
        f"{a} against {b}: "
        + "; ".join(f"{word} with {_listed(words[word])}" for word in get_args(VerdictWord) if word in words)
        + "."
        for (a, b), words in found.items()
        if sum(map(len, words.values())) > 1
    )


def _listed(settings: Sequence[str]) -> str:
    """Settings in a sentence; those of several axes ("depth 8, answer numbers") in brackets, so that it shows where one ends."""
    return ", ".join(f"({setting})" if ", " in setting else setting for setting in settings)


def p_value(p: float, is_bound: bool = False) -> str:
    """Writes a p-value by itself; one that is only known not to be larger, and small ones, as a bound."""
    if p < 0.001:
        return "< 0.001"
    return f"\N{LESS-THAN OR EQUAL TO} {p:.3f}" if is_bound else f"{p:.3f}"


def _p_text(p: float, is_bound: bool) -> str:
    """A p-value as it follows "p" in a sentence."""
    text = p_value(p, is_bound)
    return f"= {text}" if text[0].isdigit() else text
