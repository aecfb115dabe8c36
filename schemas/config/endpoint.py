"""Where a model that decomposes or judges runs: behind an OpenAI-compatible server, or in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.base import OPERATIONAL, JsonValue, Positive, Schema

_SECRET_NAME = re.compile(
    r"(?:.*_)?(?:api_?key|apikey|authorization|bearer|password|passwd|secret|credentials?)|x_api_key"
    r"|(?:auth|access|secret|private|subscription)_?key|(?:.*_)?(?:auth|access|api|bearer|session|refresh)_token|auth|key|token"
)
"""Names of fields that hold a key; not those that only speak of tokens, such as ``max_tokens`` or ``stop_token_ids``."""
_SECRET_VALUE = re.compile(r"(?:Bearer|Basic) \S{8,}|(?:sk|pk|hf|gsk|ghp|xai)[-_][A-Za-z0-9_-]{16,}")
_NO_SECRET = "a key must not stand in a configuration, which goes into every run folder; set an environment variable and name it in api_key_env"


def _secrets(value: JsonValue, name: str = "") -> Iterator[str]:
    """Names of the fields, at any depth, that look as if they held a key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            own = f"{name}.{key}" if name else key
            plain = re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_")
            if inner not in (None, "") and not isinstance(inner, bool) and _SECRET_NAME.fullmatch(plain):
                yield own
            else:
                yield from _secrets(inner, own)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, name)
    elif isinstance(value, str) and _SECRET_VALUE.match(value):
        yield name


class OpenAIEndpoint(Schema):
    """A server with the OpenAI chat-completions interface: vLLM, SGLang, llama.cpp, TGI, Ollama, or a vendor's."""

    type: Literal["openai"] = Field(default="openai", description="An OpenAI-compatible HTTP server.")
    base_url: str = Field(
        description="Address up to and with the version, for example http://127.0.0.1:8000/v1."
    )
    model: str = Field(min_length=1, description="Model name as the server knows it.")
    api_key_env: Annotated[str | None, OPERATIONAL] = Field(
        default=None,
        description="NAME of the environment variable that holds the key (never the key itself); null sends none.",
    )
    concurrency: Annotated[int, OPERATIONAL] = Field(default=32, ge=1, description="Most requests at once.")
    timeout_s: Annotated[float, OPERATIONAL] = Field(
        default=120.0,
        gt=0,
        description="Longest time that one attempt may take, in seconds, waiting for the server included.",
    )
    attempts: Annotated[int, OPERATIONAL] = Field(
        default=5,
        ge=1,
        description="Attempts per request; only rate limits, server errors and lost connections are tried again.",
    )
    max_wait_s: Annotated[float, OPERATIONAL] = Field(
        default=30.0,
        ge=0,
        description="Longest wait between two attempts where the server names none.",
    )
    max_retry_after_s: Annotated[float, OPERATIONAL] = Field(
        default=300.0,
        ge=0,
        description="Longest wait that a server may ask for with Retry-After; after that the request is tried again all the same, and it is said.",
    )
    requests_per_minute: Annotated[float | None, OPERATIONAL] = Field(
        default=None, gt=0, description="Most attempts in a minute; null sends as fast as the server answers."
    )
    tokens_per_minute: Annotated[float | None, OPERATIONAL] = Field(
        default=None,
        gt=0,
        description="Most tokens in a minute, prompts and completions together; null has no limit.",
    )
    structured_output: Literal["json_schema", "json_object", "none"] = Field(
        default="json_schema",
        description="How the server is asked for JSON: by schema, as any object, or by the prompt only.",
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Fields added to every request, for example {chat_template_kwargs: {enable_thinking: false}}; null takes one out, "
        "for example {max_tokens: null, max_completion_tokens: 4096}.",
    )

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        address, _, rest = value.split("//", 1)[1].partition("/")
        if "@" in address:
            raise ValueError(f"must not hold a user name or password: {_NO_SECRET}")
        if "?" in address + rest or "#" in address + rest:
            raise ValueError(
                f"must end with the path, without ? and #, because more is added to it; and {_NO_SECRET}"
            )
        return value.rstrip("/")

    @field_validator("extra_body")
    @classmethod
    def _holds_no_secret(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        found = ", ".join(_secrets(value))
        if found:
            raise ValueError(f"{found} looks like a key: {_NO_SECRET}")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_variable_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ValueError("must be the name of an environment variable, such as JUDGE_API_KEY, not a key")
        return value


class LocalEndpoint(Schema):
    """A causal LM run in this process with transformers: greedy, batched."""

    type: Literal["local"] = Field(default="local", description="A model in this process (transformers).")
    path: str = Field(min_length=1, description="Folder or Hugging Face id of the model.")
    revision: str | None = Field(default=None, description="Commit or tag on the hub.")
    device: str = Field(default="auto", description="Torch device; auto takes the GPU where there is one.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Weights and arithmetic."
    )
    batch_size: Positive = Field(default=16, description="Most requests generated at once.")
    chat: bool = Field(
        default=True,
        description="Use the tokenizer's chat template; false writes the messages one after another.",
    )
    trust_remote_code: bool = Field(
        default=False,
        description="Run Python code that comes with the model. Off unless you trust its authors.",
    )


EndpointConfig = Annotated[OpenAIEndpoint | LocalEndpoint, Field(discriminator="type")]
