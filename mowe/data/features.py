"""What encoders hear: kept on disk in half precision where they are frozen, else computed anew.

A frozen encoder says the same of a clip at every step: a run reads it from disk. It is computed
when it is first asked for, or ahead (`fill`), each clip by itself, so that it is the same to the
last bit whoever asks, also after a kill. What a trained encoder says changes with every step: it is
computed in the step, with gradient.

Every file ends with its own sha256; one that changed since is computed anew.

A clip can be kept in several versions: version 0 is itself, the others are augmented, each by a
seed of its own, so that training hears rooms, noise and codecs at the price of disk space.
"""

import hashlib
import io
import json
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
from mowe.checkpoint import MoWE
from mowe.data.augment import augment
from mowe.data.manifest import ROUNDING
from mowe.data.sampling import Sound
from mowe.encoders import AudioEncoder, EncodedAudio
from mowe.errors import AudioError
from mowe.files import read_sealed, write_sealed
from mowe.hints import Transcript, as_dict
from mowe.hints.events import step_levels
from mowe.hints.subtitles import from_dict
from mowe.model import Features, make_batch
from mowe.model.control import RoutingControl
from mowe.model.fusion import WeakFeatures

_FRAME_STEP = 64  # frames; few different shapes spare the CPU kernels a rebuild at every step


