"""Decoding in a thread of its own, and the end of replies that only repeat themselves."""

import threading
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor

_ROUNDS, _SHORTEST_LOOPED, _LONGEST_LOOP = 3, 12, 16  # rounds, tokens in all, tokens of a round


class Stop(transformers.StoppingCriteria):
    """Ends generation once any of its events is set, and replies that only repeat themselves."""

    def __init__(self, *events: threading.Event) -> None:
        """End once any of these is set."""
        self.events = events

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Which rows of `(batch, tokens)` end here, bool `(batch,)`."""
        ended = any(one.is_set() for one in self.events)
        rows = [ended or is_looping(row[-_LONGEST_LOOP * _ROUNDS :].tolist()) for row in input_ids]
        return torch.tensor(rows, device=input_ids.device)


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


def decoded(
    model: Any,
    settings: dict[str, Any],
    streamer: transformers.TextIteratorStreamer,
    ended: threading.Event,
    seed: int,
) -> Iterator[str]:
    """Decode in a thread, pass on its text and its failure, and end it when nobody listens."""
    failure: list[BaseException] = []

    def decode() -> None:
        try:
            with torch.inference_mode():
                torch.manual_seed(seed)
                model.generate(**settings)
        except Exception as error:  # passed on below: the reader's thread must see it
            failure.append(error)
            streamer.end()

    thread = threading.Thread(target=decode, name="mowe-decode", daemon=True)
    thread.start()
    try:
        yield from (piece for piece in streamer if piece)
    finally:
        ended.set()
        thread.join()
    if failure:
        raise failure[0]
