from __future__ import annotations

from rlkd.data.sources.rows import _traces


def test_paths_come_as_text_as_lists_and_as_objects_that_name_their_teacher() -> None:
    row = {
        "solution": " 1 + 2 = 3 ",
        "traces": [{"model": "gpt4", "text": "3 it is."}, {"model": "other", "text": None}, "Three.", None],
    }
    assert _traces(row, ("solution", "traces")) == ("1 + 2 = 3", "3 it is.", "Three.")
