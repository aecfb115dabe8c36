r"""Prompts of the model backends: versioned text files, and data that cannot leave its delimiters.

What the student wrote is hostile: it is trained to raise its score. So every text from outside goes into
one line of JSON between two marks whose name no text can know: it is a digest of that very line. Line
breaks and quotes are escaped by JSON; ``<`` before a letter, ``/``, ``|`` or ``!`` is written as ``\u003c``, and
``[`` before ``/``, ``|`` or a word in capitals as ``\u005b``, so that neither a mark nor a chat template's special
token (``<|im_end|>``, ``[/INST]``) can be forged.
"""

from __future__ import annotations

import functools
import json
import re
from importlib import resources

from rlkd.io import sha256_text
from schemas.base import JsonValue

PROMPT_VERSION = 1
"""Raised with every change of a prompt's meaning; part of every cache key and decomposer name."""
_DOMAINS = {
    "math": "math",
    "arithmetic": "math",
    "algebra": "math",
    "geometry": "math",
    "logic": "logic",
    "puzzle": "logic",
    "commonsense": "commonsense",
    "relations": "commonsense",
    "strategyqa": "commonsense",
    "science": "science",
    "physics": "science",
    "chemistry": "science",
    "biology": "science",
    "code": "code",
    "programming": "code",
}
_FORGEABLE = re.compile(r"<(?=[A-Za-z/|!\uff5c_])|\[(?=[/|]|[a-z]?[A-Z_]{2})|[\u2028\u2029\u0085]")
"""Not only the tokens of templates that are known: ``[`` opens them in Mistral's, EXAONE's and GLM's, and in others' to come."""


@functools.cache
def prompt_text(name: str) -> str:
    """The text of a prompt file of this version, for example ``decompose`` or ``judge_batch``."""
    file = resources.files("rlkd.structure") / "prompts" / f"{name}.v{PROMPT_VERSION}.txt"
    return file.read_text(encoding="utf-8").strip()


def prompt_domain(domain: str) -> str:
    """The prompt that a reasoning domain gets; an unknown domain gets the one for mathematics."""
    return _DOMAINS.get(domain.lower(), "math")


@functools.cache
def judge_questions() -> dict[str, str]:
    """The judge's three questions by name: ``intent``, ``sub_problem``, ``answer``."""
    lines = prompt_text("judge_questions").splitlines()
    return {name: question.strip() for name, _, question in (line.partition(":") for line in lines)}


def encode(value: JsonValue) -> str:
    """One line of JSON in which no mark, line break or special token can be written."""
    # What defang escapes occurs only inside JSON strings, where the escape means the same character. Lone
    # surrogates of broken input, which no server could be sent, are replaced.
    line = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    return defang(line)


def defang(text: str) -> str:
    """A text in which no mark and no special token of a chat template can stand."""
    return _FORGEABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def data_block(value: JsonValue) -> str:
    """A value as data between marks.

    The mark is a digest of the line: the same data give the same request (greedy answers and caches stay
    comparable), and a text would have to contain its own digest to forge it.
    """
    line = encode(value)
    mark = "data-" + sha256_text("rlkd data mark\n" + line)[:20]
    return f"<{mark}>\n{line}\n</{mark}>"
