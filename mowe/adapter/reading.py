"""Audio tokens in three parts: what is heard in time, what it is called, what is read as text.

The first part carries how things sound at a fixed rate, the second one label of each set for the
whole recording. The last part is the text that a CTC reader finds in the audio, spelt again in the
language model's own tokens; stretches without speech add nothing to it, so the language model meets
a transcript it can correct rather than a grid of blanks (decisions 0009, 0011 to 0013).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.adapter.frames import AudioTokens, ConvAdapter, Named, Reading, token_mask
from mowe.adapter.naming import Namer, Spell, frame_statistics
from mowe.adapter.search import Candidate, likely_readings
from mowe.config import AdapterConfig

Respell = Callable[[Sequence[int]], list[int]]  # tokens to the tokens of the text they spell
Judge = Callable[[Sequence[Sequence[int]]], list[tuple[float, int]]]  # see LanguageModel.judge
# fused frames and their mask to log-probabilities (batch, languages)
Languages = Callable[[Tensor, Tensor], Tensor]

_KERNEL = 15  # frames a block's convolution sees
_HEADS = 8
_ATTENDING = 1  # last blocks that also attend; Whisper's frames know the whole clip already
_OPEN = 4.0  # nats; texts this much less likely than the likeliest are out of the question
_INNER = 2  # width of a block's feed-forward layer, in widths of the block


class _Block(nn.Module):
    """Attention (in some), a depthwise convolution and a feed-forward layer, beside shortcuts.

    After the Conformer (Gulati et al. 2020, arXiv 2005.08100), with layer norms only, for batch
    statistics would let padding and batch mates in.
    """

    def __init__(self, dim: int, dropout: float, *, attends: bool) -> None:
        super().__init__()
        self.heads = _HEADS if dim % _HEADS == 0 else 1
        self.attends = attends
        if attends:
            self.attention_norm = nn.LayerNorm(dim)
            self.queries = nn.Linear(dim, 3 * dim)
            self.attended = nn.Linear(dim, dim)
        self.near_norm = nn.LayerNorm(dim)
        self.near = nn.Conv1d(dim, dim, _KERNEL, padding=_KERNEL // 2, groups=dim)
        inner_dim = dim * _INNER
        self.inner = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, inner_dim), nn.SiLU(), nn.Linear(inner_dim, dim)
        )
        self.dropout = nn.Dropout(dropout)
        # A block begins as the identity, so that what a lens sees reaches the output unchanged.
        for last in (self.near, self.inner[-1], *((self.attended,) if attends else ())):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Map `(batch, frames, dim)`; bool `mask` `(batch, frames)` is True on real frames."""
        if self.attends:
            hidden = hidden + self._attend(hidden, mask)
        near = self.near((self.near_norm(hidden) * mask.unsqueeze(-1)).transpose(1, 2))
        hidden = hidden + F.silu(near.transpose(1, 2))
        return hidden + self.dropout(self.inner(hidden))

    def _attend(self, hidden: Tensor, mask: Tensor) -> Tensor:
        batch, frames, dim = hidden.shape
        parts = self.queries(self.attention_norm(hidden)).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        attended: Tensor = self.attended(seen.transpose(1, 2).reshape(batch, frames, dim))
        return attended


class Lens(NamedTuple):
    """What a speech decoder's attention makes of single base frames, and its words for pieces."""

    weight: Tensor  # (hidden_dim, base_dim)
    bias: Tensor  # (hidden_dim,)
    norm_weight: Tensor  # (hidden_dim,)
    norm_bias: Tensor  # (hidden_dim,)
    words: Tensor  # (pieces, hidden_dim)


