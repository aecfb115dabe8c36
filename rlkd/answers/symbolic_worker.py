"""The process that compares expressions with math-verify, and asks reasoning-gym's verifiers.

It reads one JSON request a line and answers each with one line. SymPy can be made to work for ever
(``10**10**10``) and no thread can be stopped, so each request runs under the operating system's
timer, whose default action ends this process; :mod:`rlkd.answers.symbolic` then starts another. The timer
counts processor time, so that a busy machine changes no verdict. Run as a script; started only by
:mod:`rlkd.answers.symbolic`.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_MEMORY_BYTES = 4 * 2**30


def compare(request: dict[str, Any]) -> bool:
    """Whether two expressions are equal; text that is no expression, or of which a part was not read, equals nothing."""
    from math_verify import parse, verify

    texts = [request[key] for key in ("reference", "answer")]
    gold, answer = (parse(f"${text}$", parsing_timeout=None) for text in texts)
    if not gold or not answer or not all(map(read_wholly, texts, (gold[0], answer[0]))):
        return False
    return bool(verify(gold, answer, timeout_seconds=None))


_LETTER = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])")


def read_wholly(text: str, read: Any) -> bool:
    r"""Whether every number and every single letter of a text is in what the library made of it (``6\sqrt(2)`` becomes 6)."""
    shown = str(read)
    numbers, letters = set(re.findall(r"\d+", shown)), set(re.findall(r"[A-Za-z]", shown))
    wanted = {letter for letter in _LETTER.findall(text) if letter != "d"}
    return set(re.findall(r"\d+", text)) <= numbers and wanted <= letters


@lru_cache(maxsize=16)
def _gym_dataset(name: str, parameters: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(name, **json.loads(parameters))


def gym_score(request: dict[str, Any]) -> float:
    """The score in [0, 1] that a reasoning-gym dataset gives an answer."""
    dataset = _gym_dataset(request["dataset"], json.dumps(request["parameters"], sort_keys=True))
    return float(dataset.score_answer(request["answer"], request["entry"]))


OPERATIONS: dict[str, Callable[[dict[str, Any]], bool | float]] = {"compare": compare, "gym": gym_score}


def warm_up(operation: str) -> None:
    """Pays for the imports before any request's time is counted."""
    if operation == "gym":
        import reasoning_gym  # noqa: F401
    else:
        compare({"reference": r"\frac{1}{2}", "answer": "x+1"})


def main() -> None:
    """Answers requests until the parent closes the pipe. A request that fails is answered with its error."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere the limit is not kept, or refused
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any]
        try:
            if "warm_up" in request:
                warm_up(request["warm_up"])
                reply = {"value": True}
            else:
                signal.setitimer(signal.ITIMER_PROF, request["timeout_s"])
                reply = {"value": OPERATIONS[request["operation"]](request)}
        except Exception as error:  # the parent decides: it is told what went wrong, never a value
            reply = {"error": f"{type(error).__name__}: {error}"[:500]}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
