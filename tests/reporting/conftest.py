"""Folders of finished stages, as the pipeline leaves them: small, made up, and realistic."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlkd.evaluation.metrics import Resampling, build_report, headline
from rlkd.io import write_json_atomic, write_rows
from rlkd.rewards.ledger import Ledger
from schemas.alignment import StepMatch
from schemas.artifact import RunManifest, StageEntry, StageManifest, StageResult
from schemas.config.pipeline import PipelineConfig
from schemas.evaluation import ProblemOutput, SampleCompletion, SampleProblem, SampleStep
from schemas.rollout import RewardRecord
from schemas.trace import TeacherTrace

SKILL = {"base": 0.22, "warm_start": 0.6, "rlkd": 0.88}
TEACHER = (
    "To find the shells, I need the pebbles and the leaves. The pebbles are 4 + 3 = 7. "
    "The leaves are 2 * 7 = 14. The shells are 14 - 5 = 9.\nThe answer is 9."
)


def outputs_of(
    skill: dict[str, float],
    test: int = 60,
    ood: int = 30,
    domains: tuple[str, ...] = ("arithmetic", "logic"),
    seed: int = 0,
) -> list[ProblemOutput]:
    """Outputs of students of a given skill: harder problems and other domains go worse."""
    rows = []
    for split, count, levels in (("test", test, (3, 4, 5)), ("ood", ood, (6, 7))):
        for i in range(count):
            luck = random.Random(f"{seed}/{split}/{i}")
            level, domain = levels[i % len(levels)], domains[i % len(domains)]
            draw, samples = luck.random(), 8 if i % 3 == 0 else 0
            for name, value in skill.items():
                chance = max(0.0, value - 0.07 * (level - 3) - 0.1 * (domain == "logic"))
                right = draw < chance
                spread = luck.random()
                structure = min(
                    1.0, max(0.0, (0.55 + 0.45 * value if right else 0.5 * value) + 0.3 * (spread - 0.5))
                )
                rows.append(
                    ProblemOutput(
                        checkpoint=name,  # type: ignore[arg-type]
                        split=split,  # type: ignore[arg-type]
                        problem_id=f"{split}-{i}",
                        domain=domain,
                        difficulty=level,
                        completion="The answer is 9.",
                        answer="9",
                        correct=right,
                        structure=None if i == 7 else round(structure, 4),
                        format=0.0 if spread < 0.1 * (1 - value) else 1.0,
                        tokens=int(60 + 20 * spread + 9 * level),
                        finish_reason="length" if spread < 0.12 * (1 - value) else "stop",
                        samples=samples,
                        correct_samples=round(samples * chance),
                    )
                )
    return rows


def spans(text: str, parts: list[tuple[str, int | None, float]]) -> tuple[SampleStep, ...]:
    """Steps by the text that they cover, with their partner and how equal the answers are."""
    steps = []
    for i, (part, partner, equal) in enumerate(parts):
        start = text.index(part)
        verdict = StepMatch(
            index=i, teacher_path=0, teacher_step=partner, p_intent=0.97, p_sub_problem=0.94, p_answer=equal
        )
        steps.append(
            SampleStep(
                index=i,
                start=start,
                end=start + len(part),
                partner=partner,
                verdict=None if partner is None else verdict,
            )
        )
    return tuple(steps)


def sample(kind: str = "gained", split: str = "test", i: int = 3) -> SampleProblem:
    """A problem with three completions: lost, with a slip, and right."""
    base = "The crabs are 5 + 6 = 11. The stones are 11 + 2 = 13. The gulls are 13 - 4 = 9. The kelp is 9 + 9 = 18"
    warm = (
        "To find the shells, I need the leaves. The crabs are 5 + 6 = 11. The pebbles are 4 + 3 = 7. "
        "The leaves are 2 * 7 = 12. The shells are 12 - 5 = 7.\nThe answer is 7."
    )
    return SampleProblem(
        problem_id=f"{split}-{i}",
        split=split,  # type: ignore[arg-type]
        question="There are 4 buckets and 3 spades. The pebbles are as many as the buckets and the spades together. The crabs are "
        "6 more than the 5 nets. The leaves are twice the pebbles. The shells are 5 fewer than the leaves. How many shells are there?",
        answer="9",
        kind=kind,  # type: ignore[arg-type]
        domain="arithmetic",
        difficulty=3,
        teacher_path=TEACHER,
        teacher_steps=spans(
            TEACHER,
            [
                ("The pebbles are 4 + 3 = 7.", 0, 1.0),
                ("The leaves are 2 * 7 = 14.", 1, 1.0),
                ("The shells are 14 - 5 = 9.", 2, 1.0),
            ],
        ),
        completions=(
            SampleCompletion(
                checkpoint="base",
                text=base,
                correct=False,
                structure=0.0,
                steps=spans(
                    base,
                    [
                        ("The crabs are 5 + 6 = 11.", None, 0),
                        ("The stones are 11 + 2 = 13.", None, 0),
                        ("The gulls are 13 - 4 = 9.", None, 0),
                    ],
                ),
            ),
            SampleCompletion(
                checkpoint="warm_start",
                text=warm,
                correct=False,
                structure=0.61,
                steps=spans(
                    warm,
                    [
                        ("The crabs are 5 + 6 = 11.", None, 0),
                        ("The pebbles are 4 + 3 = 7.", 0, 1.0),
                        ("The leaves are 2 * 7 = 12.", 1, 0.02),
                        ("The shells are 12 - 5 = 7.", 2, 0.03),
                    ],
                ),
            ),
            SampleCompletion(
                checkpoint="rlkd",
                text=TEACHER,
                correct=True,
                structure=1.0,
                steps=spans(
                    TEACHER,
                    [
                        ("The pebbles are 4 + 3 = 7.", 0, 1.0),
                        ("The leaves are 2 * 7 = 14.", 1, 1.0),
                        ("The shells are 14 - 5 = 9.", 2, 1.0),
                    ],
                ),
            ),
        ),
    )


def write_ledger(folder: Path, steps: int, groups: int = 4, size: int = 4) -> None:
    """A ledger whose rewards rise; some groups without difference, some rewards missing."""
    ledger = Ledger(folder)
    luck = random.Random(1)
    for step in range(steps):
        skill = 0.35 + 0.55 * step / max(1, steps - 1)
        for group in range(groups):
            same = luck.random() < 0.1 + 0.3 * skill
            for k in range(size):
                missing = luck.random() < 0.01
                outcome = 1.0 if same else float(luck.random() < skill)
                structure = 1.0 if same else min(1.0, skill * (0.6 + 0.4 * outcome) + 0.1 * luck.random())
                reward = None if missing else 0.1 + 0.9 * (structure + outcome) / 2
                ledger.add(
                    [
                        RewardRecord(
                            step=step,
                            group=group,
                            problem_id=f"train-{step * groups + group}",
                            completion="The answer is 9.",
                            tokens=80 + k,
                            finish_reason="length" if luck.random() < 0.2 * (1 - skill) else "stop",
                            components={
                                "structure": None if missing else structure,
                                "outcome": outcome,
                                "format": 1.0,
                            },
                            reward=reward,
                            missing=("structure",) if missing else (),
                        )
                    ]
                )
    ledger.flush()


def manifest(folder: Path, stage: str, seconds: float, peak: float) -> None:
    """Completes a stage folder."""
    write_json_atomic(
        folder / "manifest.json",
        StageManifest(
            stage=stage,  # type: ignore[arg-type]
            identity="0" * 64,
            stage_version=1,
            sha256=stage,
            files={},
            inputs={},
            config={},
            result=StageResult(summary=FACTS.get(stage, {})),
            seconds=seconds,
            peak_rss_mb=peak,
            created_at="2026-01-01T00:00:00Z",
            run="first",
        ),
    )


FACTS: dict[str, dict[str, Any]] = {
    "traces": {"teacher": "world"},
    "structures": {
        "decomposer": "world@1",
        "structures": 20,
        "missing": 0,
        "without_steps": 1,
        "steps_mean": 3.25,
    },
    "warm_start": {
        "traces": 64,
        "validation_traces": 100,
        "steps": 60,
        "best_step": 60,
        "long_prompts": 1,
        "long_completions": 2,
    },
    "rl": {"problems": 64, "steps": 100, "completions": 12800, "without_structure": 0},
}
COSTS = {
    "data": (1.4, 310.0),
    "traces": (2.2, 320.0),
    "structures": (0.6, 150.0),
    "warm_start": (48.0, 790.0),
    "rl": (212.0, 1240.0),
    "evaluate": (39.0, 880.0),
}


def make_stages(
    root: Path, skill: dict[str, float] | None = None, test: int = 60, ood: int = 30, steps: int = 12
) -> dict[str, Path]:
    """All stage folders but the report's."""
    inputs = {name: root / name for name in COSTS}
    for folder in inputs.values():
        folder.mkdir(parents=True)
    write_json_atomic(
        inputs["data"] / "summary.json",
        {
            "loaded": 2412,
            "dropped": {"near_duplicate": 31, "overlaps_evaluation": 9, "malformed": 2},
            "kept": {"train": 1770, "validation": 100, "test": test, "ood": ood},
            "unused": 40,
            "source": "world",
            "notes": ["problems are made by a generator that repeats none"],
        },
    )
    accepted = [
        TeacherTrace(
            id=f"t-{i}/0", problem_id=f"t-{i}", teacher="world", path=TEACHER, answer="9", accepted=True
        )
        for i in range(20)
    ]
    write_rows(inputs["traces"] / "accepted.jsonl", accepted)
    rejected = [row.model_copy(update={"accepted": False, "reason": "wrong answer"}) for row in accepted[:3]]
    write_rows(inputs["traces"] / "rejected.jsonl", rejected)
    warm = [{"step": s, "loss": 2.2 / (1 + s / 9) + 0.05 * (s % 3)} for s in range(1, 61, 1)]
    warm += [
        {"step": s, "eval_loss": 2.1 / (1 + s / 9) + 0.16 + (0.004 * max(0, s - 40))}
        for s in range(10, 61, 10)
    ]
    (inputs["warm_start"] / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in warm))
    write_ledger(inputs["rl"] / "ledger", steps)
    (inputs["rl"] / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": s, "kl": 0.01 * s}) + "\n" for s in range(steps))
    )
    rows = outputs_of(skill or SKILL, test, ood)
    write_rows(inputs["evaluate"] / "outputs.jsonl", rows)
    report = build_report(rows, (1, 8), Resampling(resamples=300))
    write_json_atomic(inputs["evaluate"] / "eval_report.json", report)
    picked = [sample(), sample("both_wrong", i=5), sample("both_right", i=8), sample("lost", "ood", i=2)]
    write_rows(inputs["evaluate"] / "samples.jsonl", picked)
    assert headline(report)
    for name, (seconds, peak) in COSTS.items():
        manifest(inputs[name], name, seconds, peak)
    return inputs


