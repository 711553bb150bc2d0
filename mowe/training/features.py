"""Frozen features, computed once and kept on disk in half precision.

The encoders are frozen and treat every example alike whatever its batch mates, so a clip's features
never change: a run reads them from disk instead of computing them at every step. A clip is computed
when it is first asked for; `fill` does it ahead, in batches of similar length.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from mowe.audio import load_audio
from mowe.encoders import EncodedAudio
from mowe.fusion import WeakFeatures
from mowe.model import AudioBatch, Features, MoWEModel, make_batch
from mowe.routing import RoutingControl
from mowe.training.manifest import Example

_FILL_SECONDS = 60.0  # audio per encoder call while filling
_FRAME_STEP = 64  # frames; few different shapes spare the CPU kernels a rebuild at every step


@dataclass(frozen=True)
class FeatureStore:
    """Features of clips by content; one folder per encoder, one file per clip."""

    model: MoWEModel
    folder: Path

    def features(self, examples: Sequence[Example], control: RoutingControl | None) -> Features:
        """What `MoWEModel.encode` would give for these clips, read from disk where possible."""
        base = self._padded("base", examples)
        routing = self.model.route(base, control)
        weak = {}
        for position, column in enumerate(routing.chosen.T if routing.weights else ()):
            rows = column.nonzero().squeeze(1)
            if len(rows):
                chosen = [examples[row] for row in rows.tolist()]
                frames, mask = self._padded(str(position), chosen)
                rate = self.model.pool[position].frames_per_second
                weak[position] = WeakFeatures(rows, frames, mask, rate)
        return Features(base, routing, weak)

    def base(self, examples: Sequence[Example]) -> EncodedAudio:
        """Base frames of these clips and their mask."""
        return self._padded("base", examples)

    def fill(self, examples: Sequence[Example], *, weak: bool) -> None:
        """Compute what is missing, longest clips first, with a progress bar.

        Raises:
            AudioError: If a recording cannot be used; the message names it.
        """
        kinds = ["base", *(map(str, range(self.model.config.pool_size)) if weak else ())]
        clips = list({example.clip: example for example in examples}.values())
        for kind in kinds:
            missing = [clip for clip in clips if not self._path(kind, clip).is_file()]
            missing.sort(key=_seconds)
            progress = tqdm(total=len(missing), desc=f"features {self._name(kind)}", mininterval=5)
            for batch in _batches(missing):
                self._compute(kind, batch)
                progress.update(len(batch))
            progress.close()

    def _name(self, kind: str) -> str:
        encoders = self.model.config
        return (encoders.base_encoder if kind == "base" else encoders.weak_encoders[int(kind)]).name

    def _path(self, kind: str, example: Example) -> Path:
        file = example.audio.stat()
        key = f"{example.clip}|{file.st_size}|{file.st_mtime_ns}"
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / self._name(kind) / name[:2] / f"{name}.npy"

    def _padded(self, kind: str, examples: Sequence[Example]) -> EncodedAudio:
        frames = [self._one(kind, example) for example in examples]
        counts = torch.tensor([len(one) for one in frames])
        padded = pad_sequence(frames, batch_first=True).to(self.model.device)
        padded = F.pad(padded, (0, 0, 0, -padded.shape[1] % _FRAME_STEP))
        mask = torch.arange(padded.shape[1]) < counts[:, None]
        return EncodedAudio(padded, mask.to(self.model.device))

    def _one(self, kind: str, example: Example) -> Tensor:
        path = self._path(kind, example)
        if not path.is_file():
            self._compute(kind, [example])
        return torch.from_numpy(np.load(path, allow_pickle=False)).float()

    @torch.inference_mode()
    def _compute(self, kind: str, examples: Sequence[Example]) -> None:
        encoder = self.model.base_encoder if kind == "base" else self.model.pool[int(kind)]
        # A step asks under autocast; what is stored must not depend on who asked first.
        with torch.autocast(self.model.device.type, enabled=False):
            audio = self._audio(examples, encoder.sample_rate)
            (rate,) = audio.waveforms
            encoded = encoder(audio.waveforms[rate], audio.lengths[rate])
        for example, frames, mask in zip(examples, *encoded, strict=True):
            _write(self._path(kind, example), frames[mask].to(torch.float16).cpu().numpy())

    def _audio(self, examples: Sequence[Example], rate: int) -> AudioBatch:
        recordings = []
        for example in examples:
            recording = load_audio(example.audio)
            if example.start or example.end is not None:
                recording = recording.window(example.start, example.end or recording.seconds)
            recordings.append({rate: torch.from_numpy(recording.at(rate))})
        batch, device = make_batch(recordings), self.model.device
        waveforms, lengths = batch.waveforms[rate].to(device), batch.lengths[rate].to(device)
        return AudioBatch({rate: waveforms}, {rate: lengths})


def _seconds(example: Example) -> float:
    if example.end is not None:
        return example.end - example.start
    return float(example.metadata.get("duration", 5.0))


def _batches(examples: Sequence[Example]) -> list[list[Example]]:
    """Neighbours in length, at most `_FILL_SECONDS` of audio together."""
    batches: list[list[Example]] = []
    for example in examples:
        seconds = _seconds(example)
        if batches and seconds * (len(batches[-1]) + 1) <= _FILL_SECONDS:
            batches[-1].append(example)
        else:
            batches.append([example])
    return batches


def _write(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, frames, allow_pickle=False)
    partial.replace(path)
