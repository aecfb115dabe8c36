r"""Finds where a text states its final answer, in whatever form.

The forms: a box (``\boxed{7}``, ``\boxed 7``), ``#### 7``, a label (``Answer: 7``, ``**Final Answer:** 7``, a heading with the answer below), a
sentence (``The correct answer is 7.``, also with the answer on the next line), tags (``<answer>7</answer>``), and as a last resort a
last line that is nothing but a display formula, a choice or ``A: 7``.

Which one counts where there are several: the last. A box inside a sentence is that sentence's answer, and boxes that are listed
(``\boxed{1} and \boxed{2}``) are one answer. A sentence *about* the answer (``The answer is not obvious``, and ``The answer is even``
behind a value) or of another's answer counts only where nothing else states one, one of a wrong answer never
(:mod:`rlkd.answers.remarks`). After ``</think>`` only what follows it counts. All patterns take time linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlkd.answers.gsm8k import HASHES, LABEL
from rlkd.answers.remarks import gives_value, is_denied, speaks_about, standing, takes_back, without_refused

_BRACES = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s{0,8}\{|\\.|[{}]", re.DOTALL)
_OPEN_BOX = re.compile(r"\\boxed[ \t]{1,4}(\\?[A-Za-z0-9.,+-]{1,40})")
_BETWEEN_BOXES = re.compile(
    r"[\s$]{0,6}(?:,|;|and|or|\\text\{ ?(?:and|or) ?\}|, and|, or)[\s$]{0,6}(?:[a-z]\s?=\s?)?"
)
_MARKUP = r"[ \t#*_>`~-]"
_LABEL = re.compile(
    rf"(?P<line>(?:\A|\n){_MARKUP}{{0,12}})?(?<![A-Za-z])(?:(?:the|my|our) )?(?:(?:final|correct|short) )?(?P<word>answer|ans\.?(?=[ \t]*[:=]))(?: is)?"
    rf"[ \t]{{0,4}}(?P<end>[*_]{{0,3}}[ \t]{{0,4}}(?:[:=：→⇒]|[-=]>)[ \t*_:]{{0,8}}|[*_]{{1,3}}:?[ \t]{{0,4}}(?=\n|\Z)|(?=\n|\Z))(?P<rest>[^\n]{{0,500}})",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"\b(?:(?P<article>the|our|my|so|thus|hence|therefore|your),? )?(?P<kind>(?:(?:final|correct|right|best|only|actual|overall|numerical|numeric|required|desired|exact|simplified|corrected|revised|updated|true),? ){0,3})"
    r"(?:answer|(?<=correct )(?:option|choice)|(?<=right )(?:option|choice)|(?<=best )(?:option|choice))"
    r"(?: (?:to|of|for) (?:the|this|our|that) (?:question|problem|puzzle|riddle|equation|exercise))?(?:,? (?:therefore|then|thus|so|hence|then),?)?"
    r" (?:is|are|was|equals|would be|must be|should be|will be|comes out to be|turns out to be|has to be|=)(?![A-Za-z])[ \t]*[:=]?[ \t]*(?P<rest>[^\n]{0,500})",
    re.IGNORECASE,
)
_ANSWER_TAG = re.compile(r"<answer>((?:(?!</?answer>).){0,2000}?)</answer>", re.DOTALL | re.IGNORECASE)
_NEXT_LINE = re.compile(r"\s*(\\\[|\$\$)?\s*([^\n]{1,400})")
_BULLET = re.compile(r"[-*•>+] +(?=\S)")
_EMPTY = re.compile(r"[\s*_:$`#>.]*\Z")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Rs|Ms|St|Prof|Jr|Sr|Rev|Gen|Col|Capt|Lt|Sgt|Mt|Ft|vs|etc|approx|ca|No|Nos|Fig|Inc|Ltd|Co|sq|cu|oz|lbs?|ft|in|e\.g|i\.e|U\.S|a\.m|p\.m|[ap]\.m)"
    r"|(?<![A-Za-z])[I-Z])\Z",
)
_INITIALS = re.compile(r"(?<![A-Za-z])[A-Z]\Z")
_END = re.compile(r"[.!?](?=[\s*\"')\]$]*(?:\s|\Z))|;(?=\s)")
_LAST_LINE = re.compile(
    rf"(?:(?:{LABEL}|[*_]{{0,3}}(?i:(?:the )?(?:final )?(?:result|solution)):[*_]{{0,3}})[ \t]*(?P<a>\S[^\n]*)|(?P<b>(?:\\\[.{{1,200}}\\\]|\$\$[^$]{{1,200}}\$\$|\\\(.{{1,200}}\\\)|\$[^$\n]{{1,200}}\$)\.?)"
    r"|(?P<c>(?:[*_]{0,3})(?:Option|Choice)[ \t:]{1,3}\(?[A-Za-z]\)?[*_.]{0,4}|[*_]{0,3}\([A-H]\)[*_.]{0,4}|(?:\*\*|__)?[A-H](?:\*\*|__)?\.?))[ \t]*\Z"
)

FACTORIAL = re.compile(r"[\dn)}]!")
"""A factorial; a text without another one that says ``The answer is 54!`` is glad of 54."""
_TURNED = re.compile(
    r"(?:\A|[.!?:;,] |\b(?:so|thus|hence|therefore|that),? )(?!(?:this|that|it|which|what|here|there|one|he|she)\b)([*_$]{0,3}[^\s,;:!?]{1,40}) is (?:the|our|my) "
    r"(?:(?:final|correct|right|best) )?(?:answer|option|choice)[.!*_]{0,3}\Z",
    re.IGNORECASE,
)
"""``So 21 is the answer.``"""
_CORRECT = re.compile(
    r"(?:\A|[\n.!?:]|\b(?i:so|thus|hence|therefore)\b),?[ \t*_>#-]{0,6}(?i:the )?(?i:answer )?(?P<answer>(?:(?i:option|choice) [*_$]{0,3}\(?[A-Ha-h]\)?|[*_$]{0,3}\([A-H]\)|[*_$]{0,3}[A-H])[*_$]{0,3})"
    r" (?i:is|must be) (?i:indeed |clearly )?(?i:the )?(?i:correct|right|best)(?i: one| answer| option| choice)?(?=[.!*_,;]|\s{0,8}\Z|\n)"
)
_RESULT = re.compile(
    r"\b(?P<article>(?:the|our|my) )?(?P<final>final |overall )?(?:result|solution)(?: (?:to|of|for) (?:the|this|our) (?:question|problem|puzzle|equation|exercise))?"
    r"(?: (?:is|equals|=)(?![A-Za-z])[ \t]{0,4}:?|[*_]{0,3}:[*_]{0,3})[ \t]{0,4}(?P<rest>[^\n]{1,300})",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"[.!*_]{0,3}(?: [^\d=\n]{0,40})?\s{0,8}\Z")
"""What may follow a solution that is the last thing said: ``Well done!``"""
_LAST_DISPLAY = re.compile(r"(?:\\\[\s*([^\[\]\n]{1,200}?)\s*\\\]|\$\$\s*([^$\n]{1,200}?)\s*\$\$)\.?\Z")
"""A formula on lines of its own, which ends a text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Where and how a text states an answer.

    Attributes:
        start: Where the statement begins.
        end: Where it ends.
        answer: The answer; never empty.
        boxes: Spans ``(start, start of content, end of content, end)`` of the boxes that hold it.
        remark: Whether it is a sentence, which may be a remark behind a statement.
    """

    start: int
    end: int
    answer: str
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    remark: bool = False


def find_statement(text: str) -> Statement | None:
    """Finds the statement of the final answer that counts.

    Args:
        text: A whole completion or path. What stands before ``</think>`` is no part of the search; after an opening tag that is
            never closed nothing is.
    """
    begin = answer_start(text) if "think>" in text else 0
    if begin is None:
        return None
    found, about = _candidates(text, begin)
    if found:
        return found[0] if len(found) == 1 else _last_of(found)
    last = _last_line(text, begin) or _without_the_word(text, begin)
    if last is not None:
        return last
    if about:
        return next((statement for statement in reversed(about) if gives_value(statement.answer)), about[-1])
    return _rest_after_thoughts(text, begin) if begin else None


def _last_of(found: list[Statement]) -> Statement:
    r"""The last statement; a sentence without a value counts only before one with a value: ``\boxed{8}. The answer is even.``"""
    last = max(found, key=lambda statement: (statement.end, -statement.start))
    if not last.remark or gives_value(last.answer):
        return last
    kept: list[Statement] = []
    valued = False
    for statement in sorted(found, key=lambda statement: statement.start):
        value = gives_value(statement.answer)
        if value or not (valued and statement.remark):
            kept.append(statement)
        valued = valued or value
    return max(kept, key=lambda statement: (statement.end, -statement.start))


def answer_start(text: str) -> int | None:
    """Where the part that may state an answer begins: behind the last ``</think>``; ``None`` where thoughts are still open."""
    closed, opened = text.rfind("</think>"), text.rfind("<think>")
    if opened > closed:
        return None
    return closed + len("</think>") if closed >= 0 else 0


def _candidates(text: str, begin: int) -> tuple[list[Statement], list[Statement]]:
    """Every statement, and every sentence that only may be one."""
    found = _boxed(text, begin) if "box" in text else []
    about: list[Statement] = []
    for match in HASHES.finditer(text, begin):
        answer = strip_markup(match[1])
        if answer:
            found.append(Statement(match.start(), match.end(), answer))
    for match in _ANSWER_TAG.finditer(text, begin):
        answer = strip_markup(match[1])
        inner = _inner(answer)
        if inner:
            found.append(Statement(match.start(), match.end(), inner))
    covered = [(statement.start, statement.end) for statement in found]
    for pattern in (_LABEL, _SENTENCE):
        worded = pattern.search(text, begin)
        while worded:  # a line may state two: "The answer is 20. Wait, the answer is 21."
            _add_worded(text, worded, pattern is _LABEL, covered, found, about)
            worded = pattern.search(text, max(worded.start("rest"), worded.start() + 1))
    return found, about


def _inner(answer: str) -> str | None:
    """The answer between tags, which may state it once more."""
    again = _candidates(answer, 0)[0] if len(answer) > 1 else []
    return max(again, key=lambda statement: statement.end).answer if again else answer or None


def _add_worded(
    text: str,
    match: re.Match[str],
    label: bool,
    covered: list[tuple[int, int]],
    found: list[Statement],
    about: list[Statement],
) -> None:
    start = match.start("word") if label else match.start()
    rest, at = match["rest"], match.start("rest")
    if label and not match["line"] and not _begins_sentence(text, start) and not match["end"].strip():
        return
    if _EMPTY.match(rest):
        if label and match["line"] is None:
            return
        following = _NEXT_LINE.match(text, match.end())
        if following is None:
            return
        bullet = _BULLET.match(following[2])
        skipped = bullet.end() if bullet else 0
        rest, at = following[2][skipped:], following.start(2) + skipped
        if following[1]:
            rest = rest.split("$$" if following[1] == "$$" else "\\]")[0]
    cut = sentence_end(rest)
    end = at + cut
    if any(start <= s < end + 2 or s <= start < e for s, e in covered):
        return  # the box or the tag inside it says the same
    heading = label and match["line"] is not None
    counts = "" if heading else standing(text, start, _has_article(match, label), text[start:end])
    answer = _calm(text, at, rest, cut) if "!" in rest else strip_markup(rest[:cut])
    if answer[:4].lower() == "not ":
        answer = without_refused(answer)
    if counts == "denied" or not answer or answer.startswith(("?",)) or rest[cut : cut + 1] == "?":
        return
    first = text.rfind("\n", 0, start) + 1 if heading else start
    statement = Statement(first, end, answer, remark=not heading)
    doubtful = bool(counts) or (not label and speaks_about(answer))
    if doubtful and any(takes_back(answer, other.answer) for other in (*found[-20:], *about[-20:])):
        doubtful = False  # "The answer is 8. No, the answer is not 8."
    (about if doubtful else found).append(statement)


def _has_article(match: re.Match[str], label: bool) -> bool:
    """Whether a statement names whose answer it is by itself: ``the answer``."""
    if label:
        return re.match(r"(?i)the|my|our", match[0]) is not None
    return match["article"] is not None


def _calm(text: str, at: int, rest: str, cut: int) -> str:
    """The answer without exclamation marks that are joy and no factorial: ``7!!!``, and ``7!`` in a text without a factorial."""
    answer = strip_markup(rest[:cut])
    marks = re.search(r"[!*_]*\Z", rest[: cut + 1])
    joy = marks is not None and marks[0].count("!") >= 3
    if joy or (answer.endswith("!") and not FACTORIAL.search(text, 0, at)):
        return strip_markup(answer.rstrip("!"))
    return answer


def _begins_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 16) : start].rstrip(" \t*_#>-")
    return not before or before[-1] in "\n.!?:"


def sentence_end(rest: str) -> int:
    """Where the first sentence of a line ends: at its full stop, not at the one of ``Dr.``, ``p.m.`` or ``J. K. Rowling``."""
    for match in _END.finditer(rest[:2000]):
        if match[0] == ".":
            before = rest[: match.start()]
            after = rest[match.end() :].lstrip()
            if (
                _ABBREVIATION.search(before[-8:])
                and after[:1].isalnum()
                and not (before[-2:] in (".m",) and after[:1].isupper())
            ):
                continue
            if _INITIALS.search(before) and re.match(r"[A-Z]\. ", after):
                continue
            if before.endswith("..") or rest[match.end() : match.end() + 1] == ".":
                continue
        elif match[0] == "!" and rest[match.start() - 1 : match.start()].isdigit():
            continue  # a factorial
        return match.start()
    return min(len(rest), 2000)


def strip_markup(text: str) -> str:
    """An answer without Markdown and blanks around it."""
    text = text.strip()
    while len(text) > 1 and text[0] in "*_`" and (text[-1] == text[0] or text[0] != "_"):
        text = text.strip(text[0]).strip()
    return text.rstrip("*`").strip()


def boxes_of(text: str, begin: int = 0) -> list[tuple[int, int, int, int]]:
    """Every closed box as (start, start of content, end of content, end), in order of closing."""
    found: list[tuple[int, int, int, int]] = []
    stack: list[tuple[int, int] | None] = []
    for token in _BRACES.finditer(text, begin):
        if token[0] == "{":
            stack.append(None)
        elif token[0] == "}":
            opened = stack.pop() if stack else None
            if opened is not None:
                found.append((*opened, token.start(), token.end()))
        elif token[0].endswith("{") and len(token[0]) > 2:
            stack.append((token.start(), token.end()))
    return found


def unwrap(content: str) -> str:
    """The content of a box, out of boxes around it and of ``$``."""
    for _ in range(4):
        content = content.strip()
        inner = boxes_of(content)
        if not inner or inner[-1][0] != 0 or inner[-1][3] != len(content):
            break
        content = content[inner[-1][1] : inner[-1][2]]
    if len(content) > 1 and content[0] == content[-1] == "$":
        content = content[1:-1]
    return content.strip()


def _boxed(text: str, begin: int) -> list[Statement]:
    """The boxes that are in no other; those that are listed are one."""
    boxes = boxes_of(text, begin)
    outer: list[tuple[int, int, int, int]] = []
    for box in sorted(boxes):
        if not outer or box[0] >= outer[-1][3]:
            outer.append(box)
    found: list[Statement] = []
    for box in outer:
        content = unwrap(text[box[1] : box[2]])
        if not content or is_denied(text, box[0], box[3]):
            continue
        last = found[-1] if found else None
        if last is not None and box[0] - last.end < 40 and _BETWEEN_BOXES.fullmatch(text, last.end, box[0]):
            found[-1] = Statement(last.start, box[3], f"{last.answer}, {content}", (*last.boxes, box))
        else:
            found.append(Statement(box[0], box[3], content, (box,)))
    for match in _OPEN_BOX.finditer(text, begin):
        if not is_denied(text, match.start(), match.end()):
            found.append(Statement(match.start(), match.end(), match[1].rstrip(".,")))
    return [statement for statement in found if statement.answer]


def _last_line(text: str, begin: int) -> Statement | None:
    body = text.rstrip()
    display = _LAST_DISPLAY.search(body, max(begin, len(body) - 300))
    if display:
        return Statement(display.start(), len(body), display[1] or display[2])
    start = max(body.rfind("\n") + 1, begin)
    line = body[start:]
    turned = _TURNED.search(line[-400:])
    if turned:
        offset = max(0, len(line) - 400)
        return Statement(start + offset + turned.start(1), len(body), strip_markup(turned[1]))
    blank = len(line) - len(line.lstrip())
    match = _LAST_LINE.match(line.strip()) if len(line) < 2000 else None
    if match is None:
        return None
    answer = strip_markup(match["a"] or match["b"] or match["c"])
    return Statement(start + blank, len(body), answer) if answer else None


def _without_the_word(text: str, begin: int) -> Statement | None:
    """``Option B is correct.``, ``The final result is 7.`` anywhere; ``The solution is 7.`` at the end, for a path has results on its way."""
    found: list[Statement] = []
    for match in _CORRECT.finditer(text, begin):
        found.append(
            Statement(match.start("answer"), match.end(), strip_markup(match["answer"].replace("**", "")))
        )
    for match in _RESULT.finditer(text, begin):
        cut = sentence_end(match["rest"])
        end = match.start("rest") + cut
        answer = _calm(text, match.start("rest"), match["rest"], cut)
        named = match["article"] is not None or match["final"] is not None
        if not match["final"] and not _CLOSING.match(text, end):
            continue
        if (
            gives_value(answer)
            and not speaks_about(answer)
            and not standing(text, match.start(), named, match[0])
        ):
            found.append(Statement(match.start(), end, answer))
    return max(found, key=lambda statement: statement.end, default=None)


def _rest_after_thoughts(text: str, begin: int) -> Statement | None:
    """One short line after ``</think>`` is the answer, whatever its form."""
    rest = text[begin:].strip()
    rest = re.sub(r"\A<answer>|</answer>\Z", "", rest).strip()
    if not rest or len(rest) > 80 or "\n" in rest or "\\boxed" in rest:
        return None
    return Statement(begin, len(text), strip_markup(rest).rstrip("."))
