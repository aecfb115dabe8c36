"""Whether the answer that a path states is what the path itself finds.

"So Wes: Gus in but not Bob out is in. The answer is out." takes the right steps and then states something else. Where a guess pays
half, a student learns the steps long before it stops guessing the last line; nothing in the steps tells of that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlkd.quantities.numbers import parse_number, same_value, stated_number
from rlkd.structure.reading.words.conclusions import conclusion_of
from rlkd.structure.reading.words.propositions import read_proposition, same_proposition
from schemas.structure import Structure

_ASKED = re.compile(r"\btrue or false\s?[:?]\s{0,3}(?P<claim>[^\n]{3,240}?)\s*\Z", re.IGNORECASE)
_IS = re.compile(r"\bIs (?P<who>[A-Z][\w'-]{0,24}) (?P<what>[^?,\n]{2,80})\?\s*\Z")
_VERDICTS = {"yes": True, "no": False}
_CHOICE = re.compile(
    r"(?P<some>(?:(?:an?|the) )?[\w'-]+(?:, (?:(?:an?|the) )?[\w'-]+){0,8}),? or (?P<other>(?:(?:an?|the) )?[\w'-]+)\?\s*\Z"
)
_OPTIONS = re.compile(r"(?m)^[ \t]*\(?([A-Ja-j])[).][ \t]+(\S[^\n]*?)[ \t]*$")
_KINDS = re.compile(r"(?P<verdict>(?:yes|no)\Z)|(?P<option>\([a-j]\)\Z)")


@dataclass(frozen=True, slots=True)
class StatedAnswer:
    """The answer that a path states.

    Attributes:
        said: What the path's text concludes, as :func:`read_conclusion` says it.
        answer: The stated answer, where it was cut off the text; else empty.
        conclusion: What the path concludes, where that is no number: the stated answer, else what its text says.
        finding: What the steps find, where the decomposer knows it: empty where no step comes to what is asked, ``None`` where not known.
    """

    said: str
    answer: str
    conclusion: str
    finding: str | None

    @property
    def is_guess(self) -> bool:
        """Whether it is known that no step comes to what is asked."""
        return self.finding == ""

    def is_own(self, last: str, problem: str) -> bool | None:
        """Tells whether it is what a path without calculations finds; see :func:`is_own_answer`.

        A word that no step comes to is a guess and not the path's own; of a number that is not said, since it is hardly ever right.

        Args:
            last: Answer of the last step that finds something.
            problem: The problem's text.
        """
        stated = self.answer or self.said
        if not stated:
            return None
        if self.is_guess:
            return False if conclusion_of(stated) else None
        return is_own_answer(stated, self.said if self.answer else "", self.finding or last, problem)


UNSTATED = StatedAnswer("", "", "", None)
"""No answer, or a number beside calculations."""


def read_stated(structure: Structure, answer: str | None, problem: str) -> StatedAnswer:
    """Reads what a path states.

    Args:
        structure: The path.
        answer: The stated answer, where it was cut off the text; ``None`` takes the structure's.
        problem: The problem's text: an answer that is the text of one of its options is that option, the first of
            two with one text.
    """
    stated = answer or structure.stated
    conclusion = (conclusion_of(stated) if stated else "") or structure.conclusion
    options = {f"({label.lower()})": _plain(text) for label, text in _OPTIONS.findall(problem)}
    if options:
        said = options.get(conclusion) or _plain(stated or conclusion)
        conclusion = next((label for label, text in options.items() if text == said), conclusion)
    return StatedAnswer(structure.conclusion, stated, conclusion, structure.finding)


def _plain(text: str) -> str:
    """The words of an answer, without articles and signs."""
    return " ".join(w for w in re.findall(r"[^\W_]+", text.lower()) if w not in ("a", "an", "the")) or text


def is_own_answer(stated: str, said: str, last: str, problem: str = "") -> bool | None:
    """Tells whether a stated answer is what its path finds, which makes no calculations.

    Calculations are not compared: of the right solutions of language models to GSM8K problems 2% state a result that their last one does
    not show ("84 eggs, which is 7 dozens"), of the wrong ones 6%.

    Args:
        stated: The stated answer.
        said: What the path's own text concludes, without the statement, as :func:`read_conclusion` says it; may be empty.
        last: Answer of the path's last step that finds something; may be empty.
        problem: The problem's text: "True or false: Tom is bony." and "Is Tom bony?" are answered by a last step that says so, or
            denies it; "Is Una in or out?" by a word of it.

    Returns:
        ``None`` where the two cannot be compared: no step, no answer, a step in a whole sentence that answers no such question.

    Example:
        >>> is_own_answer("out", "", "in", problem="Is Una in or out?")
        False
        >>> is_own_answer("False", "", "Tom is not bony", problem="Tom is a cat. True or false: Tom is bony.")
        True
    """
    number, found = stated_number(stated.strip().rstrip(".")), parse_number(last.strip())
    if number is not None:
        return None if found is None else same_value(number, found)
    concluded = conclusion_of(stated)
    if said and _kind(said) == _kind(concluded) != "":
        return said == concluded
    if concluded in _VERDICTS:
        verdict = _verdict(last, problem)
        return None if verdict is None else verdict == _VERDICTS[concluded]
    chosen, named = _chosen(stated, problem), _chosen(last, problem)
    return chosen == named if chosen and named else None


def _chosen(said: str, problem: str) -> str:
    """The one choice of "Is Una in or out?" that a text names; empty where it names none, several, or denies something."""
    asked = _CHOICE.search(problem)
    if asked is None:
        return ""
    choices = {text.split()[-1].lower() for text in (*asked["some"].split(", "), asked["other"])}
    words = set(re.findall(r"[\w'-]+", said.lower()))
    found = choices & words
    return found.pop() if len(found) == 1 and "not" not in words else ""


def _kind(conclusion: str) -> str:
    """The kind of a conclusion that is one of a few; empty for a date or a relation: the last one that a path names may be a step."""
    match = _KINDS.match(conclusion)
    return match.lastgroup or "" if match else ""


def _verdict(last: str, problem: str) -> bool | None:
    """What a last step says of the claim that a problem asks about."""
    asked, question = _ASKED.search(problem), _IS.search(problem)
    claimed = asked["claim"] if asked else f"{question['who']} is {question['what']}" if question else ""
    claim = read_proposition(claimed)
    found = read_proposition(last) if claim else None
    if claim is None or found is None:
        return None
    about = same_proposition(claim, found)
    return about[1] > 0.5 if about is not None and about[0] == 1.0 else None
