"""Names for what is heard, in the language model's own words.

Labels of closed sets reach the language model as the mean of their words' embeddings, weighted by
how likely each label is: it can quote them as it quotes text, and gradient flows back (decision
0013).
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.config import NamingConfig
from mowe.hints.heads import frame_statistics
from mowe.model.adapter import AudioTokens, ConvAdapter

Words = Callable[[Sequence[str]], Tensor]  # texts to their embeddings (texts, llm_dim)
# fused frames and their mask to log-probabilities (batch, languages)
Languages = Callable[[Tensor, Tensor], Tensor]

LANGUAGE = "language"  # the set that a decoder may tell
NONE = "none"  # what a set without a fitting label is called: the emotion of rain
SOUNDS = "sound"  # among the sets told from statistics: the sounds along time
SPEECH = "speech"  # the sound that a voice makes


class SoundEvents(NamedTuple):
    """Which sound begins at each audio token, if any."""

    sounds: Tensor  # (batch, audio_tokens, sounds) logits, float32
    pause: Tensor  # (batch, audio_tokens) logits of "no sound begins here", float32
    mask: Tensor  # (batch, audio_tokens) bool, True = real

    def log_probabilities(self) -> Tensor:
        """CTC log-probabilities, the pause first: `(batch, audio_tokens, 1 + sounds)`."""
        sounds = self.sounds.log_softmax(dim=-1) + F.logsigmoid(-self.pause).unsqueeze(-1)
        return torch.cat([F.logsigmoid(self.pause).unsqueeze(-1), sounds], dim=-1)

    def best(self) -> tuple[Tensor, Tensor]:
        """The greedy choice.

        Returns:
            The likeliest sound of each token `(batch, audio_tokens)`, and whether it begins there:
            no pause, not the token before once more, not padding; bool `(batch, audio_tokens)`.
        """
        likeliest = self.log_probabilities().argmax(dim=-1)  # 0 is the pause
        before = F.pad(likeliest, (1, 0))[:, :-1]
        return likeliest - 1, (likeliest > 0) & (likeliest != before) & self.mask


class Named(NamedTuple):
    """What the namer makes of a batch."""

    events: SoundEvents  # sounds in the order they are heard
    labels: dict[str, Tensor]  # set -> logits (batch, 1 + labels), `none` first; float32

    def probabilities(self) -> dict[str, Tensor]:
        """Set -> `(batch, 1 + labels)`."""
        return {name: logits.softmax(dim=-1) for name, logits in self.labels.items()}


def stretches(places: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Cut `count` tokens half-way between sounds that are heard at these tokens, in order.

    Returns:
        First token and end of the stretch around each sound.
    """
    cuts = [0, *((a + b + 1) // 2 for a, b in itertools.pairwise(places)), count]
    return list(itertools.pairwise(cuts)) if places else []


def stretch_statistics(frames: Tensor, spans: Sequence[tuple[int, int]], size: int) -> Tensor:
    """`frame_statistics` of stretches of one recording.

    Args:
        frames: Its real frames, `(frames, dim)`.
        spans: First token and end of each stretch; the last may end after the frames do.
        size: Frames of a token.

    Returns:
        `(stretches, 2 * dim)`.
    """
    parts = [frames[first * size : end * size] for first, end in spans]
    rows = [frame_statistics(part[None], part.new_ones(1, len(part)).bool()) for part in parts]
    return torch.cat(rows) if rows else frames.new_zeros(0, 2 * frames.shape[-1])


class Namer(nn.Module):
    """Sounds along the time axis, and one label of each set for the whole recording."""

    def __init__(
        self,
        llm_dim: int,
        events: Sequence[str],
        sets: Mapping[str, Sequence[str]],
        words: Words,
        *,
        fused_dim: int = 0,
        statistics: Collection[str] = (),
        decoded: bool = False,
    ) -> None:
        """Build one linear classifier for the sounds and one per set.

        Args:
            llm_dim: Width of audio tokens.
            events: Names of sounds.
            sets: Labels by set, without `none`.
            words: Embeds names as the language model does.
            fused_dim: Width of fused frames.
            statistics: Sets told from the mean and deviation of the fused frames (statistics
                pooling, Snyder et al. 2018) instead of from audio tokens that are attended to;
                with `SOUNDS` among them, sounds are named a second time, see `name_again`.
            decoded: A decoder tells the labels of `LANGUAGE`; the classifier only whether there is
                one (decision 0023).
        """
        super().__init__()
        self.events = tuple(events)
        self.sets = {name: (NONE, *labels) for name, labels in sets.items()}
        self.norm = nn.LayerNorm(llm_dim)
        self.event = nn.Linear(llm_dim, len(self.events))
        self.pause = nn.Linear(llm_dim, 1)
        self.names_again = SOUNDS in statistics
        if self.names_again:  # fitted after training (decision 0018), so no gradient changes it
            self.register_buffer("around_weight", torch.zeros(len(self.events), 2 * fused_dim))
            self.register_buffer("around_bias", torch.zeros(len(self.events)))
        self.around_weight: Tensor
        self.around_bias: Tensor
        self.attend = nn.Linear(llm_dim, len(self.sets))
        self.decoded = frozenset([LANGUAGE] if decoded else [])
        self.label = nn.ModuleDict(
            {
                name: nn.Linear(
                    2 * fused_dim if name in statistics else llm_dim,
                    2 if name in self.decoded else len(labels),
                )
                for name, labels in self.sets.items()
            }
        )
        self.statistics = frozenset(statistics) - {SOUNDS}  # sets whose label needs the whole clip
        self._words = words

    def forward(
        self,
        sounds: AudioTokens,
        pooled_frames: Tensor | None = None,
        languages: Tensor | None = None,
    ) -> Named:
        """Name what audio tokens `(batch, tokens, llm_dim)` stand for.

        Args:
            sounds: The tokens.
            pooled_frames: `frame_statistics` of the frames they come from, if a set needs them.
            languages: Log-probabilities of the labels of `LANGUAGE` but `none`, `(batch, labels)`,
                if a decoder tells them.
        """
        tokens = self.norm(sounds.tokens)
        events = SoundEvents(
            self.event(tokens).float(), self.pause(tokens).float().squeeze(-1), sounds.mask
        )
        scores = self.attend(tokens).float().masked_fill(~sounds.mask.unsqueeze(-1), -1e4)
        shares = scores.softmax(dim=1).to(tokens.dtype)  # (batch, tokens, sets)
        pooled = torch.einsum("bts,btd->sbd", shares, tokens)
        labels = {
            name: self.label[name](pooled_frames if name in self.statistics else one).float()
            for name, one in zip(self.sets, pooled, strict=True)
        }
        for name in self.decoded:
            assert languages is not None, "a decoder tells the languages"
            none, some = labels[name].log_softmax(dim=-1).split(1, dim=-1)
            labels[name] = torch.cat([none, some + languages], dim=-1)
        return Named(events, labels)

    def name_again(self, named: Named, frames: Tensor, mask: Tensor, size: int) -> Named:
        """Name sounds by the statistics of the frames around them (decision 0018).

        When something sounds, and whether a lone sound is a voice, stays as the tokens say. What
        else sounds alone is named by the statistics, of several sounds in a row each by both.

        Args:
            named: What the tokens say.
            frames: Fused frames `(batch, frames, fused_dim)`.
            mask: True on real frames, bool `(batch, frames)`.
            size: Frames of a token.
        """
        assert self.names_again, "without statistics of sounds there is nothing to name by"
        sounds = named.events.sounds.clone()
        best, said = named.events.best()
        counts = named.events.mask.sum(dim=1).tolist()
        for row, count in enumerate(counts):
            places = said[row].nonzero().squeeze(1).tolist()
            if len(places) == 1 and self.events[int(best[row, places[0]])] == SPEECH:
                continue
            spans = stretches(places, count)
            found = stretch_statistics(frames[row, mask[row]], spans, size)
            scores = F.linear(found, self.around_weight, self.around_bias)
            for (first, end), score in zip(spans, scores, strict=True):
                own = sounds[row, first:end] if len(places) > 1 else 0.0
                sounds[row, first:end] = score + own
        return named._replace(events=named.events._replace(sounds=sounds))

    def event_words(self, named: Named) -> Tensor:
        """The sounds' words at every token `(batch, tokens, llm_dim)`; nothing between sounds."""
        if not self.events:
            return named.events.pause.new_zeros(())
        likely = named.events.sounds.softmax(-1) * torch.sigmoid(-named.events.pause).unsqueeze(-1)
        return (likely * named.events.mask.unsqueeze(-1)) @ self._words(self.events)

    def label_words(self, named: Named) -> Tensor:
        """One token per set, `(batch, sets, llm_dim)`; of a decoder the likeliest label alone."""
        likely = named.probabilities()
        likely |= {name: _likeliest(likely[name]) for name in self.decoded}
        rows = [likely[name] @ self._words(self.sets[name]) for name in self.sets]
        if not rows:
            return named.events.sounds.new_zeros(
                len(named.events.mask), 0, self.norm.weight.numel()
            )
        return torch.stack(rows, dim=1)


def _likeliest(likely: Tensor) -> Tensor:
    """1 at the likeliest label of `(batch, 1 + labels)`, `none` if it has more than half."""
    best = torch.where(likely[:, 0] > 0.5, 0, 1 + likely[:, 1:].argmax(dim=-1))
    return F.one_hot(best, likely.shape[1]).to(likely)


class NamingAdapter(nn.Module):
    """Tokens of the sound at a fixed rate, one per set of labels, an opening."""

    def __init__(
        self,
        fused_dim: int,
        llm_dim: int,
        config: NamingConfig,
        words: Words,
        languages: Languages | None = None,
    ) -> None:
        """Build the layers for the sounds and labels that the config names.

        Args:
            fused_dim: Width of fused frames.
            llm_dim: Width of audio tokens.
            config: Sounds, labels, rates.
            words: Embeds names as the language model does.
            languages: What tells the set `LANGUAGE`, where the config says that it is `decoded`.

        Raises:
            ValueError: If the config says that the languages are decoded, and nothing tells them.
        """
        super().__init__()
        self.heard = ConvAdapter(fused_dim, llm_dim, config.frames_per_token, config.residual_dim)
        self.namer = Namer(
            llm_dim,
            config.events,
            config.names,
            words,
            fused_dim=fused_dim,
            statistics=config.statistics,
            decoded=config.decoded,
        )
        self.loudness = nn.Parameter(torch.ones(()))
        self.opening = nn.Parameter(torch.zeros(llm_dim))
        self.register_buffer("text_length", torch.ones(()))  # mean norm of a text embedding
        self.text_length: Tensor
        self.config = config
        if config.decoded and languages is None:
            raise ValueError("the languages are decoded, but nothing tells them")
        self._languages = languages

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        sounds = self.heard(frames, mask)
        named = self._name(sounds, frames, mask)
        along = self._as_loud_as_text(sounds) + self.namer.event_words(named)
        labels = self.namer.label_words(named)
        known = sounds.mask.any(dim=1, keepdim=True).expand(-1, labels.shape[1])
        opening = self.opening.expand(len(frames), 1, -1)
        return AudioTokens(
            torch.cat([along * sounds.mask.unsqueeze(-1), labels, opening], dim=1),
            torch.cat([sounds.mask, known, torch.ones_like(sounds.mask[:, :1])], dim=1),
            named,
        )

    def unnamed(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Tokens of the sound and the opening alone; names are in the notes, not among tokens."""
        sounds = self.heard(frames, mask)
        along = self._as_loud_as_text(sounds) * sounds.mask.unsqueeze(-1)
        opening = self.opening.expand(len(frames), 1, -1)
        known = torch.ones_like(sounds.mask[:, :1])
        real, named = torch.cat([sounds.mask, known], 1), self._name(sounds, frames, mask)
        return AudioTokens(torch.cat([along, opening], 1), real, named)

    def _as_loud_as_text(self, sounds: AudioTokens) -> Tensor:
        """Tokens as long as text embeddings are, so that neither part drowns the other."""
        length = self.text_length * self.loudness
        return F.normalize(sounds.tokens.float(), dim=-1) * length

    def _name(self, sounds: AudioTokens, frames: Tensor, mask: Tensor) -> Named:
        pooled = frame_statistics(frames, mask) if self.namer.statistics else None
        languages = None
        if self.config.decoded and self._languages is not None:
            languages = self._languages(frames, mask)
        named: Named = self.namer(sounds, pooled, languages)
        if self.namer.names_again and not self.training:
            named = self.namer.name_again(named, frames, mask, self.config.frames_per_token)
        return named
