"""Where problems come from and how they are cleaned and split."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from schemas.base import ADDED, OPERATIONAL, Count, Fraction, JsonValue, Positive, Schema
from schemas.config.plugin import PythonObject
from schemas.config.world import WorldSettings
from schemas.problem import Split


class SplitSizes(Schema):
    """How many problems each split keeps."""

    train: Positive | None = Field(default=None, description="Training problems; null keeps all.")
    validation: Count = Field(
        default=100, description="Validation problems; taken out of train where the source has none."
    )
    test: Positive | None = Field(
        default=None, description="Test problems; null keeps all that the source has."
    )
    ood: Count = Field(default=0, description="Problems of the harder out-of-distribution test; 0 for none.")


class DeduplicationConfig(Schema):
    """Removal of exact and near duplicates (MinHash over word shingles)."""

    enabled: bool = Field(default=True, description="Whether duplicates are dropped.")
    threshold: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Jaccard similarity from which two questions with the same numbers are near duplicates (with other numbers they are two problems).",
    )
    shingle: Positive = Field(default=3, description="Words per shingle.")
    permutations: int = Field(
        default=128, ge=16, description="MinHash permutations; more is finer and slower."
    )


class DecontaminationConfig(Schema):
    """Removal of training problems that overlap the evaluation splits."""

    enabled: bool = Field(default=True, description="Whether overlapping training problems are dropped.")
    ngram: int = Field(
        default=13,
        ge=3,
        description="A training question that shares this many consecutive words with an evaluation question is dropped.",
    )


class DataCommon(Schema):
    """Settings that every source shares."""

    sizes: SplitSizes = Field(default=SplitSizes(), description="How many problems each split keeps.")
    deduplicate: DeduplicationConfig = Field(default=DeduplicationConfig(), description="Duplicate removal.")
    decontaminate: DecontaminationConfig = Field(
        default=DecontaminationConfig(),
        description="Removal of training problems that overlap evaluation problems.",
    )
    max_malformed_share: Fraction = Field(
        default=0.01,
        description="Share of rows that may be malformed (skipped and counted) before the stage fails.",
    )


class Columns(Schema):
    """Which column of the source holds what."""

    question: str = Field(default="question", description="Column with the question.")
    answer: str = Field(
        default="answer",
        description="Column with the reference answer, or with a text that answer_pattern reads it from.",
    )
    traces: tuple[str, ...] = Field(
        default=(), description="Columns with teacher paths; a list-valued column gives several."
    )
    id: str | None = Field(
        default=None, description="Column with the id; null makes ids from the source name and row number."
    )
    domain: str | None = Field(
        default=None, description="Column with the domain; null uses `domain` for all."
    )
    difficulty: str | None = Field(default=None, description="Column with a whole-number difficulty.")
    cluster: Annotated[str | None, ADDED] = Field(
        default=None,
        description="Column that names what problems share (a passage, a template): intervals are over clusters of them.",
    )


class TableData(DataCommon):
    """Settings that file and hub sources share."""

    columns: Columns = Field(default=Columns(), description="Column mapping.")
    answer_pattern: str | None = Field(
        default=None,
        description="Regular expression whose first group is the answer inside the answer column (its last match counts), e.g. '####\\s*(.+)'.",
    )
    domain: str = Field(
        default="math", min_length=1, description="Domain of every problem without a domain column."
    )

    @field_validator("answer_pattern")
    @classmethod
    def _has_a_group(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groups
            except re.error as error:
                raise ValueError(f"{value!r} is no regular expression ({error})") from None
            if not groups:
                raise ValueError(f"{value!r} has no group; put parentheses around the answer")
        return value


class WorldData(Schema):
    """Problems made by the built-in world, in the sizes that `world` states.

    No graph occurs twice, so nothing is left to deduplicate or decontaminate: by their words all of
    its questions overlap.
    """

    type: Literal["world"] = Field(default="world", description="Built-in world.")
    world: WorldSettings = Field(default=WorldSettings(), description="What its problems look like.")


class FileData(TableData):
    """A local file, or a folder with one file per split (JSONL, JSON, CSV or Parquet)."""

    type: Literal["file"] = Field(default="file", description="Local file or folder.")
    path: str = Field(
        description="A file (split by seed) or a folder holding `files`; environment variables such as $RLKD_DATA are expanded."
    )
    files: dict[Split, str] = Field(
        default_factory=dict,
        description="File of each split inside the folder, e.g. {train: train.jsonl, test: test.jsonl}.",
    )
    homepage: Annotated[str, OPERATIONAL] = Field(
        default="", description="Where the data can be had; named in the error when it is absent."
    )

    @model_validator(mode="after")
    def _has_train(self) -> FileData:
        if self.files and "train" not in self.files:
            raise ValueError(
                "files names no train file; add one, or leave files out and give a single file as path"
            )
        return self


class HubData(TableData):
    """A Hugging Face dataset by id (or a local dataset folder)."""

    type: Literal["hub"] = Field(default="hub", description="Hugging Face dataset.")
    dataset: str = Field(description="Dataset id, or a local folder that `datasets.load_dataset` can read.")
    subset: str | None = Field(default=None, description="Configuration name of the dataset.")
    revision: str | None = Field(
        default=None, description="Commit or tag; pin it for runs that must come out the same."
    )
    splits: dict[Split, str] = Field(
        default={"train": "train", "test": "test"}, description="Dataset split behind each of our splits."
    )

    @model_validator(mode="after")
    def _has_train(self) -> HubData:
        if "train" not in self.splits:
            raise ValueError("splits names no train split; add one")
        return self


class GymData(DataCommon):
    """A reasoning-gym dataset with its own verifier; for evaluation where it carries no solution steps."""

    with_steps: ClassVar[frozenset[str]] = frozenset({"gsm_symbolic"})
    """Datasets whose problems carry solution steps (``metadata.answer_cot``), which can teach."""

    type: Literal["reasoning_gym"] = Field(
        default="reasoning_gym", description="Procedural reasoning-gym dataset."
    )
    dataset: str = Field(description="Name of the reasoning-gym dataset, e.g. 'chain_sum'.")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="Settings of that dataset.")


def gym_dataset(name: str) -> str | None:
    """Returns the dataset of reasoning-gym that a benchmark's name means; ``None`` where it means another benchmark.

    Example:
        >>> gym_dataset("reasoning_gym/chain_sum")
        'chain_sum'
    """
    prefix = "reasoning_gym/"
    return name.removeprefix(prefix) if name.startswith(prefix) else None


class BenchmarkData(DataCommon):
    """A benchmark by name: its columns, answers and verifier are known (rlkd/data/benchmarks)."""

    type: Literal["benchmark"] = Field(default="benchmark", description="A benchmark by name.")
    name: str = Field(description="Its name, e.g. gsm8k; reasoning_gym/NAME is a dataset of reasoning-gym.")
    path: str | None = Field(
        default=None,
        description="Your own copy, a file or a folder; null takes $RLKD_DATA where the benchmark lies there, else the hub.",
    )


class PythonData(PythonObject, DataCommon):
    """Your own source of problems (the interface is rlkd.data.sources.Source)."""

    kind: ClassVar[str] = "source"
    protocol: ClassVar[str] = "rlkd.data.sources.base:Source"


PartSource = Annotated[FileData | HubData | GymData | BenchmarkData | PythonData, Field(discriminator="type")]


class MixturePart(Schema):
    """One source of a mixture.

    Its `sizes` say how many problems of each split it gives at most; a test or validation split that it lacks is taken out of its own
    training problems. `deduplicate.enabled: false` and `decontaminate.enabled: false` compare its problems with other parts only; the other
    settings of these two are the mixture's.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Its name, in front of the ids of its problems; once in a mixture.",
    )
    source: PartSource = Field(description="Where its problems come from, like a `data` section of its own.")
    weight: float | None = Field(
        default=None,
        gt=0,
        description="Its share of the training problems, relative to the other parts; all parts have one, or none.",
    )
    domain: str | None = Field(
        default=None,
        min_length=1,
        description="Domain of all of its problems; null keeps the one that each has.",
    )