def make_config(**values: Any) -> PipelineConfig:
    """The configuration of the made-up run."""
    return PipelineConfig.model_validate(
        {
            "name": "demo",
            "description": "A small student, before and after RLKD.",
            "data": {"type": "world"},
            **values,
        }
    )


def make_run(config: PipelineConfig, **values: Any) -> RunManifest:
    """A run that reused the first stages."""
    stages = tuple(
        StageEntry(
            name=name,  # type: ignore[arg-type]
            status="reused" if name in ("data", "traces", "structures", "warm_start") else "done",
            seconds=seconds,
            peak_rss_mb=peak,
            made_by="first" if name in ("data", "traces", "structures", "warm_start") else "demo",
        )
        for name, (seconds, peak) in {**COSTS, "report": (3.1, 420.0)}.items()
    )
    return RunManifest.model_validate(
        {
            "name": config.name,
            "config": config.model_dump(mode="json"),
            "config_digest": "4be1c0ffee" * 6,
            "store": "runs/.store",
            "stages": stages,
            "status": "done",
            "started_at": "2026-01-02T03:04:05Z",
            "wall_seconds": 268.4,
            "mlflow_run_id": "0f9a3c5b7d2e4f60",
            **values,
        }
    )


@pytest.fixture
def stages(tmp_path: Path) -> dict[str, Path]:
    return make_stages(tmp_path / "store")


@pytest.fixture
def config_of() -> Callable[..., PipelineConfig]:
    return make_config


@pytest.fixture
def run_of() -> Callable[..., RunManifest]:
    return make_run


@pytest.fixture
def students() -> Callable[..., list[ProblemOutput]]:
    return outputs_of


@pytest.fixture
def sample_of() -> Callable[..., SampleProblem]:
    return sample


@pytest.fixture
def stage_folders() -> Callable[..., dict[str, Path]]:
    return make_stages
