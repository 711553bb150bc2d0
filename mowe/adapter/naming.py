"""Names for what is heard, in the language model's own words.

Labels of closed sets reach the language model as the mean of their words' embeddings, weighted by
how likely each label is: it can quote them as it quotes text, and gradient flows back (decision
0013).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from mowe.adapter.frames import AudioTokens, Named, Reading

Spell = Callable[[str], list[int]]  # a text to the language model's tokens

NONE = "none"  # what a set without a fitting label is called: the emotion of rain


def frame_statistics(frames: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the real frames.

    Args:
        frames: `(batch, frames, dim)`.
        mask: True on real frames, bool `(batch, frames)`.

    Returns:
        `(batch, 2 * dim)`, float32, the means first.
    """
    real = mask.unsqueeze(-1)
    count = mask.sum(dim=1, keepdim=True).clamp_min(1)
    frames = frames.float()
    mean = (frames * real).sum(dim=1) / count
    centred = (frames - mean.unsqueeze(1)) * real
    # A norm has a gradient where nothing deviates, a square root has not.
    return torch.cat([mean, torch.linalg.vector_norm(centred, dim=1) / count.sqrt()], dim=1)


class Namer(nn.Module):
    """Sounds along the time axis, and one label of each set for the whole recording."""

    def __init__(
        self,
        llm_dim: int,
        events: Sequence[str],
        sets: Mapping[str, Sequence[str]],
        *,
        fused_dim: int = 0,
        statistics: Collection[str] = (),
    ) -> None:
        """Build one linear classifier for the sounds and one per set.

        Args:
            llm_dim: Width of audio tokens.
            events: Names of sounds.
            sets: Labels by set, without `none`.
            fused_dim: Width of fused frames.
            statistics: Sets told from the mean and deviation of the fused frames (statistics
                pooling, Snyder et al. 2018) instead of from audio tokens that are attended to.
        """
        super().__init__()
        self.events = tuple(events)
        self.sets = {name: (NONE, *labels) for name, labels in sets.items()}
        self.norm = nn.LayerNorm(llm_dim)
        self.event = nn.Linear(llm_dim, len(self.events))
        self.pause = nn.Linear(llm_dim, 1)
        self.attend = nn.Linear(llm_dim, len(self.sets))
        self.label = nn.ModuleDict(
            {
                name: nn.Linear(2 * fused_dim if name in statistics else llm_dim, len(labels))
                for name, labels in self.sets.items()
            }
        )
        self.statistics = frozenset(statistics)
        self._words: dict[str, Tensor] = {}

    @torch.no_grad()
    def attach(self, embedding: nn.Embedding, spell: Spell) -> None:
        """Take the words' embeddings from the language model's `(vocabulary, llm_dim)` table."""
        device = embedding.weight.device

        def word(text: str) -> Tensor:
            ids = torch.tensor(spell(f" {text}"), dtype=torch.long, device=device)
            return embedding(ids).float().mean(dim=0)

        named = {"": self.events, **self.sets}
        self._words = {
            name: torch.stack([word(label) for label in labels]).to(self.norm.weight.device)
            for name, labels in named.items()
            if labels
        }

    def forward(self, sounds: AudioTokens, pooled_frames: Tensor | None = None) -> Named:
        """Name what audio tokens `(batch, tokens, llm_dim)` stand for.

        Args:
            sounds: The tokens.
            pooled_frames: `frame_statistics` of the frames they come from, if a set needs them.
        """
        tokens = self.norm(sounds.tokens)
        events = Reading(
            self.event(tokens).float(), self.pause(tokens).float().squeeze(-1), sounds.mask
        )
        scores = self.attend(tokens).float().masked_fill(~sounds.mask.unsqueeze(-1), -1e4)
        shares = scores.softmax(dim=1).to(tokens.dtype)  # (batch, tokens, sets)
        pooled = torch.einsum("bts,btd->sbd", shares, tokens)
        labels = {
            name: self.label[name](pooled_frames if name in self.statistics else one).float()
            for name, one in zip(self.sets, pooled, strict=True)
        }
        return Named(events, labels)

    def event_words(self, named: Named) -> Tensor:
        """The sounds' words at every token `(batch, tokens, llm_dim)`; nothing between sounds."""
        if not self.events:
            return named.events.blank.new_zeros(())
        likely = named.events.pieces.softmax(-1) * torch.sigmoid(-named.events.blank).unsqueeze(-1)
        return (likely * named.events.mask.unsqueeze(-1)) @ self._words[""]

    def label_words(self, named: Named) -> Tensor:
        """One token per set, `(batch, sets, llm_dim)`."""
        likely = named.probabilities()
        rows = [likely[name] @ self._words[name] for name in self.sets]
        if not rows:
            return named.events.pieces.new_zeros(
                len(named.events.mask), 0, self.norm.weight.numel()
            )
        return torch.stack(rows, dim=1)
