"""A language model as judge: yes or no to three questions about two steps (paper, section 3.2).

Differs from the paper's code: the verdict is the probability of "yes" from the first token's
log-probabilities where the server gives them, and otherwise the exact word, never a "no" found inside
"know"; whatever else comes back is missing; questions are asked concurrently and once, and only where the
answer matters (intent first).
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rlkd.completion.base import Completer, CompletionRequest, CompletionResult, Message, fault_kind, gather
from rlkd.errors import EndpointError
from rlkd.structure.backends.cache import CacheStats, DiskCache, RequestCache, open_cache
from rlkd.structure.backends.cached import probability
from rlkd.structure.backends.prompting import PROMPT_VERSION, data_block, judge_questions, prompt_text
from rlkd.structure.interfaces import PairVerdict, StepPair
from schemas.config.structure import CacheConfig, LLMJudgeConfig
from schemas.structure import ReasoningStep

log = logging.getLogger("rlkd.structure")

QuestionName = Literal["intent", "sub_problem", "answer"]
VerdictMode = Literal["auto", "logprobs", "exact"]
MIN_MASS = 0.5
"""Probability that the first token is some form of yes or no, below which a verdict is missing."""
MAX_BATCH = 64
"""Most questions in one request; the six steps of a sample against six of a teacher's make 36."""
LOOK_AHEAD = 2
"""Intents of a prefix that go into one request: the second is wasted where the first fails, but a round trip is saved."""
_MARGINS = " \t\r\n.,!:;*_`'\"()[]{}#\u2581\u0120"


@dataclass(frozen=True, slots=True)
class Question:
    """One question about two texts.

    Attributes:
        name: Which of the three.
        a: What the teacher's step says.
        b: What the student's step says.
    """

    name: QuestionName
    a: str
    b: str


