"""What is GSM8K's own: ``#### 18`` at the end, calculator marks (``<<2*3=6>>``) in the text, and ``A: 18`` of its solvers."""

from __future__ import annotations

import re

HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*([^\n]*)")
"""The line that states the answer."""
MARKS = re.compile(r"<<[^<>\n]{0,200}>>")
"""A calculator mark."""
MARK = r"<<([^<>\n]{1,200})>>"
"""A calculator mark with its content, as a pattern."""
MARK_START, MARK_END = "<<", ">>"
LABEL = r"A[ \t]{0,4}:"
"""What a last line that states the answer may begin with, as a pattern."""
STATES = r"(?:####|A\s?(?:\*\*)?:)"
"""What a line that states the answer begins with, as a pattern."""
STATED = re.compile(rf"\s*{STATES}")
"""The beginning of such a line."""


def statement(answer: str) -> str:
    """The line that states an answer."""
    return f"#### {answer}"


def without_marks(text: str) -> str:
    """The text without calculator marks."""
    return MARKS.sub("", text)


def without_statements(text: str) -> str:
    """The text with no line that would read as the statement of an answer."""
    return re.sub(r"(?m)^([ \t]*)####(?!#)", r"\1###", text)
