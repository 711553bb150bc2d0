"""The likeliest readings of a recording by CTC prefix search (Graves et al. 2006, section 3.2).

The greedy reading takes the likeliest piece of each frame; several alignments can spell the same
text, and a text whose every frame is second best may be what was said. torchaudio's own decoder
needs flashlight, which has no wheel for every platform that we install on.
"""

import math
from collections import defaultdict
from typing import NamedTuple

from torch import Tensor

_BEAMS = 24  # prefixes kept from frame to frame
_PIECES = 12  # likeliest pieces of a frame that may go on a prefix
_FLOOR = -9.0  # nats; less likely pieces go on no prefix
_NEVER = -math.inf


class Candidate(NamedTuple):
    """A text that may have been said."""

    pieces: tuple[int, ...]  # positions in the adapter's vocabulary
    score: float  # log-probability of all its alignments, nats


def likely_readings(log_probabilities: Tensor, count: int) -> list[Candidate]:
    """The likeliest piece sequences of one recording, best first.

    Args:
        log_probabilities: `(frames, 1 + pieces)`, blank first, real frames only.
        count: Most candidates to return; there may be fewer.
    """
    blanks = log_probabilities[:, 0].tolist()
    top = log_probabilities[:, 1:].topk(min(_PIECES, log_probabilities.shape[1] - 1), dim=-1)
    # prefix -> log-probability of its alignments that end in a blank, and in its last piece
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}
    for blank, values, pieces in zip(
        blanks, top.values.tolist(), top.indices.tolist(), strict=True
    ):
        likely = [pair for pair in zip(pieces, values, strict=True) if pair[1] > _FLOOR]
        beams = _best(_extended(beams, blank, likely), _BEAMS)
    return [Candidate(prefix, _sum(*parts)) for prefix, parts in _best(beams, count).items()]


def _extended(
    beams: dict[tuple[int, ...], tuple[float, float]],
    blank: float,
    likely: list[tuple[int, float]],
) -> dict[tuple[int, ...], tuple[float, float]]:
    """Every prefix after one more frame."""
    in_blank: dict[tuple[int, ...], float] = defaultdict(lambda: _NEVER)
    in_piece: dict[tuple[int, ...], float] = defaultdict(lambda: _NEVER)
    for prefix, (after_blank, after_piece) in beams.items():
        either = _sum(after_blank, after_piece)
        in_blank[prefix] = _sum(in_blank[prefix], either + blank)
        for piece, value in likely:
            longer = (*prefix, piece)
            if prefix and prefix[-1] == piece:  # said on, or said again after a pause
                in_piece[prefix] = _sum(in_piece[prefix], after_piece + value)
                in_piece[longer] = _sum(in_piece[longer], after_blank + value)
            else:
                in_piece[longer] = _sum(in_piece[longer], either + value)
    parts = {one: (in_blank[one], in_piece[one]) for one in {**in_blank, **in_piece}}
    return {one: both for one, both in parts.items() if max(both) > _NEVER}


def _best(
    beams: dict[tuple[int, ...], tuple[float, float]], count: int
) -> dict[tuple[int, ...], tuple[float, float]]:
    ordered = sorted(beams.items(), key=lambda item: -_sum(*item[1]))
    return dict(ordered[:count])


def _sum(first: float, second: float) -> float:
    """Log of the sum of two probabilities given by their logs."""
    high, low = max(first, second), min(first, second)
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))