@dataclass(frozen=True)
class FeatureStore:
    """Features of clips by content; one folder per encoder, one file per clip and version."""

    model: MoWE
    folder: Path

    def features(
        self,
        sounds: Sequence[Sound],
        control: RoutingControl | None = None,
        base: EncodedAudio | None = None,
    ) -> Features:
        """What `MoWEModel.encode` would give for these clips.

        Args:
            sounds: The clips.
            control: Routing overrides.
            base: Their base features, where they are known already.
        """
        base = base or self.base(sounds)
        routing = self.model.route(base, control)
        weak = {}
        for position, rows in routing.chosen_rows().items():
            first = self.model.config.first_copies[position]  # of one frozen encoder, named twice
            frames, mask = self._encoded(str(first), [sounds[row] for row in rows.tolist()])
            rate = self.model.pool[position].frames_per_second
            weak[position] = WeakFeatures(rows, frames, mask, rate)
        return Features(base, routing, weak)

    def transcript(self, sound: Sound) -> Transcript:
        """What is said in a clip, as the mixture's decoder writes it down."""
        path = self._path("base", sound)
        path = self.folder / "transcripts" / path.parent.name / f"{path.stem}.json"
        written = read_sealed(path)
        if written is None:
            rate = self.model.base_encoder.sample_rate
            samples = self._waveform(sound, rate)[rate].to(self.model.device)
            with torch.autocast(self.model.device.type, enabled=False):
                *_, heard = self.model.hints.write(self.model.base_encoder, samples)
            written = json.dumps(as_dict(heard), ensure_ascii=False).encode()
            write_sealed(path, written)
        return from_dict(json.loads(written))

    def levels(self, sound: Sound) -> np.ndarray:
        """Level of every step of the detector of sounds, dB of full scale, `(steps,)` float32."""
        path = self._path("base", sound)
        path = self.folder / "levels" / path.parent.name / path.name
        found = _read(path)
        if found is None:
            rate = self.model.base_encoder.sample_rate
            samples = self._waveform(sound, rate)[rate].numpy()
            found = step_levels(samples, rate).astype(np.float32)
            _write(path, found)
        return found

    def base(self, sounds: Sequence[Sound]) -> EncodedAudio:
        """Base frames of these clips and their mask."""
        return self._encoded("base", sounds)

    def fill(self, sounds: Sequence[Sound], *, weak: bool) -> None:
        """Compute what is missing, with a progress bar.

        Raises:
            AudioError: If a recording cannot be used; the message names it.
        """
        pool = dict.fromkeys(self.model.config.first_copies) if weak else ()
        kinds = ["base", *map(str, pool)]
        for kind in (one for one in kinds if not self._encoder(one).trained):
            missing = {
                path: sound for sound in sounds if not (path := self._path(kind, sound)).is_file()
            }
            name = f"features {self._name(kind)}"
            for sound in tqdm(missing.values(), desc=name, mininterval=5):
                self._compute(kind, sound)

    def _name(self, kind: str) -> str:
        encoders = self.model.config
        return (encoders.base_encoder if kind == "base" else encoders.weak_encoders[int(kind)]).name

    def _path(self, kind: str, sound: Sound) -> Path:
        example, version, *_ = sound
        assert example.audio is not None
        file = example.audio.stat()
        key = f"{example.clip}|{file.st_size}|{file.st_mtime_ns}"
        if version:
            key += f"|{version}"
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / self._name(kind) / name[:2] / f"{name}.npy"

    def _encoder(self, kind: str) -> AudioEncoder:
        return self.model.base_encoder if kind == "base" else self.model.pool[int(kind)]

    def _encoded(self, kind: str, sounds: Sequence[Sound]) -> EncodedAudio:
        """Frames and mask: of a frozen encoder from disk, of a trained one as it is now."""
        encoder = self._encoder(kind)
        if encoder.trained:
            return self._encode(encoder, sounds)
        frames = [self._one(kind, sound) for sound in sounds]
        counts = torch.tensor([len(one) for one in frames])
        padded = pad_sequence(frames, batch_first=True).to(self.model.device)
        padded = F.pad(padded, (0, 0, 0, -padded.shape[1] % _FRAME_STEP))
        mask = torch.arange(padded.shape[1]) < counts[:, None]
        return EncodedAudio(padded, mask.to(self.model.device))

    def _one(self, kind: str, sound: Sound) -> Tensor:
        path = self._path(kind, sound)
        frames = _read(path)
        if frames is None:
            self._compute(kind, sound)
            frames = _read(path)
        assert frames is not None
        return torch.from_numpy(frames).float()

    @torch.inference_mode()
    def _compute(self, kind: str, sound: Sound) -> None:
        # Under autocast, or in another batch, the last digits would depend on who asked first.
        with torch.autocast(self.model.device.type, enabled=False):
            frames, mask = self._encode(self._encoder(kind), [sound])
        _write(self._path(kind, sound), frames[mask].to(torch.float16).cpu().numpy())

    def _encode(self, encoder: AudioEncoder, sounds: Sequence[Sound]) -> EncodedAudio:
        rate, device = encoder.sample_rate, self.model.device
        batch = make_batch([self._waveform(sound, rate) for sound in sounds])
        found: EncodedAudio = encoder(
            batch.waveforms[rate].to(device), batch.lengths[rate].to(device)
        )
        return found

    def _waveform(self, sound: Sound, rate: int) -> dict[int, Tensor]:
        example, version, *_ = sound
        assert example.audio is not None
        recording = load_audio(example.audio, start=example.start, end=example.end)
        if recording.seconds > self.model.config.window_seconds + ROUNDING:
            raise AudioError(
                f"{example.audio.name} lasts {recording.seconds:.1f} s, training hears at most "
                f"{self.model.config.window_seconds:g} s: give its lines `start` and `end`"
            )
        samples = recording.at(rate)
        if version:
            samples = augment(samples, rate, f"{example.clip}|{version}")
        return {rate: torch.from_numpy(samples)}


def _write(path: Path, frames: np.ndarray) -> None:
    """Write frames and their sum."""
    stored = io.BytesIO()
    np.save(stored, frames, allow_pickle=False)
    write_sealed(path, stored.getvalue())


def _read(path: Path) -> np.ndarray | None:
    """The frames of a file; None if there is none, or it is not as it was written."""
    content = read_sealed(path)
    if content is None:
        return None
    frames: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return frames
