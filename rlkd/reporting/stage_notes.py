"""Single facts about data and training, in words, from what the stages say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.artifact import StageManifest
from schemas.report import Sentence


def data_notes(inputs: Mapping[str, Path], summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Describes where the problems, the traces and their structures come from.

    Args:
        inputs: Folder of each finished stage.
        summary: What the data stage says about itself.
    """
    notes = []
    if summary.get("source"):
        notes.append(f"Problems from: {summary['source']}.")
    notes.extend(_sentence(str(note)) for note in summary.get("notes", ()))
    traces, structures = _facts(inputs, "traces"), _facts(inputs, "structures")
    if "teacher" in traces:
        notes.append(f"Teacher: {traces['teacher']}.")
    for row in traces.get("costs", ()):
        rejected = sum(row["rejected"].values())
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        money = f", {row['money']:,.4g} {row['currency']}" if row["money"] else ""
        asked = f"{_count(row['requests'], 'answer')}, {_count(tokens, 'token')}{money}; "
        notes.append(
            f"{row['teacher']} on {row['domain']}: {asked if row['requests'] else ''}{row['accepted']:,} accepted, "
            f"{rejected:,} rejected."
        )
    if "decomposer" in structures:
        note = f"Steps of the teacher's paths read by {structures['decomposer']}"
        if "steps_mean" in structures:
            note += f", {structures['steps_mean']:.1f} a path on average"
        if structures.get("without_steps"):
            note += (
                f"; none found in {structures['without_steps']} of {structures.get('structures', 0)} paths"
            )
        if structures.get("missing"):
            note += f"; {structures['missing']} paths could not be read and are left out"
        notes.append(note + ".")
    return tuple(notes)


def training_notes(inputs: Mapping[str, Path]) -> tuple[str, ...]:
    """Describes what the student was trained on and for how long; a stage that was switched off says nothing."""
    notes = []
    warm, rl = _facts(inputs, "warm_start"), _facts(inputs, "rl")
    if "traces" in warm:
        note = f"Warm start: SFT on {_count(warm['traces'], 'teacher trace')}"
        if "steps" in warm and "best_step" in warm:
            note += f", {_count(warm['steps'], 'step')}; the checkpoint of step {warm['best_step']} goes on"
            if warm.get("validation_traces"):
                note += f", the best on {_count(warm['validation_traces'], 'validation trace')}"
        notes.append(note + "." + _left_out(warm, "trace"))
    if "problems" in rl:
        note = f"RL: {_count(rl.get('steps', 0), 'step')} on {_count(rl['problems'], 'problem')}"
        if "completions" in rl:
            note += f", {rl['completions']:,} completions"
        if rl.get("kept_step", rl.get("steps")) != rl.get("steps"):
            note += f"; the checkpoint of step {rl['kept_step']}, the best on validation, goes on"
        notes.append(note + "." + _left_out(rl, "problem") + _undecided(rl))
    return tuple(notes)


def alarm_sentences(inputs: Mapping[str, Path]) -> tuple[Sentence, ...]:
    """Says what the watch over RL found, for the headline; nothing where it found nothing."""
    rl = _facts(inputs, "rl")
    alarms = [str(alarm) for alarm in rl.get("alarms") or ()]
    if not alarms:
        return ()
    stopped = rl.get("stopped_by_watch")
    end = (
        f" Training was stopped after step {stopped}; the checkpoint of step {rl.get('kept_step')} goes on."
        if stopped is not None
        else ""
    )
    text = f"The watch over RL gave {_count(len(alarms), 'alarm')}: {'; '.join(alarms)}.{end}"
    return (Sentence(text=text, tone="bad"),)


def _left_out(facts: Mapping[str, Any], what: str) -> str:
    """What a training stage had to leave out, as a sentence; empty where there is nothing."""
    reasons = {
        "long_prompts": "the prompt is too long",
        "long_completions": "the completion is too long",
        "without_structure": "no teacher path has a step",
    }
    parts = [f"{_count(facts[key], what)} ({words})" for key, words in reasons.items() if facts.get(key)]
    return f" Left out: {', '.join(parts)}." if parts else ""


def _undecided(facts: Mapping[str, Any]) -> str:
    """The answers of training completions of which nobody can say whether they are right, as a sentence."""
    counts = facts.get("undecided") or {}
    if not counts:
        return ""
    why = ", ".join(f"{count:,} x {reason}" for reason, count in counts.items())
    return f" Undecided answers, counted as {facts.get('undecided_counts_as', 'missing')}: {why}."


def _facts(inputs: Mapping[str, Path], stage: str) -> dict[str, Any]:
    """What a finished stage says about itself in its manifest."""
    path = inputs[stage] / "manifest.json" if stage in inputs else None
    if path is None or not path.exists():
        return {}
    return dict(StageManifest.model_validate_json(path.read_text(encoding="utf-8")).result.summary)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
