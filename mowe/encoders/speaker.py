"""Who speaks: the GE2E speaker encoder (Wan et al. 2018, arXiv 1710.10467; weights of Resemblyzer).

Its front-end is power mel *without* a logarithm, so loudness matters: quiet recordings are raised
to -30 dBFS first, as in training, and loud ones are left alone.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, valid_samples
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.encoders.mel import MelSettings, mel_spectrogram, reflect_pad

HIDDEN_DIM = 256
_LAYERS = 3
_LEAST_RMS = 10 ** (-30 / 20)  # -30 dBFS, full scale 1
_WINDOW = 160  # frames (1.6 s) of one partial utterance, the length GE2E was trained on
_STEP = 77  # frames between partial utterances: 1.3 of them a second
_LEAST_COVERAGE = 0.75  # share of the last window that must be sound, else it is left out
MEL = MelSettings(sample_rate=16_000, fft_size=400, hop=160, mels=40, high_hz=8_000)


class SpeakerEncoder(AudioEncoder):
    """Three LSTM layers over 40 mel bands; frames are the last layer's states at 100 Hz."""

    def __init__(self, name: str, hidden_dim: int = HIDDEN_DIM) -> None:
        super().__init__(
            name,
            dim=hidden_dim,
            frames_per_second=MEL.sample_rate / MEL.hop,
            sample_rate=MEL.sample_rate,
        )
        self.lstm = nn.LSTM(MEL.mels, hidden_dim, _LAYERS, batch_first=True)
        self.linear = nn.Linear(hidden_dim, hidden_dim)

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """LSTM states; see `AudioEncoder.encode`. An LSTM reads forwards, so it needs no mask."""
        states, _ = self.lstm(self._mel(waveforms, lengths).to(self.dtype))
        return states, 1 + lengths // MEL.hop

    def embed(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """One voice vector per recording, for comparing speakers by cosine.

        The mean over windows of 1.6 s of the unit vector ReLU(linear(last state)), made a unit
        vector again.

        Args:
            waveforms: At 16 kHz, `(batch, samples)`.
            lengths: Valid samples, `(batch,)`.

        Returns:
            Unit vectors, `(batch, dim)`.
        """
        waveforms, lengths = valid_samples(waveforms, lengths)
        return torch.stack(
            [self._embed_one(one[:length]) for one, length in zip(waveforms, lengths, strict=True)]
        )

    def _embed_one(self, waveform: Tensor) -> Tensor:
        starts = _window_starts(len(waveform))
        samples = max(len(waveform), (starts[-1] + _WINDOW) * MEL.hop)
        loud = _raised(waveform[None], torch.tensor([len(waveform)], device=waveform.device))
        padded = functional.pad(loud, (0, samples - len(waveform)))
        mel = _centred_mel(padded, torch.tensor([samples], device=waveform.device))[0]
        windows = torch.stack([mel[start : start + _WINDOW] for start in starts])
        _, (last_states, _) = self.lstm(windows.to(self.dtype))
        partials = functional.normalize(self.linear(last_states[-1]).relu(), dim=-1)
        return functional.normalize(partials.mean(dim=0), dim=-1)

    def _mel(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        return _centred_mel(_raised(waveforms, lengths), lengths)


def _raised(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Quiet examples made as loud as -30 dBFS; silence and loud ones unchanged."""
    rms = (waveforms.square().sum(dim=1) / lengths).sqrt()
    gain = torch.where(rms > 0, _LEAST_RMS / rms.clamp_min(1e-9), 1.0).clamp_min(1.0)
    return waveforms * gain[:, None]


def _centred_mel(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Power mel bands, `(batch, frames, 40)`; frame i is centred on sample 160 i."""
    half = MEL.fft_size // 2
    return mel_spectrogram(reflect_pad(waveforms, lengths, half, half), MEL)


def _window_starts(samples: int) -> list[int]:
    """First frames of the partial utterances, at least one, whatever the length."""
    frames = samples // MEL.hop + 1
    starts = list(range(0, max(1, frames - _WINDOW + _STEP + 1), _STEP))
    covered = (samples - starts[-1] * MEL.hop) / (_WINDOW * MEL.hop)
    return starts[:-1] if covered < _LEAST_COVERAGE and len(starts) > 1 else starts


def build(config: EncoderConfig, folder: Path | None) -> SpeakerEncoder:
    """A GE2E encoder from a component folder, or random with `architecture` {hidden_dim}.

    Raises:
        WeightsError: If the folder's tensors do not fit.
    """
    if folder is None:
        return SpeakerEncoder(config.name, **config.architecture)
    encoder = built_on_meta(lambda: SpeakerEncoder(config.name))
    load_strictly(encoder, read_tensors(folder), config.name)
    return encoder
