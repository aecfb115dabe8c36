"""The values of a table's cells as text: numbers, dates, chat messages, lists of paths."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Mapping
from typing import Any

from rlkd.data.sources.base import Malformed
from rlkd.user_files import clean_text, keys_of

_ROLES = ("role", "from")
"""Key of a chat message that says who speaks: OpenAI's form, ShareGPT's form."""

_ASSISTANT = ("assistant", "model", "gpt", "bot", "chatgpt")
_TEXTS = ("text", "content", "value", "path", "solution", "trace")
"""Keys under which an object holds a path."""


def text_of(value: Any, column: str, reason: str = "a value that is no text") -> str:
    """A cell as text: yes or no for booleans, numbers without a trailing ``.0``; empty for an empty cell.

    Raises:
        Malformed: It is a list or an object.
    """
    if isinstance(value, str):
        return clean_text(value).strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return ""
        plain = f"{value:f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, (datetime.date, datetime.time, uuid.UUID)):
        return value.isoformat() if not isinstance(value, uuid.UUID) else str(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise Malformed(reason, f"column {column!r} holds bytes that are not UTF-8") from None
    if value is None:
        return ""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a NumPy scalar
        return text_of(value.item(), column, reason)
    raise Malformed(reason, f"column {column!r} holds {_kind(value)}")


def question_of(value: Any, column: str) -> str:
    """A cell as a question: text, or chat messages of which one is the user's.

    Raises:
        Malformed: It is neither.
    """
    if not is_chat(value):
        return text_of(value, column, "no question")
    asked = [said(message, column) for message in value if _speaker(message) in ("user", "human")]
    system = [said(message, column) for message in value if _speaker(message) == "system"]
    if len(asked) != 1:
        raise Malformed(
            "no question",
            f"column {column!r} holds a chat in which the user speaks {len(asked)} times, not once",
        )
    return "\n\n".join([*system, *asked]).strip()


def paths_of(value: Any, column: str) -> list[str]:
    """Teacher paths in a cell: a text, chat messages (what the assistant says), an object with a text, or a list of those.

    Raises:
        Malformed: It holds something else, which would be lost.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        text = clean_text(value).strip()
        return [text] if text else []
    if is_chat(value):
        answers = [said(message, column) for message in value if _speaker(message) in _ASSISTANT]
        if not answers:
            raise Malformed(
                "a value that is no path", f"column {column!r} holds a chat in which no assistant speaks"
            )
        return [text for text in ["\n".join(answers).strip()] if text]
    if isinstance(value, (list, tuple)):
        return [path for item in value for path in paths_of(item, column)]
    if isinstance(value, Mapping):
        if isinstance(value.get("messages"), (list, tuple)):
            return paths_of(value["messages"], column)
        return paths_of(said(value, column), column)
    raise Malformed("a value that is no path", f"column {column!r} holds {_kind(value)}")


def is_chat(value: Any) -> bool:
    """Whether a cell holds chat messages: ``[{role: ..., content: ...}, ...]``."""
    return (
        isinstance(value, (list, tuple)) and bool(value) and all(_speaker(item) is not None for item in value)
    )


def said(message: Mapping[str, Any], column: str) -> str:
    """The text of an object, with the reasoning that stands beside it in front.

    Raises:
        Malformed: It has none.
    """
    key = next((key for key in _TEXTS if key in message), None)
    if key is None:
        raise Malformed(
            "a value that is no path",
            f"column {column!r} holds objects with {keys_of(message)}, none of which is {', '.join(_TEXTS)}",
        )
    content = message[key]
    if isinstance(content, (list, tuple)):  # parts of a message
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    reasoning = message.get("reasoning_content")
    parts = [part for part in (reasoning, content) if part]
    if not all(isinstance(part, str) for part in parts):
        raise Malformed("a value that is no path", f"column {column!r}: {key} holds {_kind(content)}")
    return clean_text("\n".join(parts)).strip()


def _speaker(item: Any) -> str | None:
    if not isinstance(item, Mapping):
        return None
    return next((str(item[key]).lower() for key in _ROLES if isinstance(item.get(key), str)), None)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with {keys_of(value)}"
    return (
        f"a list of {len(value)}"
        if isinstance(value, (list, tuple))
        else f"a value of type {type(value).__name__}"
    )
