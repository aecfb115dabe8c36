r"""How a completion states its final answer, and how to read and write that.

Four conventions (``student.output`` in the configuration):

| name | a completion ends with |
|---|---|
| ``answer_line`` | ``The answer is 7.`` on its last line |
| ``gsm8k`` | ``#### 7`` on its last line |
| ``boxed`` | ``\boxed{7}`` on its last line |
| ``think_boxed`` | ``<think>path</think><answer>... \boxed{7} ...</answer>`` (the paper's form) |

Reading is tolerant (the last statement counts, wherever it stands), ``well_formed`` is strict. All
patterns take time linear in the text, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rlkd.answers import gsm8k
from rlkd.answers.remarks import gives_value, is_denied, speaks_about
from rlkd.answers.statements import FACTORIAL, answer_start, boxes_of, find_statement, sentence_end, unwrap

OutputFormat = Literal["answer_line", "gsm8k", "boxed", "think_boxed"]

_ANSWER_LINE = re.compile(r"\bthe (?:final )?answer is\b[ \t]*:?[ \t]*([^\n]*)", re.IGNORECASE)
_OTHER_STATEMENT = re.compile(r"\banswer\b|####", re.IGNORECASE)
"""What may state another answer behind a box on its line: ``\\boxed{B}? No, the answer is C.``"""
_ANSWER_WORDS = re.compile(r"\bthe (?:final )?answer is\b[ \t]*:?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s|\Z)|\n")
_MARKUP = re.compile(r"[*$\\()\[\]:=,.#_]+")
_ONLY_ANSWER = re.compile(r"(?:so|thus|hence|therefore)? ?(?:the )?(?:final )?(?:answer)?(?: is)?|a")
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_PLAIN: tuple[OutputFormat, ...] = ("boxed", "answer_line", "gsm8k")


@dataclass(frozen=True)
class ParsedOutput:
    """What a completion says.

    Attributes:
        path: The reasoning, without the statement of the final answer.
        answer: The stated final answer; ``None`` where none is stated.
        well_formed: Whether the answer is stated exactly as the convention asks: once, at the end.
    """

    path: str
    answer: str | None
    well_formed: bool


def read_output(text: str, output: OutputFormat) -> ParsedOutput:
    """Reads a completion in one convention.

    An answer that is stated in another form counts as well (:mod:`rlkd.answers.statements`), but is not ``well_formed``. A completion
    that is cut off while it thinks states none.

    Args:
        text: The completion, without the prompt.
        output: The convention.

    Raises:
        ValueError: There is no such convention.
    """
    if output not in _BY_THE_LETTER:
        raise ValueError(f"unknown output convention {output!r}")
    own = _behind_thoughts(text, output) if "think>" in text else _BY_THE_LETTER[output](text)
    return own if own.well_formed else _read_stated(text, own)


def _behind_thoughts(text: str, output: OutputFormat) -> ParsedOutput:
    r"""Reads what follows the thoughts as a convention asks: ``<think>work \boxed{7}`` was cut off and states nothing."""
    begin = answer_start(text)
    if begin is None:
        return ParsedOutput(text[text.find("<think>") + len("<think>") :].strip(), None, False)
    if output == "think_boxed" or begin == 0:
        return _BY_THE_LETTER[output](text)
    rest = _BY_THE_LETTER[output](text[begin:])
    return ParsedOutput((text[:begin] + rest.path).rstrip(), rest.answer, rest.well_formed)


def _read_stated(text: str, own: ParsedOutput) -> ParsedOutput:
    """Reads the statement that counts, whatever its form."""
    statement = find_statement(text)
    if statement is None:
        return ParsedOutput(own.path, None, False)
    if "</think>" in text:
        return ParsedOutput(_thoughts(text), statement.answer, False)
    if statement.boxes:
        return ParsedOutput(_path_before_box(text, statement.boxes), statement.answer, False)
    if "=" in statement.answer and text.startswith(("$", "\\"), statement.start):
        # Only a last line "$$7 * 2 = 14$$" can be this: it states the answer and is a step, and was missing in the path.
        return ParsedOutput(text.rstrip(), statement.answer, False)
    return ParsedOutput(text[: statement.start].rstrip(), statement.answer, False)


def read_any(text: str) -> ParsedOutput:
    """Reads a text whose convention is not known (a teacher's path).

    ``well_formed`` says whether it is in one of the conventions.
    """
    if "</think>" in text or answer_start(text) is None:
        own = _behind_thoughts(text, "think_boxed")
        return own if own.well_formed else _read_stated(text, own)
    for output in _PLAIN:
        own = _BY_THE_LETTER[output](text)
        if own.well_formed:
            return own
    return _read_stated(text, ParsedOutput(text.rstrip(), None, False))


def read_output_or_any(text: str, output: OutputFormat | None) -> ParsedOutput:
    """Reads a completion in its convention, or in the first that fits where ``output`` is ``None``."""
    return read_any(text) if output is None else read_output(text, output)


def path_of(text: str, output: OutputFormat | None) -> str:
    """The reasoning of a completion: what the structure reward scores, wherever it is scored.

    Args:
        text: The completion, without the prompt.
        output: The convention in which it states its answer; ``None`` takes the first that fits.
    """
    return read_output_or_any(text, output).path


def write_output(path: str, answer: str, output: OutputFormat) -> str:
    """A teacher's path as the student should write it: same reasoning, the answer in the convention.

    The path's own statement of the final answer, in any convention, is replaced. A path that is
    already well formed in the convention with that answer comes back as it is. GSM8K's calculator
    marks (``<<2*3=6>>``) stay only where the convention is ``gsm8k``.

    Args:
        path: The teacher's path.
        answer: The final answer to state.
        output: The student's convention.
    """
    parsed = read_output(path, output)
    if (
        parsed.well_formed
        and parsed.answer == answer.strip()
        and (output == "gsm8k" or not gsm8k.MARKS.search(path))
    ):
        return path
    body = re.sub(r"</?think>", "", read_any(path).path)  # an open tag would hide what follows
    if output != "gsm8k":
        body = gsm8k.without_marks(body)
    if not gives_value(answer):  # behind a box "The answer is Alice." would be a remark
        body = _without_statements(_without_statements(body, "boxed"), "gsm8k")
    body = _without_statements(body, output)
    body, answer = body.strip(), answer.strip()
    if output == "think_boxed":
        return f"<think>\n{body}\n</think>\n<answer>\n\\boxed{{{answer}}}\n</answer>"
    statement = {
        "answer_line": f"The answer is {answer}.",
        "gsm8k": gsm8k.statement(answer),
        "boxed": f"The answer is \\boxed{{{answer}}}.",
    }[output]
    return f"{body}\n{statement}" if body else statement


def _without_statements(body: str, output: OutputFormat) -> str:
    """A path without what would read as a second statement in a convention."""
    if output == "gsm8k":
        return gsm8k.without_statements(body)
    if output == "boxed":
        cuts = [
            cut
            for start, inside, inner_end, end in boxes_of(body)
            for cut in ((start, inside), (inner_end, end))
        ]
        kept, at = [], 0
        for start, end in sorted(cuts):
            kept.append(body[at:start])
            at = end
        return "".join([*kept, body[at:]])
    if output == "think_boxed":
        return re.sub(r"</?answer>", "", body)
    kept, at = [], 0
    for match in _ANSWER_WORDS.finditer(body):
        if match.start() >= at and _starts_line(body, match.start(), True):
            kept.append(body[at : match.start()])
            stop = _SENTENCE_END.search(body, match.end())
            at = len(body) if stop is None else stop.end() if stop[0] == "." else stop.start()
    return "".join([*kept, body[at:]])


def _first_sentence(rest: str) -> str:
    """The answer in what follows ``The answer is``: up to the full stop that ends the sentence."""
    return rest[: sentence_end(rest)].strip()


def _read_line(text: str, pattern: re.Pattern[str], trim: Callable[[str], str]) -> ParsedOutput:
    """Reads a convention whose statement is a line of its own that starts with a marker."""
    found = list(pattern.finditer(text))
    if not found:
        return ParsedOutput(text.rstrip(), None, False)
    own_line = [match for match in found if _starts_line(text, match.start(), pattern is _ANSWER_LINE)]
    last = found[-1]
    answer = trim(last[1]) or None
    if answer is not None and pattern is _ANSWER_LINE and speaks_about(answer):
        return ParsedOutput(text.rstrip(), None, False)
    if answer is not None and answer.endswith("!") and not FACTORIAL.search(text, 0, last.start(1)):
        return ParsedOutput(text.rstrip(), None, False)
    exact = last[1].strip() in (answer, f"{answer}.")
    at_end = not text[last.end() :].strip()
    well_formed = answer is not None and own_line == [last] and exact and at_end
    if answer is not None and well_formed and pattern is _ANSWER_LINE and not gives_value(answer):
        stated = find_statement(text)  # "\\boxed{8}" and below it "The answer is even."
        well_formed = stated is not None and stated.answer == answer
    return ParsedOutput(text[: last.start()].rstrip(), answer, well_formed)


def _starts_line(text: str, start: int, or_sentence: bool) -> bool:
    """Whether a statement is a line of its own (or, where that is enough, a sentence), not a remark inside one."""
    before = text[max(0, start - 8) : start].rstrip(" \t")
    return before[-1] in ("\n.!?" if or_sentence else "\n") if before else start <= 8


def _read_boxed(text: str) -> ParsedOutput:
    """The last box. Its line is dropped from the path where it only states the answer, else unboxed."""
    boxes = boxes_of(text)
    if not boxes:
        return ParsedOutput(text.rstrip(), None, False)
    start, inner_start, inner_end, end = boxes[-1]
    if is_denied(text, start, end):
        return ParsedOutput(text.rstrip(), None, False)
    answer = unwrap(text[inner_start:inner_end]) or None
    line_end = _line_end(text, end)
    at_end = not text[line_end:].strip() and not _OTHER_STATEMENT.search(text, end)
    outer = sum(1 for box in boxes if not start <= box[0] < end) == 0
    return ParsedOutput(_path_before_box(text, boxes[-1:]), answer, answer is not None and outer and at_end)


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _path_before_box(text: str, boxes: Sequence[tuple[int, int, int, int]]) -> str:
    """The text up to the line of the boxes, and that line unboxed where it says more than the answer."""
    start, end = boxes[0][0], boxes[-1][3]
    line_start, line_end = text.rfind("\n", 0, start) + 1, _line_end(text, end)
    around = " ".join(
        _MARKUP.sub(" ", f"{text[line_start:start].strip()} {text[end:line_end]}").casefold().split()
    )
    if len(around) < 40 and _ONLY_ANSWER.fullmatch(around):
        return text[:line_start].rstrip()
    parts, at = [], 0
    for box in boxes:
        parts += [text[at : box[0]], text[box[1] : box[2]]]
        at = box[3]
    return "".join([*parts, text[at:line_end]]).rstrip()


def _read_think(text: str) -> ParsedOutput:
    """Thoughts in ``<think>``, the answer boxed after them. The opening tag may be part of the prompt."""
    closed = text.rfind("</think>")
    if closed < 0:
        return ParsedOutput(_read_boxed(text).path, None, False)
    path = _thoughts(text)
    after = text[closed + len("</think>") :]
    boxes = boxes_of(after)
    denied = bool(boxes) and is_denied(after, boxes[-1][0], boxes[-1][3])
    answer = (unwrap(after[boxes[-1][1] : boxes[-1][2]]) or None) if boxes and not denied else None
    counts = [text.count(tag) for tag in _TAGS]
    tail = after.strip()
    well_formed = (
        answer is not None
        and counts in ([1, 1, 1, 1], [0, 1, 1, 1])
        and (counts[0] == 0 or text.lstrip().startswith("<think>"))
        and tail.startswith("<answer>")
        and tail.endswith("</answer>")
    )
    return ParsedOutput(path, answer, well_formed)


def _thoughts(text: str) -> str:
    """What stands between the tags; the opening one may be part of the prompt."""
    closed, opened = text.rfind("</think>"), text.find("<think>")
    return text[opened + len("<think>") if 0 <= opened < closed else 0 : closed].strip()


_BY_THE_LETTER: dict[OutputFormat, Callable[[str], ParsedOutput]] = {
    "answer_line": partial(_read_line, pattern=_ANSWER_LINE, trim=_first_sentence),
    "gsm8k": partial(_read_line, pattern=gsm8k.HASHES, trim=str.strip),
    "boxed": _read_boxed,
    "think_boxed": _read_think,
}
"""Reads a completion by the letter of each convention."""
