"""What RL optimises beside plain GRPO: whose samples are in a group, how advantages are made, a teacher that is a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import ADDED, Schema


class DistilConfig(Schema):
    """A teacher that is a local model: its probabilities of the student's own tokens are a reward for each token.

    The advantage of a token is c A - weight (log p_student - log p_teacher), A being GRPO's and c 1 or 0 (``reward``).
    """

    type: Literal["checkpoint"] = Field(
        default="checkpoint",
        description="A causal LM on this machine: other teachers do not say how likely each token of the student is.",
    )
    path: str = Field(
        description="Folder or hub id of a causal LM with the student's very tokenizer; or the folder of a run, whose last student it is."
    )
    revision: str | None = Field(default=None, description="Commit or tag on the hub.")
    weight: float = Field(default=1.0, gt=0, description="Weight of the reverse KL towards the teacher.")
    reward: bool = Field(
        default=True,
        description="Whether the combined reward counts as well (KDRL); false leaves the teacher alone (on-policy distillation).",
    )


class ObjectiveConfig(Schema):
    """Options of the objective; all off is GRPO on the combined reward."""

    normalize: Annotated[Literal["reward", "components"], ADDED] = Field(
        default="reward",
        description="What advantages are made of: the combined reward; or each component within its group by itself, then weighted (GDPO).",
    )
    resample: Annotated[int, ADDED] = Field(
        default=0,
        ge=0,
        description="Rounds in which groups whose rewards do not differ are replaced by groups of other problems (DAPO); 0 keeps them. "
        "Samples of all rounds count as sampled.",
    )
    weight: Annotated[Literal["equal", "frontier"], ADDED] = Field(
        default="equal",
        description="Weight of each group: the same; or p (1 - p), p being its share of right answers (its mean reward where no outcome is known), over "
        "the batch's mean.",
    )
    teacher_in_group: Annotated[bool, ADDED] = Field(
        default=False,
        description="Take the teacher's verified trace as one member of each group, off-policy (LUFFY).",
    )
    teacher_shaping: Annotated[float, ADDED] = Field(
        default=0.1,
        gt=0,
        description="Gamma of the teacher's member: its tokens count p / (p + gamma), which keeps improbable ones in.",
    )
    greedy_in_group: Annotated[bool, ADDED] = Field(
        default=False,
        description="Decode one member of each group greedily, so that what greedy decoding does is rewarded too.",
    )
    step_credit: Annotated[float, ADDED] = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How much less the steps count that are not to blame (advantage below 0: matched steps) or earned nothing (above 0: steps "
        "that match none of the teacher's); 1 leaves their tokens out.",
    )
    distil: Annotated[DistilConfig | None, ADDED] = Field(
        default=None, description="A teacher that is a model; null for none."
    )

    @model_validator(mode="after")
    def _go_together(self) -> ObjectiveConfig:
        if self.distil is not None and not self.distil.reward:
            others = [
                name
                for name, used in (
                    ("normalize", self.normalize != "reward"),
                    ("resample", self.resample > 0),
                    ("weight", self.weight != "equal"),
                    ("step_credit", self.step_credit > 0),
                    ("teacher_in_group", self.teacher_in_group),
                )
                if used
            ]
            if others:
                raise ValueError(
                    f"distil.reward is false, so that {', '.join(others)} would change nothing; set distil.reward, or leave "
                    "them at their defaults"
                )
        return self
