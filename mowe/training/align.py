"""The alignment stage: without the language model, the adapter learns to read and to name.

Ours, not the paper's (decisions 0007 and 0009): through the language model alone, alignment takes
tens of thousands of examples; with CTC first, two CPU cores are enough.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.adapter import AudioTokens, Reading
from mowe.encoders import EncodedAudio
from mowe.errors import ConfigError
from mowe.training.manifest import Example

_SILENT_PIECES = 10  # pieces that a sound without speech counts for in the mean loss


class TextPieces:
    """The language model's own tokens, cut to its first merges so that each is heard often."""

    def __init__(self, tokenizer: Any, merges: int, ids: Sequence[int]) -> None:
        """Know the given pieces.

        Args:
            tokenizer: A fast tokenizer of transformers, byte-level BPE.
            merges: How many of its merges to use; fewer give shorter, more frequent pieces.
            ids: The pieces, as ids in the language model's vocabulary.
        """
        self._tokenizer = _cut(tokenizer, merges)
        self.ids = list(ids)
        self._index = {token: index for index, token in enumerate(self.ids)}

    @classmethod
    def of_texts(cls, tokenizer: Any, merges: int, texts: Iterable[str]) -> Self:
        """The pieces that occur in some transcripts."""
        cut, used = _cut(tokenizer, merges), set[int]()
        for text in texts:
            used.update(_ids(cut, text))
        return cls(tokenizer, merges, sorted(used))

    def encode(self, text: str) -> list[int]:
        """Piece positions of a transcript; pieces that never occurred in training are left out."""
        found = _ids(self._tokenizer, text)
        return [self._index[token] for token in found if token in self._index]

    def decode(self, pieces: Sequence[int]) -> str:
        """Text of piece positions."""
        text: str = self._tokenizer.decode([self.ids[piece] for piece in pieces])
        return text.strip()


def _cut(tokenizer: Any, merges: int) -> Tokenizer:
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    described["model"]["merges"] = described["model"]["merges"][:merges]
    described["model"]["ignore_merges"] = False
    return Tokenizer.from_str(json.dumps(described))


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(spoken_form(text), add_special_tokens=False).ids
    return ids


def spoken_form(text: str) -> str:
    """Lower case, letters, digits and apostrophes only, one leading space per word."""
    words = re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'"))
    return "".join(f" {word}" for word in words)


def alignment_loss(reading: Reading, targets: Sequence[Sequence[int] | None]) -> Tensor:
    """Mean CTC loss per text piece, in nats.

    Args:
        reading: What the adapter read in a batch.
        targets: Piece positions per example; empty where nothing is said, None to leave one out.
    """
    rows = [row for row, target in enumerate(targets) if target is not None]
    if not rows:
        return reading.blank.new_zeros(())
    wanted = [target for target in targets if target is not None]
    sizes = torch.tensor([len(target) for target in wanted])
    flat = torch.tensor([piece + 1 for target in wanted for piece in target], dtype=torch.long)
    kept = Reading(*(part[rows] for part in reading))
    total = F.ctc_loss(
        kept.log_probabilities().transpose(0, 1),
        flat.to(kept.blank.device),  # 0 is the blank
        kept.mask.sum(dim=1),
        sizes.to(kept.blank.device),
        reduction="sum",
        zero_infinity=True,  # a transcript longer than its frames teaches nothing
    )
    return total / int(sizes.sum() + _SILENT_PIECES * (sizes == 0).sum())


@torch.no_grad()
def read_aloud(reading: Reading, pieces: TextPieces) -> list[str]:
    """Greedy CTC reading of each example: what the adapter alone understood."""
    best, said = reading.best()
    return [pieces.decode(row[kept].tolist()) for row, kept in zip(best, said, strict=True)]


def base_as_fused(base: EncodedAudio, fused_dim: int) -> Tensor:
    """Base frames with silent weak features beside them, `(batch, frames, fused_dim)`."""
    return F.pad(base.frames, (0, fused_dim - base.frames.shape[-1]))


class Naming(nn.Module):
    """One linear classifier per task on the mean audio token; training only, never shipped.

    It makes the tokens carry labels, and the routers pick encoders that help, at a small part of
    what the same lesson costs through the language model.
    """

    def __init__(self, labels: Mapping[str, Sequence[str]], llm_dim: int) -> None:
        """Build a classifier for each task's labels."""
        super().__init__()
        self.places = {
            task: {label: place for place, label in enumerate(known)}
            for task, known in labels.items()
        }
        self.norm = nn.LayerNorm(llm_dim)
        self.heads = nn.ModuleDict(
            {task: nn.Linear(llm_dim, len(known)) for task, known in labels.items()}
        )

    def forward(self, tokens: AudioTokens, examples: Sequence[Example]) -> Tensor:
        """Mean cross-entropy over the examples, in nats."""
        real = tokens.mask.unsqueeze(-1)
        mean = self.norm((tokens.tokens * real).sum(dim=1) / real.sum(dim=1))
        losses = [
            F.cross_entropy(self.heads[one.task](row).float(), self._place(one, mean))
            for one, row in zip(examples, mean, strict=True)
        ]
        return torch.stack(losses).mean()

    @torch.no_grad()
    def right(self, tokens: AudioTokens, examples: Sequence[Example]) -> list[bool]:
        """Whether each example's label is named."""
        real = tokens.mask.unsqueeze(-1)
        mean = self.norm((tokens.tokens * real).sum(dim=1) / real.sum(dim=1))
        return [
            int(self.heads[one.task](row).argmax()) == int(self._place(one, mean))
            for one, row in zip(examples, mean, strict=True)
        ]

    def _place(self, example: Example, like: Tensor) -> Tensor:
        place = self.places[example.task][str(example.metadata["label"])]
        return torch.tensor(place, device=like.device)


def labels_by_task(
    groups: Mapping[str, Sequence[Example]], tasks: Iterable[str]
) -> dict[str, list[str]]:
    """Every label that occurs, by task, in alphabetical order.

    Raises:
        ConfigError: If a task does not occur or has an example without a label.
    """
    found = {}
    for task in tasks:
        labels = {str(one.metadata.get("label") or "") for one in groups.get(task, ())}
        if not labels or "" in labels:
            raise ConfigError(f"task {task!r} cannot be named: examples need a label each")
        found[task] = sorted(labels)
    return found
