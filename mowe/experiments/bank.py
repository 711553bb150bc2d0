"""What every encoder says about every clip, computed once and shared by all arms.

A clip is the loudest two seconds of its recording; frames are averaged to ten a second, the base
encoder's among them, so that a step of training takes hundredths of a second.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from mowe import weights
from mowe.audio import Recording, load_audio
from mowe.config import EncoderConfig
from mowe.encoders import AudioEncoder, build_encoder, random_twin
from mowe.encoders.base import ceil_divide
from mowe.encoders.mel import MelSettings, mel_spectrogram
from mowe.errors import ExperimentError
from mowe.experiments.labelled import Labelled
from mowe.files import check_sum, write_sum
from mowe.model.fusion import align_frames
from mowe.presets import MINI

SECONDS = 2.0  # of a clip
RATE = 10.0  # frames a second
FRAMES = round(SECONDS * RATE)
TWIN = "~twin"  # ends the name of an encoder with random weights
COPY = "#"  # begins the number of a copy
BASE, MEL = "base", "log-mel"
_TOGETHER = 16  # clips encoded at once
_HOP = 0.05  # s, of the search for the loudest stretch

CONFIGS: Mapping[str, EncoderConfig] = {
    BASE: MINI.base_encoder,
    **{one.name: one for one in MINI.weak_encoders},
}


class LogMel(AudioEncoder):
    """80 bands of a log-mel spectrogram at 100 Hz: an encoder that has learnt nothing."""

    settings = MelSettings(sample_rate=16_000, fft_size=400, hop=160, mels=80, high_hz=8_000)

    def __init__(self, name: str) -> None:
        super().__init__(name, dim=self.settings.mels, frames_per_second=100.0, sample_rate=16_000)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `AudioEncoder.encode`; a frame looks at what follows its start."""
        padded = torch.nn.functional.pad(waveforms, (0, self.settings.fft_size))
        frames = mel_spectrogram(padded, self.settings).clamp_min(1e-8).log10()
        return frames, ceil_divide(lengths, self.settings.hop)


@dataclass(frozen=True)
class Bank:
    """Features of all clips by encoder."""

    frames: Mapping[str, Tensor]  # (clips, FRAMES, dim) float16, zero past a clip's end
    counts: Tensor  # (clips,) real frames

    def mask(self, rows: Tensor) -> Tensor:
        """Real frames of some clips, bool `(rows, FRAMES)`."""
        return torch.arange(FRAMES) < self.counts[rows, None]

    def of(self, name: str, rows: Tensor) -> Tensor:
        """Frames of some clips, `(rows, FRAMES, dim)` float32; a copy's are its original's."""
        return self.frames[original(name)][rows].float()

    def dim(self, name: str) -> int:
        """Width of an encoder's frames."""
        return self.frames[original(name)].shape[2]


def original(name: str) -> str:
    """The encoder that a copy is a copy of."""
    return name.partition(COPY)[0]


def fill_bank(
    clips: Sequence[Labelled],
    names: Sequence[str],
    folder: Path,
    added: Mapping[str, EncoderConfig] = MappingProxyType({}),
) -> Bank:
    """Read features, computing what is missing; an encoder's are written when it is done.

    Args:
        clips: Of a suite.
        names: Encoders, twins and copies among them; the base encoder is always there.
        folder: One folder for each set of clips is made in it.
        added: Encoders of one's own beside those of `mini`.

    Raises:
        ExperimentError: If there is no such encoder, or one says what is no number.
        AudioError: If a recording cannot be used.
        WeightsError: If an encoder's weights are missing.
    """
    configs = {**CONFIGS, **added}
    wanted = dict.fromkeys(original(name) for name in (BASE, *names))
    unknown = [name for name in wanted if name != MEL and name.removesuffix(TWIN) not in configs]
    if unknown:
        raise ExperimentError(
            f"no encoder is called {', '.join(unknown)}; there are {', '.join(configs)}, {MEL}, "
            f"each with {TWIN} behind it for random weights"
        )
    folder = folder / clips_fingerprint(clips)
    paths = {name: folder / f"{_file_name(name, configs)}.safetensors" for name in wanted}
    found = {name: _read(path) for name, path in paths.items()}
    missing = [name for name, one in found.items() if one is None]
    if missing:
        for name, one in _computed(
            {name: _build(name, configs) for name in missing}, clips
        ).items():
            _write(name, one, paths[name])
            found[name] = one
    stored = {name: one for name, one in found.items() if one is not None}
    return Bank({name: one["frames"] for name, one in stored.items()}, stored[BASE]["counts"])


