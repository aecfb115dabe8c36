"""Splits a path into segments: lines, sentences, list items, headings, checks, and the stated final answer."""

from __future__ import annotations

import re

_LINE = re.compile(r"[^\n\r\u2028\u2029]+")
_SO = r"(?:(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore|[Tt]hen|[Aa]nd so|[Ff]inally|[Cc]onsequently|[Ii]n conclusion),? ?)?"
_FINAL = re.compile(
    r"\s{0,8}(?:[-*>#]{0,3}\s{0,2})?(?:\*\*)?(?:####"
    r"|A\s?(?:\*\*)?:|(?:Answer|ANSWER|Final [Aa]nswer|FINAL ANSWER|Result|RESULT|Final [Rr]esult)\s?(?:\*\*)?\s?[:=]"
    rf"|{_SO}(?:[Tt]he|[Oo]ur|[Mm]y) (?:final |correct )?answer(?:, [a-z]{{1,12}},)?(?: (?:is|=|to [^.\n]{{1,80}} is)|\s?[:=])"
    rf"|{_SO}(?:[Yy]es|[Nn]o|[Tt]rue|[Ff]alse)[.!]?\Z"
    r"|</?answer>)"
)
_FINAL_HEADING = re.compile(
    r"[\s#*]{0,8}(?:(?:The )?[Ff]inal )?(?:[Aa]nswer|ANSWER|[Rr]esult)\s?[:*\s]{0,6}\Z"
)
_WAIT = re.compile(
    r"\s{0,8}(?:[-*>]\s)?(?:but )?(?:wait\b|hmm|hold on|actually,|oops|no, (?:that|this|it|wait|i)\b|scratch that|on second thought)",
    re.IGNORECASE,
)
_CHECK = re.compile(
    r"[\s#*>-]{0,8}(?:now,? |first,? |so,? |step \d{1,2}: )?(?:let me (?:just )?(?:quickly )?(?:double[- ]?check|check|verify|re-?check|reconsider|confirm)"
    r"|let(?:'|\u2019)?s (?:double[- ]?check|check|verify|reconsider|confirm)|to (?:double[- ]?check|check|verify)\b"
    r"|(?:check|verification|verify|verifying)\s?[:*.]"
    r"|checking\b|double[- ]checking\b|we can (?:check|verify)\b|(?:as|for) a check\b)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"\s{0,8}(?:#{1,6} .*|\*\*[^*\n]{1,200}\*\*:?\s*|(?:Step|STEP) \d{1,3}\s?[:.)]?\s*|[^\n]{1,200}:\s*)\Z"
)
_BULLET = re.compile(
    r"\s{0,12}(?:[-*•+]\s{1,4}|\(?\d{1,3}[.)]\s{1,4}|(?:\*\*)?(?:Step|STEP) \d{1,3}(?:\*\*)?\s?[:.)-](?:\*\*)?\s{0,4})"
)
_SENTENCE_END = re.compile(
    r"[.!?;][\"')\]]{0,2}\s{1,4}(?=[\"'(\[$\\]{0,2}[A-Z0-9$\\])"
    r"|(?<=[a-z0-9%)>])\s{1,4}(?=(?:So|The|He|She|They|It|If|Then|There|Now|Therefore|Thus|Hence|Since|In|On|After"
    r"|Each|And|This|That|To|First|Next|Finally|We|You|But|Also|Their|His|Her|Next|When|With|For|Because|Wait|Actually|Hmm|Let|Hence|Hold)[ ,])"
)
_FRAME = re.compile(r"(?:\\(?:begin|end)\{[a-z]{1,12}\*?\}|\\[\[\]]|\$\$|[\s.,])*\Z")
_TAG = re.compile(r"</?(?:think|thinking|reasoning|answer|solution)>")
_TOKENS = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|approx|lbs?|oz|no)\.\s\Z")


class Segment:
    """A stretch of the path: ``kind`` is ``step``, ``check``, ``wait``, ``heading``, ``question`` or ``final``."""

    __slots__ = ("end", "kind", "start")

    def __init__(self, start: int, end: int, kind: str) -> None:
        self.start = start
        self.end = end
        self.kind = kind

    def __repr__(self) -> str:
        return f"Segment({self.start}, {self.end}, {self.kind})"


def split_lines(path: str) -> list[Segment]:
    """The non-empty lines of a path with their kinds; spans exclude outer blanks, bullets and tags."""
    segments: list[Segment] = []
    for match in _LINE.finditer(path):
        start, end = match.span()
        while start < end and path[start].isspace():
            start += 1
        while end > start and path[end - 1].isspace():
            end -= 1
        if path.startswith("<", start):
            tag = _TAG.match(path, start, end)
            if tag and tag.group().strip("</>") != "answer":
                start = tag.end()
        if start >= end or not (path[start].isalnum() or any(c.isalnum() for c in path[start : start + 400])):
            continue
        if path[start] == "\\" and end - start < 60 and _FRAME.match(path, start, end):
            continue
        segments.append(Segment(start, end, kind_of(path, start, end)))
    return segments


def kind_of(path: str, start: int, end: int) -> str:
    """The kind of the text between two positions."""
    if _FINAL.match(path, start, end):
        return "final"
    last = path[end - 1]
    if last == "?":
        return "question"
    first = path[start]
    if (last in ":*.)" or first in "#*S") and end - start < 240 and _HEADING.match(path, start, end):
        return "heading"
    return check_kind(path, start, end) if first in _CHECK_FIRST else "step"


def check_kind(path: str, start: int, end: int) -> str:
    """``check`` where the text verifies, ``wait`` where it turns back, else ``step``."""
    if _WAIT.match(path, start, end):
        return "wait"
    return "check" if _CHECK.match(path, start, end) else "step"


def states_answer(path: str, start: int, end: int) -> bool:
    r"""Whether a sentence states the final answer: ``The answer is 18.``, or a box (``\boxed{18}``) anywhere in it."""
    return _FINAL.match(path, start, end) is not None or path.find("\\boxed", start, end) >= 0


def heads_answer(path: str, start: int, end: int) -> bool:
    """Whether a heading announces the final answer."""
    return _FINAL_HEADING.match(path, start, end) is not None


_CHECK_FIRST = frozenset("wWhHlLtTcCvVdDaAoOnNfFbBsS-*>#")


def content_start(path: str, start: int, end: int) -> int:
    """Where the text begins after a bullet or step number."""
    bullet = _BULLET.match(path, start, end)
    return bullet.end() if bullet and bullet.end() < end else start


def sentence_ends(path: str, start: int, end: int) -> list[int]:
    """Where sentences begin after the first one, between two positions, ascending."""
    found: list[int] = []
    for match in _SENTENCE_END.finditer(path, start, end):
        if path[match.start()] == "." and _TOKENS.search(path, max(start, match.start() - 8), match.end()):
            continue
        found.append(match.end())
    return found