class MixtureData(DataCommon):
    """Several sources at once, each problem with its domain; duplicates and overlap are removed across all of them.

    With weights `sizes.train` is divided by them; where it is null, each part gives as many problems as its weight allows without
    another part running short.
    """

    type: Literal["mixture"] = Field(default="mixture", description="Several sources at once.")
    parts: tuple[MixturePart, ...] = Field(min_length=1, description="The sources.")

    @model_validator(mode="after")
    def _consistent(self) -> MixtureData:
        names = [part.name for part in self.parts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two parts are named {twice}; give each a name of its own")
        lacking = [part.name for part in self.parts if part.weight is None]
        if lacking and len(lacking) < len(names):
            raise ValueError(
                f"{lacking[0]} has no weight, but another part has; give all of them one, or none"
            )
        return self


DataConfig = Annotated[
    WorldData | FileData | HubData | GymData | BenchmarkData | PythonData | MixtureData,
    Field(discriminator="type"),
]


def single_sources(data: DataConfig) -> dict[str, DataConfig]:
    """Lists the single sources of a data section by where they stand in it: ``data``, or ``data.parts.0.source``, ..."""
    if isinstance(data, MixtureData):
        return {f"data.parts.{i}.source": part.source for i, part in enumerate(data.parts)}
    return {"data": data}
