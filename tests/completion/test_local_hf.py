"""Local models: batched greedy generation and first-token probabilities, checked against the model itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlkd.completion.base import CompletionFault, CompletionRequest, Message
from rlkd.completion.build import build_completer
from rlkd.completion.local_hf import LocalCompleter, _templated, model_name
from rlkd.errors import CheckpointError, EndpointError
from schemas.config.endpoint import LocalEndpoint

from ..lazy import torch

WORDS = ["<pad>", "<eos>", "<unk>", "yes", "no", "is", "it", "one", "two", "three", "the", "a", "b", "c", "d"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model over a vocabulary of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model")
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(path)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, pad_token_id=0, eos_token_id=1, bos_token_id=None, initializer_range=0.8,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def completer(folder: Path, **changes: Any) -> LocalCompleter:
    return LocalCompleter(
        LocalEndpoint.model_validate({"type": "local", "path": str(folder), "batch_size": 4} | changes)
    )


async def ask(local: LocalCompleter, requests: Sequence[CompletionRequest]) -> list[Any]:
    """Asks all at once; a request that failed is its error."""
    return await asyncio.gather(*map(local.complete, requests), return_exceptions=True)


def by_hand(folder: Path, prompt: str, steps: int) -> tuple[list[int], Any]:
    """Greedy token ids one by one, without padding or a cache, and the first step's log-probabilities."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForCausalLM.from_pretrained(folder).eval(),
    )
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    written: list[int] = []
    first = None
    with torch.inference_mode():
        for _ in range(steps):
            logprobs = model(ids).logits[0, -1].log_softmax(-1)
            first = logprobs if first is None else first
            written.append(int(logprobs.argmax()))
            if written[-1] == 1:
                break
            ids = torch.cat([ids, torch.tensor([[written[-1]]])], dim=1)
    return written, first


def test_batched_answers_are_those_of_the_model_alone(folder: Path) -> None:
    prompts = ["is it one", "the a b c d two", "no", "is it three yes no the", "a"]
    requests = [
        CompletionRequest(prompt=p, max_tokens=6, logprobs=True, allow_truncated=True) for p in prompts
    ]
    local = completer(folder)
    results = asyncio.run(ask(local, requests))
    for prompt, result in zip(prompts, results, strict=True):
        assert not isinstance(result, EndpointError)
        written, first = by_hand(folder, prompt, 6)
        kept = [token for token in written if token != 1]
        assert result.text.split() == [WORDS[token] for token in kept if token > 2]
        assert result.finish_reason == ("stop" if 1 in written else "length")
        assert (result.prompt_tokens, result.completion_tokens) == (len(prompt.split()), len(written))
        assert result.first_token_logprobs is not None
        table = dict(result.first_token_logprobs)
        assert table["yes"] == pytest.approx(float(first[3]), abs=1e-4)
        assert table["no"] == pytest.approx(float(first[4]), abs=1e-4)
    assert local.usage.requests == 5


def test_a_request_with_a_seed_draws_by_itself(folder: Path) -> None:
    def sampled(seeds: tuple[int, ...], **changes: Any) -> list[str]:
        requests = [
            CompletionRequest(prompt="is it", max_tokens=12, temperature=1.5, allow_truncated=True, seed=seed)
            for seed in seeds
        ]
        return [result.text for result in asyncio.run(ask(completer(folder, **changes), requests))]

    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    first = sampled((1, 2, 3))
    assert torch.equal(torch.random.get_rng_state(), state)  # what trains in this process draws as without it
    torch.manual_seed(8)
    assert sampled((1, 2, 3)) == first
    assert len(set(first)) > 1  # the members of a batch are different samples
    assert sampled((4, 5, 6)) != first
    assert sampled((3, 1), batch_size=1) == [first[2], first[0]]  # whatever shares the batch


def test_what_is_cut_off_is_an_error_unless_allowed(folder: Path) -> None:
    written, _ = by_hand(folder, "is it one", 3)
    assert 1 not in written  # this model does not end by itself here
    with pytest.raises(CompletionFault, match="cut off at 3 tokens") as caught:
        asyncio.run(completer(folder).complete(CompletionRequest(prompt="is it one", max_tokens=3)))
    assert caught.value.kind == "truncated"


def test_a_stop_text_ends_it_and_is_left_out(folder: Path) -> None:
    for prompt in ("is it one", "a b", "no the", "two", "yes is", "c d a"):
        words = [WORDS[token] for token in by_hand(folder, prompt, 8)[0]]
        at = next((i for i, word in enumerate(words) if word != words[0] and not word.startswith("<")), 0)
        if at and not words[0].startswith("<"):
            break
    request = CompletionRequest(prompt=prompt, max_tokens=8, stop=(words[at],))
    result = asyncio.run(completer(folder).complete(request))
    assert result.finish_reason == "stop"
    assert result.text.split() == [word for word in words[:at] if not word.startswith("<")] != []


def test_a_prompt_that_leaves_no_room_fails_alone(folder: Path) -> None:
    requests = [CompletionRequest(prompt=p, max_tokens=8, allow_truncated=True) for p in ("a " * 30, "a", "")]
    long, short, empty = asyncio.run(ask(completer(folder), requests))
    assert isinstance(long, CompletionFault)
    assert "30 prompt tokens and 8 to write do not fit into 32" in str(long)
    assert not isinstance(short, EndpointError)
    assert isinstance(empty, CompletionFault)


def test_messages_without_a_chat_template_come_one_after_another(folder: Path) -> None:
    chat = CompletionRequest(
        messages=(Message("system", "is it "), Message("user", "one")), max_tokens=4, allow_truncated=True
    )
    plain = CompletionRequest(prompt="is it\none\n", max_tokens=4, allow_truncated=True)
    local = completer(folder)

    async def both() -> Any:
        return await ask(local, [chat, plain])

    first, second = asyncio.run(both())
    assert first == second
    asyncio.run(local.aclose())
    assert asyncio.run(local.complete(plain)) == second  # loaded again after it was let go


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a causal LM"):
        asyncio.run(completer(tmp_path).complete(CompletionRequest(prompt="a")))


def test_the_name_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / folder.name)
    copy = LocalEndpoint(type="local", path=str(tmp_path / folder.name))
    assert model_name(copy) == model_name(LocalEndpoint(type="local", path=str(folder)))
    weights = tmp_path / folder.name / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert model_name(copy) != model_name(LocalEndpoint(type="local", path=str(folder)))
    assert model_name(LocalEndpoint(type="local", path="org/model", revision="abc")) == "org/model@abc"


def test_built_from_its_configuration(folder: Path) -> None:
    assert isinstance(build_completer(LocalEndpoint(type="local", path=str(folder))), LocalCompleter)


def test_a_chat_template_that_refuses_a_system_message_gets_it_in_the_users_turn() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    fill = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 2?"}]
    tokenizer.chat_template = fill
    assert _templated(tokenizer, messages, "here") == "system: Be brief.\nuser: 1 + 2?\n"
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + fill
    )
    assert _templated(tokenizer, messages, "here") == "user: Be brief.\n\n1 + 2?\n"
    assert messages[1]["content"] == "1 + 2?"
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(
        CheckpointError, match=r"here: the chat template cannot be filled \(never\); set chat to false"
    ):
        _templated(tokenizer, messages, "here")
