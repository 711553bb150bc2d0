"""A reply token by token, each computed when its reader asks for it: no thread is needed."""

import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from mowe.model.language_model.llama import LlamaStep, plain_layers

_BLOCK = 256  # tokens of keys and values that memory is taken for at once
_ROUNDS, _SHORTEST_LOOPED, _LONGEST_LOOP = 3, 12, 16  # rounds, tokens in all, tokens of a round


class BlockLayer(DynamicLayer):
    """Keys and values of one layer in memory taken by blocks: a token copies nothing old."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        super().__init__()
        self.length = 0  # tokens held

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take no memory yet, but for tensors like these, `(batch, heads, tokens, head_dim)`."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.key_blocks, self.value_blocks = key_states[:, :, :0], value_states[:, :, :0]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Add tokens; views of all keys and values so far, `(batch, heads, tokens, head_dim)`."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.length, self.length + key_states.shape[2]
        if end > self.key_blocks.shape[2]:
            self.key_blocks = _enlarged(self.key_blocks, end)
            self.value_blocks = _enlarged(self.value_blocks, end)
        self.key_blocks[:, :, start:end] = key_states
        self.value_blocks[:, :, start:end] = value_states
        self.keys, self.values = self.key_blocks[:, :, :end], self.value_blocks[:, :, :end]
        self.length = end
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self.length


def _enlarged(states: Tensor, tokens: int) -> Tensor:
    """The same `(batch, heads, tokens, head_dim)` with whole blocks for `tokens` of them."""
    room = -(-tokens // _BLOCK) * _BLOCK
    larger = states.new_empty(*states.shape[:2], room, states.shape[3])
    larger[:, :, : states.shape[2]] = states
    return larger


def block_cache(config: Any) -> transformers.Cache:
    """A cache in blocks; layers that forget, or hold other states, stay transformers' own."""
    cache = transformers.DynamicCache(config=config)
    cache.layers = [
        BlockLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def reply_ids(
    model: Any,
    embedded: Tensor,
    pick: Callable[[Tensor], int],
    *,
    room: int,
    ends: Collection[int],
    stop: threading.Event,
) -> Iterator[int]:
    """The tokens of a reply, each computed when it is asked for.

    Args:
        model: A causal language model of transformers.
        embedded: The prompt, `(1, tokens, llm_dim)`.
        pick: Chooses a token by its logits, `(vocabulary,)`.
        room: Most tokens of the reply.
        ends: Tokens that end it; they are not part of it.
        stop: Ends it after the token in work.
    """
    if room < 1 or stop.is_set():
        return
    cache = block_cache(model.config)
    logits, step = _last_logits(model, cache, embedded), _step(model, cache)
    ids: list[int] = []
    while (token := pick(logits)) not in ends:
        yield token
        ids.append(token)
        if len(ids) == room or stop.is_set() or is_looping(ids[-_LONGEST_LOOP * _ROUNDS :]):
            return
        logits = step(token)


def _step(model: Any, cache: transformers.Cache) -> Callable[[int], Tensor]:
    """The logits after one more token: a Llama's by its matrices, any other's by transformers."""
    layers = plain_layers(model)
    if layers is not None:
        return LlamaStep(model, layers, cache)
    embedding = model.get_input_embeddings()
    device = embedding.weight.device

    def step(token: int) -> Tensor:
        return _last_logits(model, cache, embedding(torch.tensor([[token]], device=device)))

    return step


def _last_logits(model: Any, cache: Any, embedded: Tensor) -> Tensor:
    """Logits `(vocabulary,)` after the last of `(1, tokens, llm_dim)`; the others cost a lot."""
    found = model(inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1)
    last: Tensor = found.logits[0, -1]
    return last


def is_looping(ids: list[int]) -> bool:
    """Whether a text ends in the same tokens three times or more, twelve tokens long together.

    A small model that is lost in a greedy reply never leaves such a loop; a person who says
    "no, no, no" is shorter. Loops of more than sixteen tokens are not looked for.
    """
    for size in range(1, min(_LONGEST_LOOP, len(ids) // _ROUNDS) + 1):
        rounds = max(_ROUNDS, -(-_SHORTEST_LOOPED // size))
        tail = ids[-size * rounds :]
        if len(tail) == size * rounds and tail == tail[:size] * rounds:
            return True
    return False
