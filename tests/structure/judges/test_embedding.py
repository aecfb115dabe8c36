"""The embedding judge: cosine to probability; answers by rules."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rlkd.errors import CheckpointError, UserError
from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.judges.embedding import EmbeddingJudge, sentence_transformer

VECTORS = {"east": [2.0, 0.0], "north": [0.0, 1.0], "northeast": [3.0, 3.0], "zero": [0.0, 0.0]}


class Rules:
    name = "rules"

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        return [
            None
            if pair.student_step.answer == "?"
            else PairVerdict(0.0, 0.0, float(pair.teacher_step.answer == pair.student_step.answer))
            for pair in pairs
        ]


def judge(pairs: Sequence[StepPair], calls: list[list[str]] | None = None) -> list[PairVerdict | None]:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        if calls is not None:
            calls.append(list(texts))
        return [VECTORS[text] for text in texts]

    return asyncio.run(EmbeddingJudge(embed, "toy", Rules(), midpoint=0.5, slope=10.0).judge(pairs))


def test_similarity_becomes_probability(pair: Callable[..., StepPair]) -> None:
    calls: list[list[str]] = []
    [first, second] = judge([pair("east", "northeast", ("1", "1")), pair("east", "north", ("1", "2"))], calls)
    # cos(45 deg) = 0.7071: 1 / (1 + exp(-10 * 0.2071)) = 0.8880; cos(90 deg) = 0: 1 / (1 + exp(5)) = 0.0067
    assert first is not None
    assert second is not None
    assert (first.p_intent, first.p_sub_problem, first.p_answer) == pytest.approx(
        (0.8880, 0.8880, 1.0), abs=1e-4
    )
    assert (second.p_sub_problem, second.p_answer) == pytest.approx((1 / (1 + math.exp(5)), 0.0))
    assert calls == [["east", "northeast", "north"]]  # each text once


def test_meta_reasoning_decides_the_intent(pair: Callable[..., StepPair]) -> None:
    [verdict] = judge([pair("east", "east", metas=("north", "east"))])
    assert verdict is not None
    assert verdict.p_intent < 0.01
    assert verdict.p_sub_problem == 1.0


def test_empty_sides_and_missing_answers(pair: Callable[..., StepPair]) -> None:
    assert judge([]) == []
    [empty, missing] = judge([pair("east", ""), pair("east", "east", ("1", "?"))])
    assert empty == PairVerdict(0.0, 0.0, 1.0)
    assert missing is None


def test_a_model_that_gives_no_direction(pair: Callable[..., StepPair]) -> None:
    with pytest.raises(CheckpointError, match="zero or not finite"):
        judge([pair("east", "zero")])


def test_the_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    embed = sentence_transformer("some/model")  # nothing is loaded yet
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"pip install 'rlkd\[embedding\]'"):
        embed(["a"])


def test_a_sentence_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    class Fake:
        def __init__(self, model: str, device: str) -> None:
            if model == "absent":
                raise OSError("absent is not a local folder\nmore")

        def encode(self, texts: list[str], **options: Any) -> Any:
            import numpy

            return numpy.array([VECTORS[text] for text in texts])

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Fake))
    assert sentence_transformer("toy")(["north"]) == [[0.0, 1.0]]
    with pytest.raises(CheckpointError, match=r"absent is not a local folder\)"):
        sentence_transformer("absent")(["north"])
