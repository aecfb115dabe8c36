"""``report.md``: the report's tables as Markdown, for terminals, pull requests and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlkd.reporting import benchmarks
from rlkd.reporting.html import config_yaml
from rlkd.reporting.labels import (
    CHECKPOINT_LABELS,
    KIND_LABELS,
    SPLIT_LABELS,
    duration,
    intervals_note,
    percent,
    problems_of,
    reason,
)
from rlkd.reporting.qualification import qualification_sentence, tables
from rlkd.reporting.tables import checkpoint_rows, difference_rows, pass_columns, stage_views
from schemas.artifact import RunManifest
from schemas.evaluation import EvalReport, SampleProblem
from schemas.report import QualificationContent, ReportContent

_TONES = {"good": "**+**", "bad": "**\N{MINUS SIGN}**", "unsure": "**?**", "plain": ""}


def render_markdown(content: ReportContent, run: RunManifest) -> str:
    """Renders the report of a run as Markdown (GitHub's tables)."""
    parts = [
        f"# {cell(content.title)}",
        cell(content.description),
        f"Run `{run.name}`: {run.status}, {duration(run.wall_seconds)}, seed {run.config.get('seed', 0)}, "
        f"configuration `{run.config_digest[:12]}`"
        + (f", MLflow run `{run.mlflow_run_id}`" if run.mlflow_run_id else ""),
        "## What happened",
        "\n".join(f"- {_TONES[s.tone]} {s.text}".replace("-  ", "- ") for s in content.headline)
        or "Nothing was evaluated in this run.",
        *(
            f"- **{stage.name} failed**: {cell(stage.note)}"
            for stage in stage_views(run)
            if stage.status == "failed"
        ),
    ]
    if content.evaluation is not None:
        parts += _evaluation(content.evaluation)
    if content.qualification is not None:
        parts += _qualification(content.qualification)
    if content.rewards or content.training_notes:
        parts += ["## Training", *(cell(note) for note in content.training_notes), *_rewards(content)]
    if content.quadrants:
        parts += _quadrants(content)
    if content.samples:
        parts += ["## Sample completions", *(_sample(sample) for sample in content.samples)]
    parts += _data(content)
    parts += [
        "## Stages",
        table(
            ("Stage", "Status", "Time", "Peak memory", "Note"),
            [(f"`{s.name}`", s.status, s.seconds, s.memory, s.note) for s in stage_views(run)],
        ),
        "## Reproduce",
        "The resolved configuration is below, and in `config.yaml` beside this file. From the folder that holds it "
        "(finished stages in the same store are reused; a run that was cut off goes on where it was):",
        fence(f"rlkd run config.yaml --output runs/{run.name}"),
        "<details><summary>Configuration, resolved</summary>",
        fence(config_yaml(run), "yaml"),
        "</details>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Renders a Markdown table; the first ``left`` columns are aligned left, the others right."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|" + "|".join("---" if i < left else "---:" for i in range(len(header))) + "|",
    ]
    lines += ["| " + " | ".join(cell(str(value)) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    """Escapes a text so that it stays in its table cell and does not turn into HTML."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split())


def fence(text: str, language: str = "") -> str:
    """Renders a code block with a fence longer than any in the text, so that no text can end it."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _evaluation(report: EvalReport) -> list[str]:
    parts = [
        "## Checkpoints",
        f"Greedy answers to held-out problems, {intervals_note(report)}.",
    ]
    ks = pass_columns(report)
    f1 = any(m.overall.f1 for m in report.checkpoints)
    for split, label in SPLIT_LABELS.items():
        rows = checkpoint_rows(report, split)
        if rows:
            parts += [
                f"### {label} ({problems_of(report, split, rows[0].n)})",
                table(
                    (
                        "Checkpoint",
                        "Accuracy",
                        "Structure",
                        *(("Word F1",) if f1 else ()),
                        *(f"pass@{k}" for k in ks),
                        "Format",
                        "Tokens",
                        "Cut off",
                    ),
                    [
                        (
                            r.label,
                            r.accuracy,
                            r.structure,
                            *((r.f1,) if f1 else ()),
                            *(r.pass_at.get(k, "\N{EN DASH}") for k in ks),
                            r.format,
                            r.tokens,
                            r.truncated,
                        )
                        for r in rows
                    ],
                ),
            ]
    parts += _benchmarks(report)
    differences = difference_rows(report)
    if differences:
        parts += [
            "### Differences on the same problems",
            table(
                ("Step", "Metric", "Problems", "Difference", f"{report.confidence:.0%} interval"),
                [(r.label, r.metric, f"{r.split} ({r.n})", r.text, r.span) for r in differences],
                left=3,
            ),
        ]
    for title, attribute in (("difficulty", "by_difficulty"), ("domain", "by_domain")):
        parts += _accuracy_by(report, title, attribute)
    return parts


def _benchmarks(report: EvalReport) -> list[str]:
    if not report.benchmarks:
        return []
    rows = benchmarks.difference_rows(report)
    return [
        "### Benchmarks",
        benchmarks.BENCHMARKS_NOTE,
        table(benchmarks.BENCHMARK_COLUMNS, benchmarks.benchmark_rows(report), left=2),
        *(f"- {cell(note)}" for note in benchmarks.benchmark_notes(report)),
        "Differences on the same problems:" if rows else "",
        table(benchmarks.DIFFERENCE_COLUMNS, rows, left=4) if rows else "",
    ]


def _accuracy_by(report: EvalReport, title: str, attribute: str) -> list[str]:
    """The accuracy of each checkpoint by difficulty or domain; nothing where there is only one."""
    rows = [
        (f"{SPLIT_LABELS[m.split]}, {name}", m.checkpoint, part.accuracy)
        for m in report.checkpoints
        for name, part in getattr(m, attribute).items()
    ]
    labels = list(dict.fromkeys(label for label, _, _ in rows))
    if len(labels) < 2:
        return []
    names = list(dict.fromkeys(m.checkpoint for m in report.checkpoints))
    found = {(label, name): f"{percent(value.mean)} ({value.n})" for label, name, value in rows}
    return [
        f"### Accuracy by {title}",
        table(
            ("Problems", *(CHECKPOINT_LABELS[name] for name in names)),
            [(label, *(found.get((label, name), "\N{EN DASH}") for name in names)) for label in labels],
        ),
    ]


def _qualification(content: QualificationContent) -> list[str]:
    found = tables(content)
    bias = table(
        ("The judge, asked about steps that are certainly different", "Mean P(yes)", "Says yes", "Pairs"),
        found.bias,
    )
    return [
        "## Qualification of the reward",
        cell(qualification_sentence(content).text),
        table(("AUROC for the solution being right", "Last step hidden", "Whole paths"), found.separation),
        table(("Right paths, changed", "The score", "Does so", "Paths", "Mean score"), found.changes, left=2),
        bias if found.bias else "",
        table(("Asked", "Found", "Threshold", "Verdict", "Cases", "Setting"), found.checks),
        "\n".join(f"- {cell(fact)}" for fact in found.facts),
    ]


def _rewards(content: ReportContent) -> list[str]:
    def number(value: float | None) -> str:
        return "\N{EN DASH}" if value is None else f"{value:.3f}"

    if not content.rewards:
        return []
    return [
        table(
            (
                "RL steps",
                "Completions",
                "Reward",
                "Structure",
                "Outcome",
                "Groups",
                "Groups without a signal",
                "Cut at the limit",
                "Missing",
            ),
            [
                (
                    r.label,
                    r.completions,
                    number(r.reward),
                    number(r.structure),
                    number(r.outcome),
                    r.groups,
                    r.no_difference,
                    r.truncated,
                    r.missing,
                )
                for r in content.rewards
            ],
        ),
    ]


def _quadrants(content: ReportContent) -> list[str]:
    return [
        "## Structure and outcome",
        table(
            (
                "Completions",
                "n",
                "Right, teacher's way",
                "Right, another way",
                "Wrong, teacher's way",
                "Wrong, another way",
            ),
            [
                (
                    q.label,
                    q.n,
                    *(
                        percent(v)
                        for v in (
                            q.right_structured,
                            q.right_unstructured,
                            q.wrong_structured,
                            q.wrong_unstructured,
                        )
                    ),
                )
                for q in content.quadrants
            ],
        ),
    ]


def _data(content: ReportContent) -> list[str]:
    rows = content.rows
    return [
        "## Data",
        table(
            ("Rows", "Count"),
            [
                ("problems loaded", rows.loaded),
                *((f"dropped: {reason(name)}", count) for name, count in rows.dropped.items()),
                *((f"kept: {name}", count) for name, count in content.kept.items()),
                ("traces accepted", rows.traces_accepted),
                ("traces rejected", rows.traces_rejected),
                *((f"rejected: {reason(name)}", count) for name, count in content.rejected.items()),
            ],
        ),
        "\n".join(f"- {cell(note)}" for note in content.data_notes),
    ]


def _sample(sample: SampleProblem) -> str:
    verdicts = {True: "right", False: "wrong", None: "not judged"}
    parts = [
        f"### {KIND_LABELS[sample.kind]} ({SPLIT_LABELS[sample.split].lower()}, {cell(sample.problem_id)})",
        fence(sample.question),
        f"Teacher (answer {cell(sample.answer)}):",
        fence(sample.teacher_path),
    ]
    for completion in sample.completions:
        score = "" if completion.structure is None else f", structure {completion.structure:.2f}"
        parts += [
            f"{CHECKPOINT_LABELS[completion.checkpoint]} ({verdicts[completion.correct]}{score}):",
            fence(completion.text),
        ]
    return "\n\n".join(parts)
