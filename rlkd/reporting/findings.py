"""The headline: what happened, in plain words, and no more than the intervals allow."""

from __future__ import annotations

from collections import Counter

from rlkd.reporting.labels import CHECKPOINT_LABELS, percent, points, signed
from schemas.evaluation import CheckpointMetrics, EvalReport, PairedDifference
from schemas.report import Sentence

NEAR_ZERO = 0.05
"""Accuracy below which the report says that the student cannot do the task."""

_NAMES = {"base": "the base student", "warm_start": "the warm-started student", "rlkd": "the RLKD student"}
_WHERE = {
    "test": "unseen problems like those it was trained on",
    "ood": "harder, out-of-distribution problems",
    "validation": "validation problems",
}


def describe_findings(report: EvalReport) -> tuple[Sentence, ...]:
    """Describes what an evaluation found, the main finding first.

    A difference whose interval includes 0 is called undecided, never a gain; an accuracy near zero is said
    plainly.
    """
    sentences = _near_zero(report)
    for split in _WHERE:
        found = [m for m in report.checkpoints if m.split == split]
        if not found:
            continue
        last = found[-1]
        sentences.append(_standing(last, found[-2] if len(found) > 1 else None))
        if len(found) > 1:
            before = found[-2].checkpoint
            sentences.extend(
                _difference(pair, report.confidence)
                for pair in report.paired
                if (pair.split, pair.a, pair.b) == (split, before, last.checkpoint)
            )
    sentences.extend(_caveats(report))
    return tuple(sentences)


def _standing(last: CheckpointMetrics, before: CheckpointMetrics | None) -> Sentence:
    """How the last checkpoint does, beside the one that the last stage started from."""
    accuracy, structure = last.overall.accuracy, last.overall.structure
    name = _NAMES[last.checkpoint]
    text = f"{name[0].upper()}{name[1:]} solves {percent(accuracy.mean)} of {accuracy.n} {_WHERE[last.split]}"
    if before is not None:
        text += f", {_NAMES[before.checkpoint]} {percent(before.overall.accuracy.mean)}"
    if structure is not None:
        text += f"; its structure score against the teacher's paths is {structure.mean:.2f}"
        if before is not None and before.overall.structure is not None:
            text += f", after {before.overall.structure.mean:.2f}"
    if last.overall.truncated:
        asked = accuracy.n + last.overall.missing_accuracy
        cut = round(last.overall.truncated * asked)
        text += f"; {cut} of its {asked} completions were cut off at the length limit"
    if guessed := last.overall.guessed:
        text += f"; {guessed} of its answers {'is' if guessed == 1 else 'are'} not what its own steps find"
    return Sentence(text=text + ".")


def _difference(pair: PairedDifference, confidence: float) -> Sentence:
    """A paired difference as a sentence; undecided where its interval holds 0."""
    if pair.metric == "accuracy":
        what, size = "accuracy", f"{points(pair.diff)} points"
        low, high = points(pair.low), points(pair.high)
    else:
        what, size = "structure score", signed(pair.diff)
        low, high = signed(pair.low), signed(pair.high)
    where = {"test": "", "ood": " out of distribution"}.get(pair.split, " on validation")
    span = f"{confidence:.0%} interval {low} to {high}, over the same {pair.n} problems"
    against = f"{CHECKPOINT_LABELS[pair.a]} \N{RIGHTWARDS ARROW} {CHECKPOINT_LABELS[pair.b]}"
    if pair.low > 0:
        return Sentence(text=f"{against}: {what}{where} rises by {size.lstrip('+')} ({span}).", tone="good")
    if pair.high < 0:
        drop = size.lstrip("\N{MINUS SIGN}")
        return Sentence(text=f"{against}: {what}{where} falls by {drop} ({span}).", tone="bad")
    return Sentence(
        text=f"{against}: no difference in {what}{where} can be told from this run: {size} ({span}, which includes 0).",
        tone="unsure",
    )


def _near_zero(report: EvalReport) -> list[Sentence]:
    """A plain statement where no checkpoint can do the task."""
    test = [m for m in report.checkpoints if m.split == "test"]
    if not test or max(m.overall.accuracy.mean for m in test) >= NEAR_ZERO:
        return []
    accuracy = test[-1].overall.accuracy
    right = round(accuracy.mean * accuracy.n)
    text = (
        f"Accuracy is near zero: {right} of {accuracy.n} test problems are right. This run shows that the stages "
        "work on these data; it does not show a student that can solve them."
    )
    if right == 0:
        # With 0 of n, the bootstrap interval is a point; the 95% upper bound is 1 - 0.05^(1/n), about 3/n.
        text += f" (0 of {accuracy.n} is what a true accuracy of up to {percent(1 - 0.05 ** (1 / accuracy.n))} may well look like.)"
    return [Sentence(text=text, tone="bad")]


def _undecided(report: EvalReport) -> list[Sentence]:
    """Of how many answers nobody can say whether they are right, by reason, and what they count as."""
    counts: Counter[str] = Counter()
    for found in report.checkpoints:
        counts.update(found.overall.undecided)
    samples = sum(found.overall.undecided_samples for found in report.checkpoints)
    sampled = f"{samples} of the samples for pass@k are undecided and treated in the same way."
    if not counts:
        return [Sentence(text=sampled[0].upper() + sampled[1:])] if samples else []
    missing = sum(m.overall.missing_accuracy for m in report.checkpoints)
    total = missing + sum(m.overall.accuracy.n for m in report.checkpoints)
    why = ", ".join(f"{count} x {reason}" for reason, count in counts.most_common())
    judged = counts.total() - missing
    parts = [f"{judged} of them count as {report.undecided_counts_as}"] if judged else []
    parts += [f"{missing} have no verdict and are left out of accuracy"] if missing else []
    text = f"Whether {counts.total()} of {total} answers are right is undecided ({why}); {', '.join(parts)}."
    return [Sentence(text=f"{text} {sampled}" if samples else text)]


def _caveats(report: EvalReport) -> list[Sentence]:
    caveats = _undecided(report)
    missing = sum(m.overall.missing_structure for m in report.checkpoints)
    if missing:
        total = sum(m.overall.accuracy.n + m.overall.missing_accuracy for m in report.checkpoints)
        fault = f"; last fault: {report.structure_fault}" if report.structure_fault else ""
        caveats.append(
            Sentence(
                text=f"{missing} of {total} completions have no structure score (no teacher path, or none that could "
                f"be read{fault}); they are left out of it, not counted as 0."
            )
        )
    if report.checkpoints:
        caveats.append(
            Sentence(
                text="One run, one seed: the intervals cover the choice of problems, not the luck of training."
            )
        )
    return caveats