class _Reader(nn.Module):
    """Fused frames to hidden states at the rate of the reading."""

    def __init__(self, fused_dim: int, config: AdapterConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.frames_per_piece = config.frames_per_piece
        self.entry = nn.Linear(fused_dim, dim)
        self.entry_norm = nn.LayerNorm(dim)
        self.pick = nn.Linear(dim, 1)
        self.blocks = nn.ModuleList(
            _Block(dim, config.dropout, attends=config.layers - layer <= _ATTENDING)
            for layer in range(config.layers)
        )

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states `(batch, frames / frames_per_piece, hidden_dim)` and their mask."""
        hidden = self.entry_norm(self.entry(frames))
        size, (batch, count, dim) = self.frames_per_piece, hidden.shape
        missing = -count % size
        # Within each group of frames, those that say most about a piece count most.
        scores = self.pick(hidden).squeeze(-1).float().masked_fill(~mask, -1e4)
        scores = F.pad(scores, (0, missing), value=-1e4).view(batch, -1, size)
        grouped = F.pad(hidden * mask.unsqueeze(-1), (0, 0, 0, missing)).view(batch, -1, size, dim)
        shares = scores.softmax(dim=-1).unsqueeze(-1).to(hidden.dtype)
        hidden, mask = (grouped * shares).sum(dim=2), token_mask(mask, size)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return hidden, mask


class ReadingAdapter(nn.Module):
    """Tokens of the sound at a fixed rate, one per set of labels, an opening, the text read."""

    def __init__(self, fused_dim: int, llm_dim: int, config: AdapterConfig) -> None:
        """Build the layers; `config.vocabulary_size` text pieces can be told apart."""
        super().__init__()
        self.heard = ConvAdapter(fused_dim, llm_dim, config.frames_per_token, config.residual_dim)
        self.namer = Namer(
            llm_dim,
            config.events,
            config.names,
            fused_dim=fused_dim,
            statistics=config.statistics,
            decoded=bool(config.decoder),
        )
        self.reader = _Reader(fused_dim, config)
        self.piece = nn.Linear(config.hidden_dim, config.vocabulary_size, bias=False)
        self.gate_norm = nn.LayerNorm(config.hidden_dim)
        self.gate = nn.Linear(config.hidden_dim, 1)
        self.sharpness = nn.Parameter(torch.ones(()))
        self.loudness = nn.Parameter(torch.ones(()))
        self.opening = nn.Parameter(torch.zeros(llm_dim))
        self.register_buffer("piece_ids", torch.zeros(config.vocabulary_size, dtype=torch.int32))
        self.register_buffer("text_length", torch.ones(()), persistent=False)
        self.piece_ids: Tensor
        self.text_length: Tensor
        self.config = config
        self._text: tuple[nn.Embedding, Respell] | None = None  # a tuple is no submodule
        self._judge: Judge | None = None
        self._decoder: tuple[Languages] | None = None

    @torch.no_grad()
    def attach(
        self,
        embedding: nn.Embedding,
        respell: Respell,
        spell: Spell,
        judge: Judge | None = None,
    ) -> None:
        """Take the language model's input embedding, its way to spell, and its judgement.

        Args:
            embedding: `(vocabulary, llm_dim)`.
            respell: From `piece_ids` in the order they are read to ids of the same text.
            spell: From a text to ids.
            judge: From the `piece_ids` of several texts to the log-probability and the number of
                words of each; needed where the config asks for more than one reading.
        """
        self._text = (embedding, respell)
        self._judge = judge
        self.namer.attach(embedding, spell)
        rows = embedding.weight[self.piece_ids.long().to(embedding.weight.device)].float()
        if len(rows):
            self.text_length = rows.norm(dim=-1).mean().to(self.piece_ids.device)

    @torch.no_grad()
    def begin_with(self, lens: Lens, frames: Tensor, mask: Tensor) -> None:
        """Let an untrained reader see base frames as a speech decoder does (decision 0012).

        What every frame has in common says nothing about its piece, so the mean is taken off.

        Args:
            lens: Of `hidden_dim` and of the pieces that this adapter knows.
            frames: Base frames of some speech, `(batch, frames, base_dim)`.
            mask: True on real frames, bool `(batch, frames)`.

        Raises:
            ValueError: If the lens has other sizes.
        """
        reader, base_dim = self.reader, frames.shape[-1]
        found = (tuple(lens.weight.shape), tuple(lens.words.shape))
        wanted = ((len(reader.entry.weight), base_dim), tuple(self.piece.weight.shape))
        if found != wanted:
            raise ValueError(f"this reader needs a lens of sizes {wanted}, found {found}")
        reader.entry.weight[:, :base_dim] = lens.weight.to(reader.entry.weight)
        reader.entry.bias.copy_(lens.bias)
        reader.entry_norm.weight.copy_(lens.norm_weight)
        reader.entry_norm.bias.copy_(lens.norm_bias)
        self.piece.weight.copy_(lens.words)
        nn.init.zeros_(reader.pick.weight)
        fused = F.pad(frames, (0, reader.entry.in_features - base_dim))
        seen = reader.entry_norm(reader.entry(fused))[mask]
        reader.entry_norm.bias.sub_(seen.mean(dim=0))

    def read(self, frames: Tensor, mask: Tensor) -> Reading:
        """Read fused frames `(batch, frames, fused_dim)`."""
        hidden, real = self.reader(frames, mask)
        pieces = self.piece(hidden).float() * self.sharpness
        return Reading(pieces, self.gate(self.gate_norm(hidden)).float().squeeze(-1), real)

    def attach_decoder(self, decoder: Languages) -> None:
        """Take what tells the labels of `language`, in their order."""
        self._decoder = (decoder,)

    def hear(self, frames: Tensor, mask: Tensor) -> tuple[AudioTokens, Named]:
        """The parts before the opening: a token per `frames_per_token` frames, one per set."""
        sounds = self.heard(frames, mask)
        pooled = frame_statistics(frames, mask) if self.namer.statistics else None
        languages = None
        if self.config.decoder:
            assert self._decoder is not None, "attach_decoder() comes before the first forward"
            languages = self._decoder[0](frames, mask)
        named = self.namer(sounds, pooled, languages)
        if self.namer.names_again and not self.training:
            named = self.namer.name_again(named, frames, mask, self.config.frames_per_token)
        # As long as text embeddings are, so that neither part drowns the other.
        length = self.text_length * self.loudness
        along = F.normalize(sounds.tokens.float(), dim=-1) * length + self.namer.event_words(named)
        labels = self.namer.label_words(named)
        known = sounds.mask.any(dim=1, keepdim=True).expand(-1, labels.shape[1])
        tokens = torch.cat([along * sounds.mask.unsqueeze(-1), labels], dim=1)
        return AudioTokens(tokens, torch.cat([sounds.mask, known], dim=1)), named

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        sounds, named = self.hear(frames, mask)
        reading = self.read(frames, mask)
        words = self._words(reading)
        opening = self.opening.expand(len(frames), 1, -1)
        return AudioTokens(
            torch.cat([sounds.tokens, opening, words.tokens], dim=1),
            torch.cat([sounds.mask, torch.ones_like(sounds.mask[:, :1]), words.mask], dim=1),
            reading,
            named,
            words.read,
        )

    @torch.no_grad()
    def _words(self, reading: Reading) -> AudioTokens:
        """What is read, in the language model's tokens; the choice has no gradient."""
        assert self._text is not None, "attach() comes before the first forward"
        embedding, respell = self._text
        device = embedding.weight.device
        read = [respell(self.piece_ids[pieces].tolist()) for pieces in self._chosen(reading)]
        rows = [
            embedding(torch.tensor(ids, dtype=torch.long, device=device)).float() for ids in read
        ]
        tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        counts = torch.tensor([len(row) for row in rows], device=tokens.device)
        return AudioTokens(tokens, place < counts.unsqueeze(1), read=tuple(map(tuple, read)))

    def _chosen(self, reading: Reading) -> list[list[int]]:
        """The pieces that are handed over: greedy while training, else the best of several texts.

        A language model's opinion costs many steps of training, and errs where there is none: what
        the reader takes for silence stays silence (decision 0016).
        """
        if self.config.readings == 1 or self.training or self._judge is None:
            best, said = reading.best()
            return [row[kept].tolist() for row, kept in zip(best, said, strict=True)]
        rows = zip(reading.log_probabilities(), reading.mask, strict=True)
        found = [likely_readings(row[real], self.config.readings) for row, real in rows]
        return [self._preferred(texts, self._judge) for texts in found]

    def _preferred(self, texts: Sequence[Candidate], judge: Judge) -> list[int]:
        """The pieces of the text that reader and language model together find likeliest."""
        texts = [text for text in texts if text.score > texts[0].score - _OPEN]
        if len(texts) == 1 or not texts[0].pieces:
            return list(texts[0].pieces)
        judged = judge([self.piece_ids[list(text.pieces)].tolist() for text in texts])
        scores = [
            text.score + self.config.language_weight * likelihood + self.config.word_bonus * words
            for text, (likelihood, words) in zip(texts, judged, strict=True)
        ]
        return list(texts[scores.index(max(scores))].pieces)


def ignore_columns(adapter: ReadingAdapter, first: int) -> None:
    """Let the reader start deaf to fused features from column `first` on."""
    with torch.no_grad():
        adapter.reader.entry.weight[:, first:] = 0.0
