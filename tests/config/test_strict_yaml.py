"""Nothing changes in silence between what a person writes in YAML and what is read."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rlkd.config import strict_yaml
from rlkd.config.strict_yaml import dump_yaml, parse_setting, parse_yaml
from rlkd.errors import ConfigError


def value(text: str) -> Any:
    return parse_yaml(f"a: {text}\n", "c.yaml").value["a"]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "c.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", 10), ("-7", -7), ("+3", 3), ("0", 0), ("0x1F", 31), ("0o17", 15), ("1e-3", 0.001), ("1.5", 1.5), (".5", 0.5),
        ("2.", 2.0), ("-.inf", -math.inf), ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("y", "y"), ("2024-01-01", "2024-01-01"), ("2024-01-01 10:00:00", "2024-01-01 10:00:00"), ("1.2.3", "1.2.3"),
        ("host:8080", "host:8080"), ("'010'", "010"), ('"yes"', "yes"), ("!!str 010", "010"), ("!!int 3", 3), ("!!float 3", 3.0),
        ("'#### (.+)'", "#### (.+)"), ("a#b", "a#b"), ("[a#b, 'c #d']", ["a#b", "c #d"]), ("|\n  x #### y", "x #### y\n"),
        ("demo # the name", "demo"), ("3 # steps", 3), ("3 #steps", 3), ("null # none", None), ("'x' # y", "x"), ("3 # a ## b", 3),
        ("[1, 2] # two", [1, 2]), ("\n  # nothing yet\n  b: 1", {"b": 1}), ("# why\n  b: 1", {"b": 1}),
    ],
)  # fmt: skip
def test_plain_words_by_the_core_schema(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("yes", "write true, or 'yes' in quotes"), ("Off", "write false, or 'Off' in quotes"), ("NO", "write false"),
        ("010", "octal to some readers of YAML; write 10, or '010' in quotes"), ("-007", "write -7"), ("00", "write 0,"),
        ("1:30", "base 60"), ("12:30:45", "base 60"), ("1_000", "write 1000, or '1_000' in quotes"), ("1_0.5", "write 10.5"),
        ("0b101", "write it in decimal"), ("0x_1F", "write it in decimal"),
        ("#### (.+)", "a is empty, as ' #' begins a comment; write '#### (.+)' in quotes, or null"),
        ("# none", "a is empty"), ("#x", "a is empty"),
        ("Use #### at the end", "a would end at 'Use', as ' #' begins a comment"), ("Use #tags", "would end at 'Use'"),
        ("5 #### x", "'#### x' is a comment, as ' #' begins one; put what it belongs to in quotes"), ("'x' #### y", "is a comment"), ("\n  #### (.+)", "a is empty, as # begins a comment in the next line"),
        ("[yes]", "a.0 is yes"), ("{b: 0o7, c: 1_0}", "a.c is 1_0"), ("[x, #### y\n  ]", "is a comment"),
        ("!!int x", "drop the tag"), ("!!binary aGk=", "drop the tag"), ("!!set {b}", "drop the tag"), ("!x [1]", "drop the tag"),
        ("{#### (.+)}", "is a comment"), ("{b: #### (.+)}", "is a comment"), ("{b: # x}", "' #' begins a comment in line 2, so put a value that holds it in quotes"),
        ("{[1]: 2}", "cannot be the name of a setting"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_refused_with_its_line(text: str, wanted: str) -> None:
    found = refusal(f"first: 1\na: {text}\n")
    assert found.startswith(("c.yaml, line 2: ", "c.yaml, line 3: ")), found
    assert any(part in found for part in wanted.split("|")), found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: a is set twice (first at c.yaml, line 1)"),
        ("x:\n  a: 1\n  'a': 2\n", "line 3: x.a is set twice"),
        ('{"x": [{"a": 1,\n"a": 2}]}', "line 2: x.0.a is set twice"),
        ("1: a\n'1': b\n", "line 2: 1 is set twice"),
    ],
)
def test_two_equal_keys_are_refused(text: str, line: str) -> None:
    assert line in refusal(text)


def test_aliases_that_multiply_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_yaml, "_MAX_VALUES", 2_000)
    bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10))
    assert len(bomb) < 600
    assert "aliases repeat more than 2,000 values; write them out" in refusal(bomb)
    merges = "m0: &m0 {k: 1}\n" + "".join(
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}], k{i}: 1}}\n" for i in range(1, 10)
    )
    assert "aliases repeat more than" in refusal(merges)
    assert "nested too deeply" in refusal("a: &x [*x]\n")
    assert "nested too deeply" in refusal("a: " + "[" * 5000 + "]" * 5000)


def test_aliases_and_merges_that_a_person_writes_work() -> None:
    text = "base: &b {x: 1, y: 2}\na: {<<: *b, y: 3}\nc: *b\nd: {<<: [*b, {z: 4}]}\n"
    parsed = parse_yaml(text, "c.yaml")
    assert parsed.value == yaml.safe_load(text)
    assert parsed.places[("a", "y")] == "c.yaml, line 2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9", 9), ("1e-3", 0.001), ("true", True), ("null", None), ("~", None), ("", ""), ("  7 ", 7),
        ("#### (.+)", "#### (.+)"), ("Use #### at the end", "Use #### at the end"), ("#", "#"), ("a # b", "a # b"),
        ("yes", "yes"), ("010", "010"), ("1:30", "1:30"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01"),
        ("a: b", "a: b"), ("- a", "- a"), ("*bold*", "*bold*"), ("&x", "&x"), ("!!int 3", "!!int 3"), ("%d", "%d"), ("@x", "@x"),
        ("[1, 2]", [1, 2]), ("[]", []), ("{}", {}), ("{rank: 4}", {"rank": 4}), ('{"a": "b #c"}', {"a": "b #c"}),
        ("{a: x #1, b: [#2]}", {"a": "x #1", "b": ["#2"]}), ("{question}", "{question}"), ("{question} {x}", "{question} {x}"),
        ("[0-9]+ #(.+)", "[0-9]+ #(.+)"), ("'010'", "010"), ('"5"', "5"), ('"a #b\\n"', "a #b\n"), ('"a" and "b"', '"a" and "b"'),
        ("'", "'"), ("don't", "don't"), ("[", "["), ("####\\s*(.+)", "####\\s*(.+)"),
    ],
)  # fmt: skip
def test_a_setting_on_the_command_line_is_text_unless_it_clearly_is_not(text: str, expected: Any) -> None:
    found = parse_setting(text)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("text", ["[1, 2: 3: 4]", "{a: [}", "{a: yes}", "{a: 1, a: 2}", "[*x]"])
def test_a_list_or_mapping_on_the_command_line_must_be_clear(text: str) -> None:
    with pytest.raises(ConfigError, match=r"not valid YAML|a is yes|set twice"):
        parse_setting(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TRICKY = st.sampled_from(
    ["010", "1e3", "1e-05", "yes", "Off", "1:30", "1_000", "0o17", "0x1f", "0b1", "2024-01-01", "a #b", "#### x", "#", "~", "null", ".5",
     "12e4567", "true", "<<", "=", "- a", "a: b", "", " x", "x ", "\n#### y", "\u2028", "\ufeff", "\x85"]
)  # fmt: skip


@given(JSON_VALUES | TRICKY | st.lists(TRICKY))
def test_what_is_dumped_reads_to_the_same(made: Any) -> None:
    text = dump_yaml({"a": made})
    assert parse_yaml(text, "c.yaml").value == {"a": made}
    assert yaml.safe_load(text) == {"a": made}


@given(st.text(alphabet=st.characters(exclude_characters="\ue000", exclude_categories=("Cs",))))
def test_no_text_on_the_command_line_loses_a_character(text: str) -> None:
    found = parse_setting(text)
    if isinstance(found, str) and text.strip()[:1] not in ("'", '"'):
        assert found == text.strip()


def test_a_character_that_yaml_does_not_allow_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml("a: 1\nb: x\0y\n", "f.yaml")
    assert str(error.value) == (
        "f.yaml, line 2: not valid YAML (it holds the character U+0000, which YAML does not allow); "
        "take it out, or write it as an escape in double quotes"
    )
