"""A reply token by token, pulled by whoever reads it: no thread, and one cache made once."""

import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from mowe.language_model.llama import LlamaStep, plain_layers

_ROUNDS, _SHORTEST_LOOPED, _LONGEST_LOOP = 3, 12, 16  # rounds, tokens in all, tokens of a round


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer in memory taken once, so that a token copies nothing old."""

    def __init__(self, room: int) -> None:
        """Hold `room` tokens; memory is taken when the first ones come."""
        super().__init__()
        self.room, self.length = room, 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take memory like that of `(batch, heads, tokens, head_dim)` for `room` tokens."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.all_keys, self.all_values = (
            one.new_empty(*one.shape[:2], self.room, one.shape[3])
            for one in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Add tokens; views of all keys and values so far, `(batch, heads, tokens, head_dim)`."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.length = self.length, self.length + key_states.shape[2]
        self.all_keys[:, :, start : self.length] = key_states
        self.all_values[:, :, start : self.length] = value_states
        self.keys, self.values = (
            one[:, :, : self.length] for one in (self.all_keys, self.all_values)
        )
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self.length


def roomy_cache(config: Any, room: int) -> transformers.Cache:
    """A cache for `room` tokens; layers that keep less than everything stay transformers' own."""
    cache = transformers.DynamicCache(config=config)
    cache.layers = [
        RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers
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
    cache = roomy_cache(model.config, embedded.shape[1] + room)
    logits = _last_logits(model, cache, embedded)
    step = _step(model, cache, embedded.shape[1])
    ids: list[int] = []
    while (token := pick(logits)) not in ends:
        yield token
        ids.append(token)
        if len(ids) == room or stop.is_set() or is_looping(ids[-_LONGEST_LOOP * _ROUNDS :]):
            return
        logits = step(token)


def _step(model: Any, cache: Any, length: int) -> Callable[[int], Tensor]:
    """The logits after one more token: a Llama's by its matrices, any other's by transformers."""
    layers = plain_layers(model)
    if layers is not None:
        held = [(layer.all_keys[0], layer.all_values[0]) for layer in cache.layers]
        return LlamaStep(model, layers, held, length)
    embedding = model.get_input_embeddings()
    device = embedding.weight.device
    return lambda token: _last_logits(
        model, cache, embedding(torch.tensor([[token]], device=device))
    )


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
