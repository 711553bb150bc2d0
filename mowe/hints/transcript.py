"""Speech as text with times, written by the base encoder's own decoder.

Features and spans in, lines of text out. The mixture takes no part: the decoder hears the base
encoder's frames alone. It needs silence behind a short sound, continues long recordings where its
last whole segment ended, and says nothing where nobody seems to speak (decision 0023).
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.errors import ConfigError
from mowe.hints.activity import SPEECH, WINDOW_SECONDS
from mowe.hints.decoder import WhisperDecoder, load_decoder
from mowe.hints.search import Search, Written
from mowe.hints.vocabulary import Vocabulary, byte_vocabulary, load_vocabulary

LONGEST = 30.0  # s that an encoder hears at a time; the positions of every published Whisper
_EDGE = 0.2  # s; a segment that ends closer than this to a cut window may have been cut
_MISSED = 1.0  # s of speech behind the last segment from which it is heard once more
_LEAST_STEP = 1.0  # s; a window that gets less far is cut elsewhere
_PAUSE_WITHIN = 10.0  # s at the end of a window in which a pause is looked for
_AROUND = 4  # windows of activity on each side that a pause is judged by
_LEAD = 0.5  # s before speech from which it is heard
# Found on 330 sounds and 140 spoken clips of the training split (decision 0023).
_LEAST_SPEECH, _LITTLE_SPEECH = 0.1, 1.0  # s of speech; none, and little
_DOUBTFUL, _CERTAIN = 0.75, 0.97  # peak probability of speech; none, and some for certain
_POSSIBLE, _LIKELY, _VERY_LIKELY = -1.7, -1.0, -0.8  # nats a token
_SILENT, _HARDLY_SILENT = 0.8, 0.3  # the decoder's own probability that nobody speaks
_RANDOM_HEADS = 4

# frames `(1, frames, dim)` of what lies between two times (s), with the silence that they need
Encode = Callable[[float, float], Tensor]


class Segment(NamedTuple):
    """A stretch of speech."""

    start: float  # s
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording, so far or all of it."""

    segments: tuple[Segment, ...] = ()
    language: str = ""  # English name of the language it is written in; empty where nobody speaks
    heard: float = 0.0  # s of the recording that are written down

    @property
    def text(self) -> str:
        """All of it as one line."""
        return " ".join(segment.text for segment in self.segments)

    def part(self, start: float, end: float) -> "Transcript":
        """The segments whose middle lies between two times (s), times from the first of them."""
        kept = tuple(
            Segment(max(one.start - start, 0.0), one.end - start, one.text)
            for one in self.segments
            if start <= (one.start + one.end) / 2 < end
        )
        return replace(self, segments=kept)


class _Window(NamedTuple):
    """What was made of a window so far."""

    segments: tuple[Segment, ...]
    language: str


class Transcriber(nn.Module):
    """Writes down what is said, and tells in which language."""

    def __init__(self, decoder: WhisperDecoder, vocabulary: Vocabulary) -> None:
        """Take a decoder and the vocabulary that it was trained with."""
        super().__init__()
        self.search = Search(decoder, vocabulary)

    @property
    def dim(self) -> int:
        """Width of the encoder frames that it hears."""
        return self.search.decoder.dim

    @property
    def languages(self) -> tuple[str, ...]:
        """English names of the languages that it knows."""
        return tuple(self.search.vocabulary.languages)

    def telling(self, names: Sequence[str]) -> Callable[[Tensor, Tensor], Tensor]:
        """What tells some languages apart.

        Args:
            names: English names.

        Returns:
            From frames `(batch, frames, dim)` that begin with base frames, and their mask, to
            log-probabilities `(batch, names)`, float32 and without gradient.

        Raises:
            ConfigError: If the decoder does not know a language.
        """
        if unknown := [name for name in names if name not in self.languages]:
            raise ConfigError(
                f"the decoder knows no {', '.join(unknown)}; it knows {', '.join(self.languages)}"
            )
        places = [self.languages.index(name) for name in names]
        dim = self.dim

        def tell(frames: Tensor, mask: Tensor) -> Tensor:
            rows = [
                self.search.languages(one[real, :dim][None])[places].log_softmax(dim=-1)
                for one, real in zip(frames.detach(), mask, strict=True)
            ]
            return torch.stack(rows)

        return tell

    def write(
        self,
        encode: Encode,
        activity: Tensor,
        *,
        language: str = "",
        translate: bool = False,
    ) -> Iterator[Transcript]:
        """Write down a recording of any length; every item holds a little more than the last.

        Text may be taken back while a window is being written; a later item then holds less. The
        last item is the whole transcript.

        Args:
            encode: Encoder frames of a span of the recording, of at most 30 s.
            activity: Probability of speech in each `WINDOW_SECONDS` of the recording, `(windows,)`.
            language: English name; empty takes the one that is heard first.
            translate: Into English.

        Raises:
            ValueError: If the language is unknown.
        """
        if language and language not in self.languages:
            known = ", ".join(self.languages)
            raise ValueError(f"unknown language {language!r}; known are {known}")
        spans = Activity(activity)
        sofar, start = Transcript(language=language), spans.next_speech(0.0)
        while start is not None:
            end = min(start + LONGEST, spans.seconds)
            window = yield from self._window(encode, spans, sofar, (start, end), translate)
            if window.segments and end < spans.seconds:
                whole = [one for one in window.segments if one.end < end - _EDGE]
                if whole and whole[-1].end > start + _LEAST_STEP:
                    window, end = window._replace(segments=tuple(whole)), whole[-1].end
                else:  # one long segment: cut where it hurts least, and hear it once more
                    end = spans.pause(max(start + _LEAST_STEP, end - _PAUSE_WITHIN), end)
                    window = yield from self._window(encode, spans, sofar, (start, end), translate)
            elif window.segments:  # it may have stopped before the speech does
                last = window.segments[-1].end
                if last > start + _LEAST_STEP and spans.speech(last, end) > _MISSED:
                    end = last
            sofar = _longer(sofar, window, end)
            yield sofar
            start = spans.next_speech(end)
        yield replace(sofar, heard=spans.seconds)

    def _window(
        self,
        encode: Encode,
        spans: "Activity",
        sofar: Transcript,
        span: tuple[float, float],
        translate: bool,
    ) -> Generator[Transcript, None, _Window]:
        """Write down one window; its text is shown as it grows, unless it may be invented."""
        window, speech, peak = _Window((), ""), spans.speech(*span), spans.peak(*span)
        for written in self.search.write(
            encode(*span), language=sofar.language, translate=translate
        ):
            spoken = is_spoken(written, speech, peak)
            segments = self._segments(written.tokens, *span) if spoken else ()
            window = _Window(segments, written.language)
            yield _longer(sofar, window, span[0])
        return window

    def _segments(self, tokens: Sequence[int], start: float, end: float) -> tuple[Segment, ...]:
        """The segments of a window that lies between two times (s); an open one ends with it."""
        vocabulary, found, words, begun = (
            self.search.vocabulary,
            list[Segment](),
            list[int](),
            start,
        )
        for token in (*tokens, vocabulary.end):
            if token < vocabulary.end:
                words.append(token)
                continue
            at = end if token == vocabulary.end else min(start + vocabulary.seconds(token), end)
            if text := " ".join(vocabulary.text(words).split()):
                found.append(Segment(begun, max(at, begun), text))
            words, begun = [], at
        return tuple(found)


