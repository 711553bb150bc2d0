"""Frozen features, computed once and kept on disk in half precision.

The encoders are frozen and treat every example alike whatever its batch mates, so a clip's features
never change: a run reads them from disk instead of computing them at every step. A clip is computed
when it is first asked for; `fill` does it ahead, in batches of similar length.

A clip can be kept in several versions: version 0 is itself, the others are augmented, each by a
seed of its own, so that training hears rooms, noise and codecs at the price of disk space.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.data.augment import augment
from mowe.data.manifest import Example
from mowe.data.sampling import seconds
from mowe.encoders import EncodedAudio
from mowe.hints import spelled
from mowe.model import AudioBatch, Features, make_batch
from mowe.model.control import RoutingControl
from mowe.model.fusion import WeakFeatures

_FILL_SECONDS = 60.0  # audio per encoder call while filling
_FRAME_STEP = 64  # frames; few different shapes spare the CPU kernels a rebuild at every step


class Sound(NamedTuple):
    """A clip in one version."""

    example: Example
    version: int = 0  # 0 is the clip itself


@dataclass(frozen=True)
class FeatureStore:
    """Features of clips by content; one folder per encoder, one file per clip and version."""

    model: MoWE
    folder: Path

    def features(
        self,
        examples: Sequence[Example],
        control: RoutingControl | None,
        versions: Sequence[int] = (),
    ) -> Features:
        """What `MoWEModel.encode` would give for these clips, read from disk where possible."""
        sounds = _sounds(examples, versions)
        base = self._padded("base", sounds)
        routing = self.model.route(base, control)
        weak = {}
        for position, column in enumerate(routing.chosen.T if routing.weights else ()):
            rows = column.nonzero().squeeze(1)
            if len(rows):
                chosen = [sounds[row] for row in rows.tolist()]
                frames, mask = self._padded(str(position), chosen)
                rate = self.model.pool[position].frames_per_second
                weak[position] = WeakFeatures(rows, frames, mask, rate)
        return Features(base, routing, weak)

    def texts(self, examples: Sequence[Example], versions: Sequence[int] = ()) -> list[str]:
        """What is said in these clips, as the language model is told."""
        return [self._text(sound) for sound in _sounds(examples, versions)]

    def base(self, examples: Sequence[Example], versions: Sequence[int] = ()) -> EncodedAudio:
        """Base frames of these clips and their mask."""
        return self._padded("base", _sounds(examples, versions))

    def fill(self, sounds: Sequence[Sound], *, weak: bool) -> None:
        """Compute what is missing, in batches of similar length, with a progress bar.

        Raises:
            AudioError: If a recording cannot be used; the message names it.
        """
        kinds = ["base", *(map(str, range(self.model.config.pool_size)) if weak else ())]
        for kind in kinds:
            missing = {
                path: sound for sound in sounds if not (path := self._path(kind, sound)).is_file()
            }
            waiting = sorted(missing.values(), key=lambda sound: seconds(sound.example))
            progress = tqdm(total=len(waiting), desc=f"features {self._name(kind)}", mininterval=5)
            for batch in _batches(waiting):
                self._compute(kind, batch)
                progress.update(len(batch))
            progress.close()

    def _name(self, kind: str) -> str:
        encoders = self.model.config
        return (encoders.base_encoder if kind == "base" else encoders.weak_encoders[int(kind)]).name

    def _path(self, kind: str, sound: Sound) -> Path:
        example, version = sound
        assert example.audio is not None
        file = example.audio.stat()
        key = f"{example.clip}|{file.st_size}|{file.st_mtime_ns}"
        if version:
            key += f"|{version}"
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / self._name(kind) / name[:2] / f"{name}.npy"

    def _text(self, sound: Sound) -> str:
        path = self._path("base", sound)
        path = self.folder / "transcripts" / path.parent.name / f"{path.stem}.txt"
        if not path.is_file():
            rate = self.model.base_encoder.sample_rate
            samples = _waveform(sound, rate)[rate].to(self.model.device)
            with torch.autocast(self.model.device.type, enabled=False):
                *_, said = self.model.hints.write(self.model.base_encoder, samples)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(spelled(said.text), encoding="utf-8")
            partial.replace(path)
        return path.read_text(encoding="utf-8")

    def _padded(self, kind: str, sounds: Sequence[Sound]) -> EncodedAudio:
        missing = {path: one for one in sounds if not (path := self._path(kind, one)).is_file()}
        for batch in _batches(sorted(missing.values(), key=lambda one: seconds(one.example))):
            self._compute(kind, batch)
        frames = [self._one(kind, sound) for sound in sounds]
        counts = torch.tensor([len(one) for one in frames])
        padded = pad_sequence(frames, batch_first=True).to(self.model.device)
        padded = F.pad(padded, (0, 0, 0, -padded.shape[1] % _FRAME_STEP))
        mask = torch.arange(padded.shape[1]) < counts[:, None]
        return EncodedAudio(padded, mask.to(self.model.device))

    def _one(self, kind: str, sound: Sound) -> Tensor:
        return torch.from_numpy(np.load(self._path(kind, sound), allow_pickle=False)).float()

    @torch.inference_mode()
    def _compute(self, kind: str, sounds: Sequence[Sound]) -> None:
        encoder = self.model.base_encoder if kind == "base" else self.model.pool[int(kind)]
        # A step asks under autocast; what is stored must not depend on who asked first.
        with torch.autocast(self.model.device.type, enabled=False):
            audio = self._audio(sounds, encoder.sample_rate)
            (rate,) = audio.waveforms
            encoded = encoder(audio.waveforms[rate], audio.lengths[rate])
        for sound, frames, mask in zip(sounds, *encoded, strict=True):
            _write(self._path(kind, sound), frames[mask].to(torch.float16).cpu().numpy())

    def _audio(self, sounds: Sequence[Sound], rate: int) -> AudioBatch:
        batch, device = make_batch([_waveform(sound, rate) for sound in sounds]), self.model.device
        waveforms, lengths = batch.waveforms[rate].to(device), batch.lengths[rate].to(device)
        return AudioBatch({rate: waveforms}, {rate: lengths})


def _sounds(examples: Sequence[Example], versions: Sequence[int]) -> list[Sound]:
    known = versions or [0] * len(examples)
    return [Sound(*pair) for pair in zip(examples, known, strict=True)]


def _waveform(sound: Sound, rate: int) -> dict[int, Tensor]:
    example, version = sound
    assert example.audio is not None
    recording = load_audio(example.audio, start=example.start, end=example.end)
    samples = recording.at(rate)
    if version:
        samples = augment(samples, rate, f"{example.clip}|{version}")
    return {rate: torch.from_numpy(samples)}


def _batches(sounds: Sequence[Sound]) -> list[list[Sound]]:
    """Neighbours in length, at most `_FILL_SECONDS` of audio together."""
    batches: list[list[Sound]] = []
    for sound in sounds:
        length = seconds(sound.example) or 5.0
        if batches and length * (len(batches[-1]) + 1) <= _FILL_SECONDS:
            batches[-1].append(sound)
        else:
            batches.append([sound])
    return batches


def _write(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, frames, allow_pickle=False)
    partial.replace(path)
