"""What a qualification found: ``qualification.json`` of the stage, and the verdict on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import SCHEMA_VERSION, Schema

ChangeName = Literal[
    "paraphrased",
    "steps_swapped",
    "step_scrambled",
    "irrelevant_inserted",
    "irrelevant_in_wrong",
    "step_repeated",
    "path_repeated",
    "problem_copied",
    "judge_addressed",
    "value_wrong",
    "end_wrong",
    "last_step_only",
    "second_half_only",
    "empty",
]
Expected = Literal["falls", "stays", "does not rise", "is 0"]
QuestionName = Literal["intent", "sub_problem", "answer"]


class LabelledPair(Schema):
    """A solution whose label is known, beside the teacher's paths. No path states a final answer: what was stated stands beside it, as in RL.

    Attributes:
        group: The problem: pairs of one group are resampled together.
        problem: The problem's text.
        teachers: The teacher's paths, at least one.
        student: The solution's path.
        right: Whether its answer is right.
        domain: Reasoning domain.
        answer: The answer that the solution states; ``None`` where none is.
        teacher_answers: What each of the teacher's paths states; empty where that is left off.
    """

    group: str
    problem: str
    teachers: tuple[str, ...] = Field(min_length=1)
    student: str
    right: bool
    domain: str = "math"
    answer: str | None = None
    teacher_answers: tuple[str | None, ...] = ()

    def without_answers(self, **changes: object) -> LabelledPair:
        """This pair with nothing stated, and with other changes."""
        return self.model_copy(update={"answer": None, "teacher_answers": (), **changes})


class PairScore(Schema):
    """A pair's scores (``scores.jsonl``); ``None`` is missing, or, hidden, left out."""

    group: str
    right: bool
    full: float | None
    hidden: float | None


class ChangedPath(Schema):
    """One changed path and what the score made of it (``changes.jsonl``)."""

    group: str
    change: ChangeName
    before: float | None
    after: float | None
    as_expected: bool | None
    path: str


class Auroc(Schema):
    """The chance that a right solution scores above a wrong one (ties count half), with its interval."""

    value: float
    low: float
    high: float


class Separation(Schema):
    """How well measures tell right from wrong over the same pairs.

    Attributes:
        pairs: Pairs with a score.
        right: Right ones among them.
        structure: The configured structure score; ``None`` without both right and wrong pairs.
        baselines: The trivial measures, by name.
        best_baseline: The strongest of them.
        gap: Structure less the strongest, with its interval (both resampled together).
    """

    pairs: int
    right: int
    structure: Auroc | None = None
    baselines: dict[str, Auroc] = Field(default_factory=dict)
    best_baseline: str = ""
    gap: Auroc | None = None


class Sensitivity(Schema):
    """What one kind of change does to the score.

    Attributes:
        change: The change.
        expected: What a good score does.
        n: Paths that could be changed so and were scored.
        share: Share of them that did as expected; ``None`` where there are none.
        mean_before, mean_after: Mean scores.
    """

    change: ChangeName
    expected: Expected
    n: int
    share: float | None = None
    mean_before: float | None = None
    mean_after: float | None = None


class YesBias(Schema):
    """What a judge says about steps that are certainly different.

    Attributes:
        question: One of its three questions.
        n: Pairs with a verdict.
        mean: Mean probability of yes.
        share: Share of verdicts of at least one half.
    """

    question: QuestionName
    n: int
    mean: float
    share: float


class Repeatability(Schema):
    """The same pairs scored twice, nothing cached.

    Attributes:
        n: Pairs.
        unchanged: Share whose two scores differ by at most 0.02 (missing once and not twice is a difference).
        identical: Share whose two scores are the same.
        largest: Largest difference.
    """

    n: int
    unchanged: float
    identical: float
    largest: float


class Cost(Schema):
    """Cost of scoring 1,000 completions with nothing cached, the teachers decomposed beforehand.

    Attributes:
        completions: Completions that it was measured on.
        seconds: Wall time.
        requests: Requests to models.
        prompt_tokens, completion_tokens: As the backends count them; ``None`` where none says.
    """

    completions: int
    seconds: float
    requests: float = 0.0
    prompt_tokens: float | None = None
    completion_tokens: float | None = None


class Qualification(Schema):
    """Everything that was measured; thresholds are held against it afterwards.

    Attributes:
        source: Where the pairs come from, in words.
        notes: What a reader should know of them.
        decomposer, judge, alignment: Names of what was qualified.
        pairs: Labelled pairs.
        right: Right ones among them.
        full, hidden: How the score tells right from wrong, on whole paths and with the last step hidden.
        hidden_left_out: Pairs whose teacher has nothing left when the last step is hidden.
        sensitivities: What the score notices.
        yes_bias: One entry per question; empty where no pair of unrelated steps could be drawn.
        repeatability: ``None`` where nothing could be scored.
        paths, parse_failures: Paths that hold steps, and those among them that were not read.
        decomposer_faults: Paths on which the decomposer failed.
        scored, missing: Scores asked for, and those that are missing.
        cost: ``None`` where nothing could be scored.
        confidence: Coverage of the intervals.
    """

    source: str
    notes: tuple[str, ...] = ()
    decomposer: str
    judge: str
    alignment: str
    pairs: int
    right: int
    full: Separation
    hidden: Separation
    hidden_left_out: int = 0
    sensitivities: tuple[Sensitivity, ...] = ()
    yes_bias: tuple[YesBias, ...] = ()
    repeatability: Repeatability | None = None
    paths: int = 0
    parse_failures: int = 0
    decomposer_faults: int = 0
    scored: int = 0
    missing: int = 0
    cost: Cost | None = None
    confidence: float = 0.95
    schema_version: int = SCHEMA_VERSION


class Check(Schema):
    """One threshold held against its figure.

    Attributes:
        name: Name of the setting in ``qualify.thresholds``.
        label: What it asks, in words.
        value: The figure; ``None`` where it could not be measured.
        limit: The threshold.
        at_least: Whether the figure must reach the limit; otherwise it must not exceed it.
        status: ``unmeasured`` where there are too few cases.
        cases: Cases behind the figure.
        broken: Whether missing it says that the reward is broken, and not only weak.
    """

    name: str
    label: str
    value: float | None
    limit: float
    at_least: bool
    status: Literal["passed", "missed", "unmeasured"]
    cases: int = 0
    broken: bool = False


class Verdict(Schema):
    """The verdict on a qualification under a configuration's thresholds.

    Attributes:
        passed: No threshold is missed.
        refused: RL may not start.
        action: What a missed threshold does (``qualify.action``).
        checks: Every threshold that is asked for.
    """

    passed: bool
    refused: bool
    action: Literal["auto", "refuse", "warn"]
    checks: tuple[Check, ...] = ()
