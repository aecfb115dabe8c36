"""A key never gets into a configuration, and so into no run folder, parameter or report."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rlkd.config.load import load_config
from rlkd.errors import ConfigError
from schemas.config.endpoint import OpenAIEndpoint

SERVER = {"type": "openai", "base_url": "https://host/v1", "model": "m"}


@pytest.mark.parametrize(
    "base_url",
    [
        "https://me:SEKRET@host/v1",
        "https://SEKRET@host",
        "https://host/v1?api_key=SEKRET",
        "https://host?api-version=1",
        "https://host/v1#SEKRET",
    ],
)
def test_an_address_holds_no_key(base_url: str) -> None:
    with pytest.raises(ValidationError, match="api_key_env"):
        OpenAIEndpoint.model_validate(SERVER | {"base_url": base_url})


@pytest.mark.parametrize(
    ("extra_body", "name"),
    [
        ({"api_key": "SEKRET"}, "api_key"),
        ({"apiKey": "SEKRET"}, "apiKey"),
        ({"X-Api-Key": "SEKRET"}, "X-Api-Key"),
        ({"Authorization": "Bearer SEKRET"}, "Authorization"),
        ({"headers": {"authorization": "SEKRET"}}, "headers.authorization"),
        ({"provider": [{"OPENAI_API_KEY": "SEKRET"}]}, "provider.OPENAI_API_KEY"),
        ({"access_token": "SEKRET"}, "access_token"),
        ({"client_secret": "SEKRET"}, "client_secret"),
        ({"password": 1234}, "password"),
        ({"user": "sk-SEKRET0123456789abcdef"}, "user"),
        ({"extra": "Bearer SEKRET0123456789"}, "extra"),
    ],
)
def test_what_is_sent_along_holds_no_key(extra_body: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} looks like a key: .*api_key_env"):
        OpenAIEndpoint.model_validate(SERVER | {"extra_body": extra_body})


def test_ordinary_fields_are_sent_along() -> None:
    body = {
        "chat_template_kwargs": {"enable_thinking": False, "author": "x"},
        "max_tokens": 9,
        "stop_token_ids": [1, 2],
        "min_tokens": 1,
        "return_token_ids": True,
        "logit_bias": {"50256": -100},
        "prompt_cache_key": None,
        "seed": 3,
        "add_special_tokens": False,
        "keyword": "k",
        "secretary": "s",
    }
    assert OpenAIEndpoint.model_validate(SERVER | {"extra_body": body}).extra_body == body


def test_the_configuration_says_so_without_repeating_the_key(tmp_path: Any) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ndata: {type: world}\n"
        "structures:\n  judge:\n    type: llm\n    endpoint: {type: openai, base_url: 'https://h/v1?api_key=SEKRET', model: m, "
        "extra_body: {api_key: SEKRET}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    text = str(caught.value)
    assert "2 faults" in text
    assert "structures.judge.endpoint.base_url" in text
    assert "structures.judge.endpoint.extra_body" in text
    assert "api_key_env" in text
    assert "SEKRET" not in text
