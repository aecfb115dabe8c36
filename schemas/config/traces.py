"""Who teaches, and how many traces are kept."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from schemas.base import ADDED, OPERATIONAL, Positive, Schema
from schemas.config.endpoint import LocalEndpoint, OpenAIEndpoint
from schemas.config.plugin import PythonObject
from schemas.config.student import StudentConfig


class Routed(Schema):
    """What every teacher has: which problems it gets."""

    domains: Annotated[tuple[str, ...], ADDED] = Field(
        default=(), description="Domains whose problems it teaches (`domain` of a problem); empty takes all."
    )


class WorldTeacher(Routed):
    """The solver of the built-in world."""

    type: Literal["world"] = Field(default="world", description="The built-in world's own solver.")
    branches: Literal["first", "random"] = Field(
        default="first",
        description="Which of the open sub-problems it takes up next: the first one stated, always the same; or any, drawn by "
        "seed, as a language model does: each trace is then one walk of several through the tree of sub-problems.",
    )


class ColumnTeacher(Routed):
    """Paths that came with the dataset (`data.columns.traces`)."""

    type: Literal["column"] = Field(default="column", description="Teacher paths from the dataset's columns.")


class NoTeacher(Routed):
    """No traces: evaluation only, or RL on the outcome alone."""

    type: Literal["none"] = Field(
        default="none", description="No teacher: for evaluation, or outcome-only RL without a warm start."
    )


class Price(Schema):
    """What a million tokens cost."""

    prompt: float = Field(default=0.0, ge=0, description="Price of a million prompt tokens.")
    completion: float = Field(
        default=0.0, ge=0, description="Price of a million completion tokens, reasoning included."
    )
    currency: str = Field(default="USD", min_length=1, description="Currency, for the tables.")


class Budget(Schema):
    """What a teacher may cost; null is no limit. Answers that are already there cost nothing more, but count."""

    money: float | None = Field(default=None, gt=0, description="Most money, in the currency of the price.")
    tokens: Positive | None = Field(
        default=None, description="Most tokens, prompts and completions together."
    )
    requests: Positive | None = Field(default=None, description="Most requests; retries do not count.")


class SampledTeacher(Routed):
    """What every teacher that is a language model has in common."""

    attempts: Positive | None = Field(
        default=None,
        description="Most samples of a problem until traces.per_problem of them are verified; null takes traces.per_problem.",
    )
    temperature: float = Field(default=0.7, ge=0, description="0 is greedy: every sample would be the same.")
    max_tokens: Positive = Field(
        default=4096, description="Most tokens that one sample may have, reasoning included."
    )
    output: Literal["answer_line", "gsm8k", "boxed", "think_boxed"] | None = Field(
        default=None, description="How the teacher is asked to state its answer; null takes student.output."
    )
    prompt: str = Field(
        default="",
        description="Prompt with {question} in it; empty takes the one of the output form.",
    )
    system: str = Field(default="", description="System message; empty sends none.")
    reasoning: Literal["auto", "join", "drop"] = Field(
        default="auto",
        description="What becomes of a teacher's thoughts (reasoning_content or <think>): joined before its solution as "
        "<think>...</think>, or dropped; auto joins them for the output form think_boxed, and where the solution is the bare answer.",
    )
    price: Annotated[Price, OPERATIONAL] = Field(
        default=Price(), description="What tokens cost, for the budget and the tables."
    )
    budget: Annotated[Budget, OPERATIONAL] = Field(
        default=Budget(), description="Where the teacher stops; what was finished is kept."
    )
    answers: Annotated[str, OPERATIONAL] = Field(
        default="",
        description="Folder that keeps every answer for good, for all runs; empty takes $RLKD_CACHE/teachers, else runs/.cache/teachers.",
    )

    @model_validator(mode="after")
    def _prompt_holds_the_question(self) -> Self:
        if self.prompt and "{question}" not in self.prompt:
            raise ValueError("prompt has no {question}, so the teacher would not see the problem; put it in")
        return self


class EndpointTeacher(SampledTeacher):
    """A language model behind an OpenAI-compatible server."""

    type: Literal["endpoint"] = Field(
        default="endpoint", description="A language model behind an OpenAI-compatible server."
    )
    endpoint: OpenAIEndpoint = Field(description="The server and its model.")
    send_seed: bool = Field(
        default=True,
        description="Send a seed with each sample, so that a server that heeds it repeats itself; false for those that refuse it.",
    )


class LocalTeacher(SampledTeacher):
    """A language model in this process."""

    type: Literal["local"] = Field(
        default="local", description="A language model in this process (transformers)."
    )
    endpoint: LocalEndpoint = Field(description="The model.")


class StudentTeacher(SampledTeacher):
    """The student itself, as it is before training: its verified samples teach it (rejection-sampling self-training)."""

    type: Literal["student"] = Field(
        default="student", description="The student's own verified samples (rejection sampling)."
    )
    student: StudentConfig | None = Field(
        default=None, description="Model and prompt that are sampled; null takes the section student."
    )
    batch_size: Annotated[int, OPERATIONAL] = Field(
        default=64, ge=1, description="Most samples that are written at once."
    )

    @model_validator(mode="after")
    def _asked_as_a_student(self) -> Self:
        if self.prompt or self.system:
            raise ValueError(
                "the student is asked in its own words; set student.prompt or student.system instead of prompt and system here"
            )
        return self


class PythonTeacher(PythonObject, Routed):
    """Your own teacher (the interface is rlkd.data.teachers.Teacher)."""

    kind: ClassVar[str] = "teacher"
    protocol: ClassVar[str] = "rlkd.data.teachers:Teacher"


TeacherConfig = Annotated[
    WorldTeacher
    | ColumnTeacher
    | NoTeacher
    | EndpointTeacher
    | LocalTeacher
    | StudentTeacher
    | PythonTeacher,
    Field(discriminator="type"),
]


def _form(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Teachers = Annotated[
    Annotated[TeacherConfig, Tag("one")] | Annotated[tuple[TeacherConfig, ...], Tag("several")],
    Discriminator(_form),
]


class TracesConfig(Schema):
    """Teacher traces: how many, and how they are verified."""

    teacher: Teachers = Field(
        default=WorldTeacher(),
        description="Who writes the traces: one teacher, or a list. Each of several is asked for per_problem traces of every problem of its domains.",
    )
    problems: Positive | None = Field(
        default=None, description="Training problems that get traces (drawn by seed); null takes all."
    )
    per_problem: Positive = Field(default=1, description="Traces asked for per problem, of each teacher.")
    timeout_s: float = Field(
        default=5.0, gt=0, description="Longest time that one verification may take, in seconds."
    )

    @property
    def teachers(self) -> tuple[TeacherConfig, ...]:
        """The teachers, one or several."""
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)

    @property
    def taught(self) -> bool:
        """Whether there is a teacher at all."""
        return any(teacher.type != "none" for teacher in self.teachers)