class LLMJudge:
    """Judges pairs of steps with any model behind a :class:`~rlkd.completion.base.Completer`.

    Args:
        completer: The model.
        mode: ``logprobs`` asks for one token and reads its probabilities; ``exact`` reads the word; ``auto`` (the
            default) reads probabilities where they come and the word where they do not.
        batch: Ask a sample's questions of one kind together, up to ``MAX_BATCH`` in one request (read as exact words).
        min_intent: Probability of the same intent below which sub-problem and answer are not asked and count as 0,
            as in the paper; ``None`` asks all three always.
        max_chars: Characters of a step that are shown.
        disk: Disk cache of answers; ``None`` keeps them in memory only.

    Attributes:
        name: Model, prompt version and mode.
        faults: Questions without a verdict, by kind.
        last_fault: What went wrong last; empty where nothing did.
    """

    def __init__(
        self,
        completer: Completer,
        mode: VerdictMode = "auto",
        batch: bool = False,
        min_intent: float | None = 0.5,
        max_chars: int = 2000,
        disk: DiskCache | None = None,
    ) -> None:
        self.completer = completer
        self.mode = mode
        self.batch = batch
        self.min_intent = min_intent
        self.max_chars = max_chars
        how = "batch" if batch else mode
        self.name = f"llm:{completer.name}@{PROMPT_VERSION}:{how}:{max_chars}" + (
            f":gate{min_intent:g}" if min_intent is not None else ""
        )
        self.faults: Counter[str] = Counter()
        self.last_fault = ""
        # Answers do not depend on `min_intent`, so they are shared across values of `min_intent`.
        answers = f"llm:{completer.name}@{PROMPT_VERSION}:{how}:{max_chars}"
        self._requests: RequestCache[float] = RequestCache(
            "answer", answers, float, _probability, disk, memory=500_000
        )

    @property
    def stats(self) -> CacheStats:
        """What became of the questions."""
        return self._requests.stats

    async def judge(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Judges pairs, in order; ``None`` where a question that matters got no verdict."""
        if self.batch:
            return await self._judge_samples(pairs)
        return await gather([self._judge_one(pair) for pair in pairs])

    async def judge_prefix(self, pairs: Sequence[StepPair], threshold: float) -> list[PairVerdict | None]:
        """Judges a sample's pairs until its first step with another intent; see :mod:`rlkd.structure.judges.early_stop`."""
        intents: list[float | None] = []
        ahead = LOOK_AHEAD if self.batch else 1
        while len(intents) < len(pairs) and all(p is not None and p >= threshold for p in intents):
            intents += await self._ask(
                [question("intent", pair) for pair in pairs[len(intents) : len(intents) + ahead]]
            )
        left = next((i for i, p in enumerate(intents) if p is None or p < threshold), len(intents))
        intents = intents[: left + 1]
        if intents and intents[-1] is None:  # the sample's score is missing whatever the rest would say
            return [None] * len(intents)
        passing = [i for i, intent in enumerate(intents) if intent is not None and intent >= threshold]
        return await self._finish(pairs[: len(intents)], intents, passing)

    async def _judge_one(self, pair: StepPair) -> PairVerdict | None:
        [intent] = await self._ask([question("intent", pair)])
        [verdict] = await self._finish([pair], [intent], [0] if self._passes(intent) else [])
        return verdict

    async def _judge_samples(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        """Each sample by itself, all at once: no problem's steps stand in another's request."""
        own: dict[int, list[int]] = {}
        for i, pair in enumerate(pairs):
            own.setdefault(pair.sample, []).append(i)
        judged = await gather([self._judge_together([pairs[i] for i in sample]) for sample in own.values()])
        found = {
            i: verdict
            for sample, verdicts in zip(own.values(), judged, strict=True)
            for i, verdict in zip(sample, verdicts, strict=True)
        }
        return [found[i] for i in range(len(pairs))]

    async def _judge_together(self, pairs: Sequence[StepPair]) -> list[PairVerdict | None]:
        intents = await self._ask([question("intent", pair) for pair in pairs])
        return await self._finish(
            pairs, intents, [i for i, intent in enumerate(intents) if self._passes(intent)]
        )

    def _passes(self, intent: float | None) -> bool:
        return intent is not None and (self.min_intent is None or intent >= self.min_intent)

    async def _finish(
        self, pairs: Sequence[StepPair], intents: Sequence[float | None], passing: Sequence[int]
    ) -> list[PairVerdict | None]:
        """Asks the other two questions about the passing pairs and puts the verdicts together."""
        names: tuple[QuestionName, QuestionName] = ("sub_problem", "answer")
        answers = await self._ask([question(name, pairs[i]) for i in passing for name in names])
        rest = {i: (answers[2 * k], answers[2 * k + 1]) for k, i in enumerate(passing)}
        verdicts: list[PairVerdict | None] = []
        for i, intent in enumerate(intents):
            sub_problem, answer = rest.get(i, (0.0, 0.0))
            missing = intent is None or sub_problem is None or answer is None
            verdicts.append(None if missing else PairVerdict(intent, sub_problem, answer))  # type: ignore[arg-type]
        return verdicts

    async def _ask(self, questions: Sequence[Question]) -> list[float | None]:
        """Answers to questions, in order; texts that are the same, or of which one is empty, need no model."""
        cut = [Question(q.name, q.a[: self.max_chars], q.b[: self.max_chars]) for q in questions]
        answers = [_without_model(q) for q in cut]
        unsure = [i for i, answer in enumerate(answers) if answer is None]
        if not unsure:
            return answers
        keys = [self._requests.key([cut[i].name, cut[i].a, cut[i].b]) for i in unsure]

        async def make(wanted: list[int]) -> Sequence[float | None]:
            asked = [cut[unsure[i]] for i in wanted]
            if not self.batch or len(asked) == 1:
                return await gather([self._request(q) for q in asked])
            parts = [asked[i : i + MAX_BATCH] for i in range(0, len(asked), MAX_BATCH)]
            answered = await gather([self._request_batch(part) for part in parts])
            return [answer for part in answered for answer in part]

        for i, answer in zip(unsure, await self._requests.get(keys, make), strict=True):
            answers[i] = answer
        return answers

    async def _request(self, asked: Question) -> float | None:
        try:
            result = await self.completer.complete(judge_request(asked, self.mode))
        except EndpointError as fault:
            self._missing(fault_kind(fault), str(fault))
            return None
        answer = read_verdict(result, self.mode)
        if answer is None:
            self._missing("no_verdict", repr(result.text[:80]))
        return answer

    async def _request_batch(self, asked: Sequence[Question]) -> list[float | None]:
        try:
            result = await self.completer.complete(batch_request(asked))
        except EndpointError as fault:
            self._missing(fault_kind(fault), str(fault), len(asked))
            return [None] * len(asked)
        answers = read_verdicts(result.text, len(asked))
        if answers is None:
            self._missing("no_verdict", repr(result.text[:80]), len(asked))
            return [None] * len(asked)
        return list(answers)

    def _missing(self, kind: str, message: str, count: int = 1) -> None:
        self.faults[kind] += count
        self.last_fault = f"no verdict in {message}" if kind == "no_verdict" else message
        if self.faults[kind] == count:
            log.warning(
                "the judge gave no verdict (%s): %s; further faults of this kind are only counted",
                kind,
                message,
            )


def question(name: QuestionName, pair: StepPair) -> Question:
    """A question about a pair. Where a side says no meta-reasoning, its sub-problem tells its intent."""
    return Question(name, _side(name, pair.teacher_step), _side(name, pair.student_step))


def _side(name: QuestionName, step: ReasoningStep) -> str:
    if name == "answer":
        return step.answer
    if name == "sub_problem":
        return step.sub_problem
    return step.meta or step.sub_problem


def _without_model(asked: Question) -> float | None:
    a, b = " ".join(asked.a.casefold().split()), " ".join(asked.b.casefold().split())
    if a == b:
        return 1.0
    return None if a and b else 0.0


def judge_request(asked: Question, mode: VerdictMode) -> CompletionRequest:
    """The request that puts one question to a model: the two texts as data, the question after them."""
    data = data_block({"A": asked.a, "B": asked.b})
    user = f"{data}\n{judge_questions()[asked.name]}\nAnswer yes or no:"
    return CompletionRequest(
        messages=(Message("system", prompt_text("judge")), Message("user", user)),
        # One word needs no more; a model that goes on is cut off, and what is cut off is no verdict.
        max_tokens=1 if mode == "logprobs" else 8,
        logprobs=mode != "exact",
        allow_truncated=mode == "logprobs",
    )


def batch_request(asked: Sequence[Question]) -> CompletionRequest:
    """The request that puts several questions at once."""
    texts = judge_questions()
    data = data_block([{"question": texts[q.name], "A": q.a, "B": q.b} for q in asked])
    item = {"type": "string", "enum": ["yes", "no"]}
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["answers"],
        "properties": {"answers": {"type": "array", "items": item}},
    }
    return CompletionRequest(
        messages=(
            Message("system", prompt_text("judge_batch")),
            Message("user", f"{data}\nWrite the {len(asked)} answers as JSON."),
        ),
        max_tokens=32 + 8 * len(asked),
        json_schema=schema,
    )


def read_verdict(result: CompletionResult, mode: VerdictMode) -> float | None:
    """P(yes) of an answer; ``None`` where it is no verdict.

    From the first token's log-probabilities: the forms of yes ("Yes", " YES", "yes.") against the forms of no,
    as long as together they hold at least ``MIN_MASS``. From the text: the word alone, in any case, with
    punctuation or quotes around it.
    """
    if mode != "exact" and result.first_token_logprobs is not None:
        return yes_probability(result.first_token_logprobs)
    if mode == "logprobs" or result.finish_reason != "stop":
        return None
    return {"yes": 1.0, "no": 0.0}.get(_word(result.text))


def yes_probability(logprobs: Sequence[tuple[str, float]]) -> float | None:
    """P(yes) among the forms of yes and no, normalised; ``None`` where they hold less than ``MIN_MASS``."""
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in logprobs:
        word = _word(token)
        if word in mass:
            mass[word] += math.exp(logprob)
    total = mass["yes"] + mass["no"]
    return mass["yes"] / total if total >= MIN_MASS else None


def _word(text: str) -> str:
    return text.strip(_MARGINS).lower()


def read_verdicts(text: str, count: int) -> list[float] | None:
    """The answers of a batch; ``None`` unless there are exactly ``count`` of them and each is yes or no."""
    start, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    answers = value.get("answers") if isinstance(value, dict) else None
    if (
        not isinstance(answers, list)
        or len(answers) != count
        or not all(isinstance(item, str) for item in answers)
    ):
        return None
    words = [_word(item) for item in answers]
    return [float(word == "yes") for word in words] if all(word in ("yes", "no") for word in words) else None


def _probability(value: Any) -> float:
    if not probability(value):
        raise ValueError("not a probability")
    return float(value)


def build(config: LLMJudgeConfig, cache: CacheConfig) -> LLMJudge:
    """Builds the judge with its cache; nothing is connected yet."""
    from rlkd.completion.build import build_completer

    return LLMJudge(
        build_completer(config.endpoint),
        config.verdict,
        config.batch,
        config.gate,
        config.max_chars,
        open_cache(cache),
    )
