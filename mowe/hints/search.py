"""What Whisper's decoder writes of one window: greedy, with times, within the rules of its tokens.

The rules are those that Whisper was trained to keep to (Radford et al. 2022, section 2.3): a
transcript begins with a time, times do not go back, and come in pairs around every segment.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mowe.hints.decoder import POSITIONS, WhisperDecoder
from mowe.hints.vocabulary import SECONDS_PER_TIME, Vocabulary
from mowe.model.language_model import is_looping

MAX_TOKENS = POSITIONS // 2  # of one window, as Whisper has it: half of its positions
_LATEST_START = round(1.0 / SECONDS_PER_TIME)  # time tokens; sound does not begin with a long pause
_USUAL, _IMPROBABLE = "English", 0.05  # found on 474 spoken clips of the training split
_NEVER = float("-inf")


class Written(NamedTuple):
    """What was written of a window so far."""

    tokens: tuple[int, ...]
    log_probability: float  # mean over the tokens and their end, nats
    silence: float  # probability that nobody speaks, before anything was written
    language: str  # in which it was written, English name


class Search(nn.Module):
    """Greedy search with one decoder; keeps nothing between windows."""

    def __init__(self, decoder: WhisperDecoder, vocabulary: Vocabulary) -> None:
        """Take a decoder and the vocabulary that it was trained with."""
        super().__init__()
        self.decoder, self.vocabulary = decoder, vocabulary
        banned = torch.zeros(decoder.vocabulary)
        banned[list(vocabulary.never)] = _NEVER
        first = torch.full_like(banned, _NEVER)  # a transcript begins with a time
        latest = vocabulary.first_time + _LATEST_START
        first[vocabulary.first_time : latest + 1] = 0.0
        languages = torch.tensor(list(vocabulary.languages.values()))
        self.register_buffer("banned", banned, persistent=False)
        self.register_buffer("banned_first", first, persistent=False)
        self.register_buffer("spoken", languages, persistent=False)
        self.banned: Tensor
        self.banned_first: Tensor
        self.spoken: Tensor

    def languages(self, frames: Tensor) -> Tensor:
        """Log-probabilities `(languages,)` of those of the vocabulary, read off `(1, frames, dim)`.

        Whisper's decoder writes a language first: one step from its start token tells it.
        """
        memory = self.decoder.hear(frames)
        scores = self.decoder([self.vocabulary.start], 0, memory)[0]
        return scores.float()[self.spoken].log_softmax(dim=-1).clone()

    def write(
        self, frames: Tensor, *, language: str = "", translate: bool = False
    ) -> Iterator[Written]:
        """Write down a window; every item holds one token more, the last one is all of it.

        Args:
            frames: Encoder frames with the silence behind the sound, `(1, frames, dim)`.
            language: English name of the language; empty is the one that is heard.
            translate: Into English, instead of writing down what is said.
        """
        words, memory = self.vocabulary, self.decoder.hear(frames)
        scores = self.decoder([words.start], 0, memory)[0]
        silence = float(scores.softmax(dim=-1)[words.silence])
        language = language or self._heard(scores)
        opening = [
            words.languages[language],
            words.tasks["translate" if translate else "transcribe"],
        ]
        place, fresh, tokens, total = 1, opening, list[int](), 0.0
        while True:
            scores = self.decoder(fresh, place, memory)[-1]
            place += len(fresh)
            likely = self._allowed(scores, tokens).log_softmax(dim=-1)
            token = int(likely.argmax())
            total += float(likely[token])
            mean = total / (len(tokens) + 1)
            if token == words.end or len(tokens) == MAX_TOKENS:
                break
            tokens.append(token)
            spoken = [one for one in tokens if one < words.end]
            if is_looping(spoken):
                tokens = self._cut(tokens, len(unlooped(spoken)))
                break
            fresh = [token]
            yield Written(tuple(tokens), mean, silence, language)
        yield Written(tuple(tokens), mean, silence, language)

    def _heard(self, scores: Tensor) -> str:
        """The likeliest language; English unless that is improbable (decision 0023).

        Where a foreigner speaks English, the decoder often hears the language of the accent.
        """
        names, shares = list(self.vocabulary.languages), scores[self.spoken].softmax(dim=-1)
        if float(shares[names.index(_USUAL)]) >= _IMPROBABLE:
            return _USUAL
        return names[int(shares.argmax())]

    def _cut(self, tokens: Sequence[int], spoken: int) -> list[int]:
        """The tokens up to the text token number `spoken`, whatever times lie between."""
        places = [place for place, token in enumerate(tokens) if token < self.vocabulary.end]
        return list(tokens[: places[spoken - 1] + 1])

    def _allowed(self, scores: Tensor, tokens: Sequence[int]) -> Tensor:
        """Scores `(vocabulary,)` with those of tokens that may not come next at minus infinity."""
        first, end = self.vocabulary.first_time, self.vocabulary.end
        if not tokens:
            return scores + self.banned_first
        scores = scores + self.banned
        times = [token for token in tokens if token >= first]
        closed = tokens[-1] >= first and (len(tokens) < 2 or tokens[-2] >= first)
        if closed:  # a segment has begun: words follow
            scores[first:] = _NEVER
            return scores
        if tokens[-1] >= first:  # a segment has ended: another begins, or the transcript is over
            scores[:end] = _NEVER
            scores[first : times[-1]] = _NEVER
        else:  # a segment lasts: it ends later than it began
            scores[first : times[-1] + 1] = _NEVER
        if scores[first:].logsumexp(dim=-1) > scores[:first].max():
            scores[:first] = _NEVER
        return scores


def unlooped(tokens: Sequence[int]) -> list[int]:
    """Tokens that end in the same round over and over, with that round once.

    Raises:
        ValueError: If they do not end so.
    """
    for size in range(1, len(tokens) // 2 + 1):
        end = len(tokens)
        while tokens[end - 2 * size : end - size] == tokens[end - size : end] and end >= 2 * size:
            end -= size
        if len(tokens) - end >= 2 * size and is_looping(list(tokens)):
            return list(tokens[:end])
    raise ValueError("these tokens do not end in a loop")