class Activity:
    """When somebody speaks in a recording."""

    def __init__(self, probabilities: Tensor) -> None:
        """Take the probability of speech in each `WINDOW_SECONDS`, `(windows,)`."""
        self.probabilities = probabilities
        self.seconds = len(probabilities) * WINDOW_SECONDS

    def speech(self, start: float, end: float) -> float:
        """How much of what lies between two times (s) is speech, s."""
        return float((self._between(start, end) >= SPEECH).sum()) * WINDOW_SECONDS

    def peak(self, start: float, end: float) -> float:
        """Mean probability of speech in the five likeliest windows between two times (s)."""
        likely = self._between(start, end)
        return float(likely.topk(min(5, len(likely))).values.mean()) if len(likely) else 0.0

    def next_speech(self, start: float) -> float | None:
        """Where to go on listening from a time (s), a little before speech; None at the end."""
        spoken = (self._between(start, self.seconds) >= SPEECH).nonzero()
        if not len(spoken) or self.speech(start, self.seconds) < _LEAST_SPEECH:
            return None
        first = round(start / WINDOW_SECONDS) + int(spoken[0])
        return max(start, first * WINDOW_SECONDS - _LEAD)

    def pause(self, start: float, end: float) -> float:
        """The time (s) between two that is least likely to lie in a word."""
        likely = self._between(start, end)
        near = functional.avg_pool1d(
            functional.pad(likely[None], (_AROUND, _AROUND), value=1.0), 2 * _AROUND + 1, stride=1
        )[0]
        return start + (int(near.argmin()) + 0.5) * WINDOW_SECONDS

    def _between(self, start: float, end: float) -> Tensor:
        return self.probabilities[round(start / WINDOW_SECONDS) : round(end / WINDOW_SECONDS)]


def is_spoken(written: Written, speech: float, peak: float) -> bool:
    """Whether what was written of a window was said in it, rather than made up for it.

    Args:
        written: What the decoder wrote.
        speech: How much of the window is speech, s.
        peak: Probability of speech where it is likeliest; see `Activity.peak`.
    """
    if peak < _DOUBTFUL:  # a bird, a cough, a tuba
        return False
    likely, silence = written.log_probability, written.silence
    if peak < _CERTAIN:
        return likely >= _VERY_LIKELY and silence <= _HARDLY_SILENT
    if speech < _LITTLE_SPEECH:
        return likely >= _LIKELY and silence <= _SILENT
    return likely >= _POSSIBLE


def _longer(sofar: Transcript, window: _Window, heard: float) -> Transcript:
    if not window.segments:
        return replace(sofar, heard=heard)
    language = sofar.language or window.language
    return Transcript((*sofar.segments, *window.segments), language, heard)


def load_transcriber(folder: Path | None, dim: int) -> Transcriber:
    """The decoder of a Whisper in hub layout, or one with random weights.

    Args:
        folder: Holds tensors, `config.json`, `generation_config.json` and `tokenizer.json`; None
            is random.
        dim: Width of the encoder frames that a random one hears.

    Raises:
        WeightsError: If the folder is incomplete or holds no Whisper.
    """
    if folder is not None:
        return Transcriber(load_decoder(folder), load_vocabulary(folder))
    vocabulary = byte_vocabulary()
    decoder = WhisperDecoder(
        vocabulary=vocabulary.size, dim=dim, layers=1, heads=_RANDOM_HEADS, inner_dim=dim
    )
    return Transcriber(decoder.requires_grad_(False).eval(), vocabulary)
