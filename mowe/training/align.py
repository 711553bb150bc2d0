"""The alignment stage: by CTC, the adapter learns to read audio as text pieces.

Ours, not the paper's (decision 0007): through the language model alone, alignment takes tens of
thousands of examples; with CTC first, two CPU cores are enough.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from mowe.adapter import AlignedAdapter, token_mask
from mowe.encoders import EncodedAudio


class TextPieces:
    """The language model's own tokens, cut to its first merges so that each is heard often."""

    def __init__(self, tokenizer: Any, merges: int, texts: Iterable[str]) -> None:
        """Keep the pieces that occur.

        Args:
            tokenizer: A fast tokenizer of transformers, byte-level BPE.
            merges: How many of its merges to use; fewer give shorter, more frequent pieces.
            texts: Transcripts to cover.
        """
        described = json.loads(tokenizer.backend_tokenizer.to_str())
        described["model"]["merges"] = described["model"]["merges"][:merges]
        described["model"]["ignore_merges"] = False
        self._tokenizer = Tokenizer.from_str(json.dumps(described))
        used: set[int] = set()
        for text in texts:
            used.update(self._ids(text))
        self.ids = sorted(used)  # ids in the language model's vocabulary
        self._index = {token: index for index, token in enumerate(self.ids)}

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(spoken_form(text), add_special_tokens=False).ids
        return ids

    def encode(self, text: str) -> list[int]:
        """Piece positions of a transcript; pieces that never occurred in training are left out."""
        return [self._index[token] for token in self._ids(text) if token in self._index]

    def decode(self, pieces: Sequence[int]) -> str:
        """Text of piece positions."""
        text: str = self._tokenizer.decode([self.ids[piece] for piece in pieces])
        return text.strip()


def spoken_form(text: str) -> str:
    """Lower case, letters, digits and apostrophes only, one leading space per word."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'"))
    return "".join(f" {word}" for word in words)


def alignment_loss(
    adapter: AlignedAdapter, frames: Tensor, mask: Tensor, targets: Sequence[Sequence[int]]
) -> Tensor:
    """Mean CTC loss per text piece, in nats.

    Args:
        adapter: Its `read` gives piece and blank logits.
        frames: Fused frames `(batch, frames, fused_dim)`.
        mask: `(batch, frames)` bool.
        targets: Piece positions per example; an example without any is left out.
    """
    rows = [row for row, target in enumerate(targets) if target]
    if not rows:
        return frames.new_zeros(())
    log_probabilities = adapter.log_probabilities(frames[rows], mask[rows])
    lengths = token_mask(mask[rows], adapter.frames_per_token).sum(dim=1)
    flat = torch.tensor([piece + 1 for row in rows for piece in targets[row]])  # 0 is the blank
    sizes = torch.tensor([len(targets[row]) for row in rows])
    total = F.ctc_loss(
        log_probabilities.float().transpose(0, 1),
        flat.to(frames.device),
        lengths,
        sizes.to(frames.device),
        reduction="sum",
        zero_infinity=True,  # a transcript longer than its audio tokens teaches nothing
    )
    return total / int(sizes.sum())


@torch.no_grad()
def read_aloud(
    adapter: AlignedAdapter, fused: Tensor, mask: Tensor, pieces: TextPieces
) -> list[str]:
    """Greedy CTC reading of each example: what the adapter alone understood."""
    best = adapter.log_probabilities(fused, mask).argmax(dim=-1)  # (batch, tokens)
    lengths = token_mask(mask, adapter.frames_per_token).sum(dim=1)
    texts = []
    for row, length in zip(best.tolist(), lengths.tolist(), strict=True):
        row = row[:length]
        merged = [now for now, before in zip(row, [0, *row[:-1]], strict=True) if now != before]
        texts.append(pieces.decode([piece - 1 for piece in merged if piece]))
    return texts


def base_as_fused(base: EncodedAudio, fused_dim: int) -> Tensor:
    """Base frames with silent weak features beside them, `(batch, frames, fused_dim)`."""
    return F.pad(base.frames, (0, fused_dim - base.frames.shape[-1]))
