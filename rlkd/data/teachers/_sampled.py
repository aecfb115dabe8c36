"""What every teacher that is a language model does: ask for samples, keep each for good, and make paths of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from rlkd.answers import gsm8k
from rlkd.answers.conventions import OutputFormat, read_any
from rlkd.completion.base import Completer, CompletionFault, CompletionRequest, Message
from rlkd.completion.pace import CHARS_PER_TOKEN
from rlkd.data.paid_answers import PaidAnswer, PaidAnswers
from rlkd.data.spending import Cost, Spending
from rlkd.errors import EndpointError, UserError
from rlkd.io import sha256_json
from rlkd.structure.backends.cache import default_folder
from schemas.config.traces import EndpointTeacher, SampledTeacher, TeacherConfig
from schemas.problem import Problem

PROMPT_VERSION = 1
"""Raised when the way of asking changes in something that the request does not show."""
_STATEMENTS: dict[OutputFormat, str] = {
    "answer_line": "End with a line of its own: The answer is <answer>.",
    "gsm8k": f"End with a line of its own: {gsm8k.statement('<answer>')}",
    "boxed": "Put the final answer, and nothing else, in \\boxed{}.",
    "think_boxed": "Reason between <think> and </think>, then state the final answer as <answer>\\boxed{...}</answer>.",
}
_MALFORMED_TRIES = 3
"""Times that a request is made whose answer makes no sense (cut off on the way, empty), or that is refused for good."""
_FATAL = frozenset({401, 402, 403, 404})
"""Statuses that the next request would get too: a wrong key, no money, a wrong address or model. Gateways before several
servers answer so now and then; only the same again and again ends the stage."""
_MIN_IN_A_ROW = 16
"""Requests that may fail one after another before the teacher is given up, or as many as are under way at once."""


def prompt_for(output: OutputFormat) -> str:
    """Returns the prompt of an output form, with ``{question}`` in it."""
    return f"{{question}}\n\nSolve the problem step by step, one step a line. {_STATEMENTS[output]}"


def split_thoughts(text: str, reasoning: str = "") -> tuple[str, str]:
    """Splits an answer into thoughts and solution.

    Thoughts stand in the server's own field, or before ``</think>`` (whose opening tag may be part of the prompt). An answer
    that is cut off while it thinks has no solution.

    Example:
        >>> split_thoughts("<think>2+2=4</think>The answer is 4.")
        ('2+2=4', 'The answer is 4.')
    """
    before, closed, after = text.partition("</think>")
    if not closed:
        head, opened, tail = text.partition("<think>")
        if not opened or head.strip():
            return reasoning.strip(), text.strip()
        before, after = tail, ""
    inline = before.strip().removeprefix("<think>").strip()
    return "\n".join(part for part in (reasoning.strip(), inline) if part), after.strip()


def join_thoughts(thoughts: str, solution: str, output: OutputFormat, rule: str) -> str:
    """Makes the path of thoughts and solution by the rule ``traces.teacher.reasoning``; see its description."""
    bare = not read_any(solution).path.strip()
    if not thoughts or rule == "drop" or (rule == "auto" and output != "think_boxed" and not bare):
        return solution
    return f"<think>\n{thoughts}\n</think>\n{solution}"


class LanguageModelTeacher:
    """A language model that is asked for samples; each answer is kept, and never asked for again.

    Args:
        config: How it is asked, and what it may cost.
        completer: The model.
        model: Its name in traces and tables.
        send_seed: Whether the request carries a seed.
        concurrency: Requests under way at once.
        pilot: Whether the first request goes alone, so that a wrong key is found by one and not by all at once.

    Attributes:
        name: The model's name.
        spending: What it has cost.
        part: Name of the shard that asks; empty for a whole stage.
    """

    def __init__(
        self,
        config: SampledTeacher,
        completer: Completer,
        model: str,
        send_seed: bool,
        concurrency: int,
        pilot: bool = False,
    ) -> None:
        self.config = config
        self.name = model
        self.completer = completer
        self.concurrency = concurrency
        self.output: OutputFormat = config.output or "boxed"
        self.spending = Spending(config.budget, config.price)
        self.waiting: Callable[[str], None] = lambda text: None
        self.part = ""
        self._send_seed = send_seed
        self._answers: PaidAnswers | None = None
        self._counted: set[str] = set()
        self._asked_now: dict[str, asyncio.Lock] = {}
        self._failed_in_a_row = 0
        self._opened = not pilot
        self._opening = asyncio.Lock()
        self._refused: UserError | None = None

    @property
    def answers(self) -> PaidAnswers:
        """The answers that are there."""
        if self._answers is None:
            named = self.config.answers
            folder = Path(named).expanduser() if named else default_folder() / "teachers"
            self._answers = PaidAnswers(
                folder / f"{sha256_json(self.completer.name)[:16]}.jsonl", self.waiting, self.part
            )
        return self._answers

    def request(self, problem: Problem, index: int, seed: int) -> CompletionRequest:
        """Builds the request for one sample of a problem."""
        prompt = (self.config.prompt or prompt_for(self.output)).replace("{question}", problem.question)
        system = (Message("system", self.config.system),) if self.config.system else ()
        return CompletionRequest(
            messages=(*system, Message("user", prompt)),
            max_tokens=self.config.max_tokens,
            temperature=self.config.temperature,
            allow_truncated=True,
            seed=self.sample_seed(seed, index) if self._send_seed else None,
        )

    @staticmethod
    def sample_seed(seed: int, index: int) -> int:
        """Makes a seed for each sample, within what servers take (31 bits)."""
        return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:4], "big") >> 1

    def key(self, request: CompletionRequest, index: int, seed: int) -> str:
        """Computes what an answer is found by: all that was asked, of whom, and the number of the sample."""
        messages = [[message.role, message.content] for message in request.messages]
        sampling = [request.max_tokens, request.temperature, request.seed]
        return sha256_json([PROMPT_VERSION, self.completer.name, messages, sampling, seed, index])

    def most(self, request: CompletionRequest) -> Cost:
        """Estimates the most that a request can cost."""
        return Cost(1, _tokens("".join(m.content for m in request.messages)), request.max_tokens)

    def known(self, problem: Problem, index: int, seed: int) -> PaidAnswer | None:
        """Returns the answer for a sample that is there already, and counts it; ``None`` where it would have to be asked for."""
        key = self.key(self.request(problem, index, seed), index, seed)
        found = self.answers.get(key)
        if found is not None and key not in self._counted:
            self._counted.add(key)
            self.spending.spent += cost_of(found)
        return found

    async def sample(self, problem: Problem, index: int, seed: int) -> PaidAnswer:
        """Returns the answer for one sample of a problem; asks the model only where it is not there yet.

        Raises:
            BudgetSpent: The next request could exceed the budget.
            UserError: No further request could succeed: a wrong key, address or model, or too many failed in a row.
            EndpointError: This one failed.
        """
        request = self.request(problem, index, seed)
        key = self.key(request, index, seed)
        # Two problems may ask the same thing at the same time.
        async with self._asked_now.setdefault(key, asyncio.Lock()):
            found = self.known(problem, index, seed)
            if found is None:
                async with self.spending.booked(self.most(request)):
                    self.answers.add(await self._buy(request, key, problem.id))
                    found = self.known(problem, index, seed)
                assert found is not None
                self.spending.new += cost_of(found)
        self._asked_now.pop(key, None)
        return found

    def path(self, answer: PaidAnswer) -> str:
        """Makes a path of an answer."""
        return join_thoughts(
            *split_thoughts(answer.text, answer.reasoning), self.output, self.config.reasoning
        )

    def paths(self, problem: Problem, count: int, seed: int) -> list[tuple[str, str]]:
        """Asks for ``count`` samples of one problem; see :class:`~rlkd.data.teachers.Teacher`."""

        async def ask() -> list[PaidAnswer]:
            try:
                return [await self.sample(problem, index, seed) for index in range(count)]
            finally:
                await self.completer.aclose()

        return [(self.path(answer), self.name) for answer in asyncio.run(ask())]

    def plan(self, problems: Sequence[Problem], wanted: int, attempts: int, seed: int) -> str:
        """Says what samples of problems would take, between the first samples alone being right and none.

        Prompts are estimated from their characters; an answer counts with the mean of those that are there, and with
        ``max_tokens`` at most.
        """
        least, most, there = Cost(), Cost(), Cost()
        for problem in problems:
            for index in range(attempts):
                found = self.known(problem, index, seed)
                if found is not None:
                    there += cost_of(found)
                    continue
                cost = self.most(self.request(problem, index, seed))
                most += cost
                least += cost if index < wanted else Cost()
        price = self.config.price
        if there.requests:
            mean = there.completion_tokens // there.requests
            least = Cost(least.requests, least.prompt_tokens, least.requests * mean)
            guess = f"answers as long as those that are there, {mean:,} tokens on average"
        else:
            guess = f"every answer {self.config.max_tokens:,} tokens long (max_tokens)"
        limit = self.spending.exceeded(there + most)
        return "\n".join(
            [
                f"{self.name}: {len(problems):,} problems, {wanted} to {attempts} samples each",
                f"  there already:  {there.text(price)}",
                f"  to ask for:     {least.text(price)}, if every first sample is right; {guess}",
                f"  at most:        {most.text(price)}, retries not counted",
                f"  budget:         {f'{limit} could be exceeded; the teacher would stop there' if limit else 'not exceeded'}",
                "nothing was sent; prompts are estimated from their characters",
            ]
        )

    def close(self) -> None:
        """Lets other processes have the answers."""
        if self._answers is not None:
            self._answers.close()
            self._answers = None

    async def _buy(self, request: CompletionRequest, key: str, problem_id: str) -> PaidAnswer:
        if not self._opened:
            async with self._opening:
                if not self._opened:
                    try:
                        return await self._ask_counted(request, key, problem_id)
                    finally:
                        self._opened = True
        return await self._ask_counted(request, key, problem_id)

    async def _ask_counted(self, request: CompletionRequest, key: str, problem_id: str) -> PaidAnswer:
        """Asks, unless it is known that asking is of no use."""
        if self._refused is not None:
            raise self._refused
        try:
            answer = await self._ask(request, key, problem_id)
        except EndpointError as error:
            self._failed_in_a_row += 1
            if isinstance(error, CompletionFault) and error.status in _FATAL:
                self._refused = UserError(f"the teacher cannot be asked: {error}; what was finished is kept")
                raise self._refused from None
            if self._failed_in_a_row >= max(_MIN_IN_A_ROW, self.concurrency):
                raise UserError(
                    f"the teacher gave no answer to the last {self._failed_in_a_row} requests ({error}); what was finished is "
                    "kept: run again to go on"
                ) from None
            raise
        self._failed_in_a_row = 0
        return answer

    async def _ask(self, request: CompletionRequest, key: str, problem_id: str) -> PaidAnswer:
        prompt_tokens = self.most(request).prompt_tokens
        for tried in range(1, _MALFORMED_TRIES + 1):
            try:
                result = await self.completer.complete(request)
            except CompletionFault as fault:
                if fault.kind == "refused":
                    return PaidAnswer(
                        key=key,
                        problem_id=problem_id,
                        text=str(fault),
                        finish="refused",
                        prompt_tokens=prompt_tokens,
                        estimated=True,
                    )
                again = fault.kind == "malformed" or fault.status in _FATAL
                if again and tried < _MALFORMED_TRIES:
                    continue
                raise
            counted = result.prompt_tokens + result.completion_tokens > 0
            return PaidAnswer(
                key=key,
                problem_id=problem_id,
                text=result.text,
                reasoning=result.reasoning,
                finish=result.finish_reason,
                prompt_tokens=result.prompt_tokens if counted else prompt_tokens,
                completion_tokens=result.completion_tokens
                if counted
                else _tokens(result.reasoning + result.text),
                estimated=not counted,
            )
        raise AssertionError("the last try returns or raises")


def share_of(settings: TeacherConfig, count: int) -> TeacherConfig:
    """A teacher's settings as one of several shards uses them: its share of requests at once, pace and budget."""
    if not isinstance(settings, SampledTeacher):
        return settings
    budget = settings.budget
    shares = {
        name: None if limit is None else max(1, limit // count)
        for name, limit in (("tokens", budget.tokens), ("requests", budget.requests))
    }
    money = None if budget.money is None else budget.money / count
    stated: dict[str, object] = {"budget": budget.model_copy(update={**shares, "money": money})}
    if isinstance(settings, EndpointTeacher):
        place = settings.endpoint
        pace = {
            name: None if limit is None else limit / count
            for name in ("requests_per_minute", "tokens_per_minute")
            for limit in [getattr(place, name)]
        }
        at_once = max(1, place.concurrency // count)
        stated["endpoint"] = place.model_copy(update={**pace, "concurrency": at_once})
    return settings.model_copy(update=stated)


def cost_of(answer: PaidAnswer) -> Cost:
    """Returns what an answer has cost."""
    return Cost(1, answer.prompt_tokens, answer.completion_tokens)


def _tokens(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)
