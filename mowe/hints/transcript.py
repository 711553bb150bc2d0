"""Speech as text with times, written by the base encoder's own decoder.

Features and spans in, lines of text out. The mixture takes no part: the decoder hears the base
encoder's frames alone. It needs silence behind a short sound, continues long recordings where its
last whole segment ended, and says nothing where nobody seems to speak (decision 0023).
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from mowe.hints.decoder import WhisperDecoder, load_decoder
from mowe.hints.search import Search, Written
from mowe.hints.vocabulary import Vocabulary, load_vocabulary

WINDOW_SECONDS = 30.0  # s; the positions of every published Whisper's encoder
_EDGE = 0.2  # s; a segment that ends closer than this to a cut window may have been cut
_LEAST_STEP = 1.0  # s; a window that gets less far is cut elsewhere
_QUIET_SECONDS = 10.0  # s at the end of a window in which a pause is looked for
_SURE_SECONDS = 10.0  # s; the language of less speech is believed only where it is certain
_SURE = 0.5  # probability from which it is
_SILENCE = 0.6  # probability of nobody speaking from which nothing is written
_UNLIKELY = -1.0  # nats a token; less likely text is invented more often than heard

# frames `(1, frames, dim)` of what lies between two times (s), with the silence that they need
Encode = Callable[[float, float], Tensor]
Quietest = Callable[[float, float], float]  # the quietest moment between two times, s


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
    def languages(self) -> tuple[str, ...]:
        """English names of the languages that it knows."""
        return tuple(self.search.vocabulary.languages)

    def write(
        self,
        encode: Encode,
        seconds: float,
        *,
        quietest: Quietest,
        language: str = "",
        translate: bool = False,
    ) -> Iterator[Transcript]:
        """Write down a recording of any length; every item holds a little more than the last.

        Text may be taken back while a window is being written; a later item then holds less. The
        last item is the whole transcript.

        Args:
            encode: Encoder frames of a span of the recording, of at most 30 s.
            seconds: Length of the recording, s.
            quietest: Where a span may be cut.
            language: English name; empty takes the one that is heard first.
            translate: Into English.

        Raises:
            ValueError: If the language is unknown.
        """
        if language and language not in self.languages:
            raise ValueError(
                f"unknown language {language!r}; known are {', '.join(self.languages)}"
            )
        sofar, start = Transcript(language=language), 0.0
        while start < seconds:
            end = min(start + WINDOW_SECONDS, seconds)
            window = yield from self._window(encode, sofar, start, end, translate)
            if window.segments and end < seconds:
                whole = [one for one in window.segments if one.end < end - _EDGE]
                if whole and whole[-1].end > start + _LEAST_STEP:
                    window, end = window._replace(segments=tuple(whole)), whole[-1].end
                else:  # one long segment: cut where it hurts least, and hear it once more
                    end = quietest(max(start + _LEAST_STEP, end - _QUIET_SECONDS), end)
                    window = yield from self._window(encode, sofar, start, end, translate)
            sofar = _longer(sofar, window, end)
            start = end
            yield sofar

    def _window(
        self, encode: Encode, sofar: Transcript, start: float, end: float, translate: bool
    ) -> Generator[Transcript, None, _Window]:
        """Write down one window; its text is shown as it grows, unless it may be invented."""
        window = _Window((), "")
        sure = _SURE if end - start < _SURE_SECONDS else 0.0
        frames = encode(start, end)
        for written in self.search.write(
            frames, language=sofar.language, sure=sure, translate=translate
        ):
            spoken = is_spoken(written)
            segments = self._segments(written.tokens, start, end) if spoken else ()
            window = _Window(segments, written.language)
            yield _longer(sofar, window, start)
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


def is_spoken(written: Written) -> bool:
    """Whether somebody seems to speak in a window, rather than text being made up for it."""
    return written.silence <= _SILENCE and written.log_probability >= _UNLIKELY


def _longer(sofar: Transcript, window: _Window, heard: float) -> Transcript:
    if not window.segments:
        return replace(sofar, heard=heard)
    language = sofar.language or window.language
    return Transcript((*sofar.segments, *window.segments), language, heard)


def load_transcriber(folder: Path, dim: int) -> Transcriber:
    """The decoder of a Whisper in hub layout.

    Args:
        folder: Holds tensors, `config.json`, `generation_config.json` and `tokenizer.json`.
        dim: Width of the encoder frames that it is to hear.

    Raises:
        WeightsError: If the folder is incomplete, holds no Whisper, or one of another width.
    """
    return Transcriber(load_decoder(folder, dim), load_vocabulary(folder))