def loudest(recording: Recording) -> Recording:
    """The stretch of `SECONDS` with the most energy; all of a shorter recording."""
    samples, rate = recording.samples, recording.sample_rate
    length = round(SECONDS * rate)
    if len(samples) <= length:
        return recording
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(0, len(samples) - length + 1, max(1, round(_HOP * rate)))
    start = starts[(energy[starts + length] - energy[starts]).argmax()] / rate
    return recording.window(start, start + SECONDS)


def clips_fingerprint(clips: Sequence[Labelled]) -> str:
    """What tells one set of clips from another."""
    digest = hashlib.sha256(json.dumps([SECONDS, RATE]).encode())
    for one in clips:
        assert one.example.audio is not None
        file = one.example.audio.stat()
        digest.update(f"{one.example.clip[1:]}{one.example.audio.name}{file.st_size}\n".encode())
    return digest.hexdigest()[:16]


def _read(path: Path) -> dict[str, Tensor] | None:
    """What was stored; None where nothing is."""
    if not path.is_file():
        return None
    check_sum(path, ExperimentError)
    return safetensors.torch.load_file(path)


def _write(name: str, found: dict[str, Tensor], path: Path) -> None:
    if not all(bool(one.isfinite().all()) for one in found.values()):
        raise ExperimentError(f"the encoder {name} gives what is not a number for some clip")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    safetensors.torch.save_file(found, partial)
    partial.replace(path)
    write_sum(path)


def _file_name(name: str, configs: Mapping[str, EncoderConfig]) -> str:
    """Weights that change make other features."""
    if name == MEL:
        return MEL
    config = configs[name.removesuffix(TWIN)]
    return f"{name}-{weights.fingerprint(config.source)[:12]}"


def _build(name: str, configs: Mapping[str, EncoderConfig]) -> AudioEncoder:
    if name == MEL:
        return LogMel(name).eval()
    config = configs[name.removesuffix(TWIN)]
    torch.manual_seed(0)
    if name.endswith(TWIN) and config.source.startswith("package:"):
        return build_encoder(replace(config, source="random"))
    encoder = build_encoder(config, weights.resolve(config.source))
    return random_twin(encoder) if name.endswith(TWIN) else encoder


@torch.inference_mode()
def _computed(
    encoders: Mapping[str, AudioEncoder], clips: Sequence[Labelled]
) -> dict[str, dict[str, Tensor]]:
    """Frames and counts by encoder; every clip is decoded once."""
    frames = {
        name: torch.zeros(len(clips), FRAMES, one.dim, dtype=torch.float16)
        for name, one in encoders.items()
    }
    counts = torch.zeros(len(clips), dtype=torch.int64)
    rates = {one.sample_rate for one in encoders.values()}
    with tqdm(total=len(clips), desc="features", unit="clip", mininterval=5) as bar:
        for start in range(0, len(clips), _TOGETHER):
            heard = [loudest_part(clip) for clip in clips[start : start + _TOGETHER]]
            places = slice(start, start + len(heard))
            counts[places] = torch.tensor(
                [min(FRAMES, max(1, round(one.seconds * RATE))) for one in heard]
            )
            sounds = {rate: [torch.from_numpy(one.at(rate)) for one in heard] for rate in rates}
            for name, encoder in encoders.items():
                said = _said(encoder, sounds[encoder.sample_rate])
                real = torch.arange(FRAMES) < counts[places, None]
                frames[name][places] = (said * real[..., None]).to(torch.float16)
            bar.update(len(heard))
    return {name: {"frames": one, "counts": counts} for name, one in frames.items()}


def _said(encoder: AudioEncoder, sounds: Sequence[Tensor]) -> Tensor:
    """What an encoder says at `RATE`, `(clips, FRAMES, dim)` float32."""
    lengths = torch.tensor([len(one) for one in sounds])
    found = encoder(pad_sequence(list(sounds), batch_first=True), lengths)
    return align_frames(
        found.frames.float(), found.mask.sum(dim=1), encoder.frames_per_second, RATE, FRAMES
    )


def loudest_part(clip: Labelled) -> Recording:
    """What is heard of a clip; errors as `load_audio`."""
    one = clip.example
    assert one.audio is not None
    return loudest(load_audio(one.audio, start=one.start, end=one.end))
