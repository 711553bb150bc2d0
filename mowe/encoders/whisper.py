"""The Whisper encoder, run on what is there instead of on padded 30 s windows.

The network is transformers' own `WhisperEncoder`; only its forward pass is replaced, because the
original insists on 30 s. Short windows use the first T positions and end in a moment of silence.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder as WhisperStack

from mowe.config import EncoderConfig
from mowe.encoders.base import AudioEncoder, ceil_divide, frame_mask, zero_outside
from mowe.encoders.loading import built_on_meta, load_strictly, read_tensors
from mowe.encoders.mel import MelSettings, mel_spectrogram, mel_to_audio
from mowe.errors import WeightsError

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples per mel frame
SAMPLES_PER_FRAME = 2 * HOP  # the second convolution halves the rate: 20 ms per frame
FRAMES_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_FRAME  # 50 Hz
_FFT_SIZE = 400
_TRAILING_SILENCE = 3_200  # samples (0.2 s); without it the last word of a short window is lost
_PREFIXES = ("model.encoder.", "encoder.", "")


class WhisperEncoder(AudioEncoder):
    """Whisper's audio encoder on windows of any length up to its 1500 positions (30 s).

    Each example is followed by 0.2 s of silence, and by more where `window_seconds` asks for it;
    the silence takes part in the attention but not in the output, whose mask ends with the audio.
    """

    lora_layers = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")

    def __init__(self, name: str, stack: WhisperStack, window_seconds: float = 0.0) -> None:
        """Wrap a Whisper encoder.

        Args:
            name: What people see.
            stack: transformers' encoder, with its weights.
            window_seconds: Least length every example is padded to, in seconds; 30 is what Whisper
                was trained on, 0 encodes only what is there.
        """
        super().__init__(
            name,
            dim=stack.config.d_model,
            frames_per_second=FRAMES_PER_SECOND,
            sample_rate=SAMPLE_RATE,
        )
        self.stack = stack
        self.window_samples = round(window_seconds * SAMPLE_RATE)
        self.max_samples = stack.config.max_source_positions * SAMPLES_PER_FRAME
        self.mel_settings = MelSettings(
            sample_rate=SAMPLE_RATE,
            fft_size=_FFT_SIZE,
            hop=HOP,
            mels=stack.config.num_mel_bins,
            high_hz=SAMPLE_RATE / 2,
        )

    def encode(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames at 50 Hz; see `AudioEncoder.encode`.

        Raises:
            ValueError: If an example is longer than the encoder has positions for.
        """
        return self.encode_features(self.features(waveforms, lengths), lengths)

    def features(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """What the network itself reads: the log-mel of each example and of the silence behind it.

        Args:
            waveforms: float32, zero behind each example's length, `(batch, samples)`.
            lengths: Valid samples, `(batch,)`.

        Returns:
            `(batch, mel frames, mels)` float32 at 100 frames a second; see `log_mel`.

        Raises:
            ValueError: If an example is longer than the encoder has positions for.
        """
        missing = int(self._heard_samples(lengths).max()) - waveforms.shape[1]
        return self.log_mel(functional.pad(waveforms, (0, missing)))

    def encode_features(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The rest of `encode`: `features` to frames; gradients flow.

        Args:
            features: From `features`, or made up in their range, `(batch, mel frames, mels)`.
            lengths: Valid samples of each example, `(batch,)`.

        Returns:
            Frames `(batch, frames, dim)` and the count of real ones in each example, `(batch,)`.
        """
        heard = self._heard_samples(lengths)  # (batch,) samples, with the silence behind
        sound = self._convolve(features, heard // HOP)  # (batch, frames, dim)
        frames = self._attend(sound, heard // SAMPLES_PER_FRAME)
        return frames, ceil_divide(lengths, SAMPLES_PER_FRAME)

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """Whisper's input: log10 mel energy, clamped to 8 below each example's own peak, scaled.

        Args:
            waveforms: At 16 kHz, `(batch, samples)`, ending in silence or at the full 30 s.

        Returns:
            `(batch, samples // 160, mels)` float32; equals transformers' `WhisperFeatureExtractor`.
        """
        half = _FFT_SIZE // 2
        padded = functional.pad(waveforms[:, None], (half, half), mode="reflect")[:, 0]
        energy = mel_spectrogram(padded, self.mel_settings)[:, :-1]
        log_energy = energy.clamp_min(1e-10).log10()
        peak = log_energy.amax(dim=(1, 2), keepdim=True)
        return (log_energy.maximum(peak - 8.0) + 4.0) / 4.0

    def to_audio(self, features: Tensor, *, seed: int = 0) -> Tensor:
        """A sound with about this log-mel; see `mel_to_audio`.

        Args:
            features: One example as `log_mel` gives it, `(mel frames, mels)`.
            seed: Of its made-up phase.

        Returns:
            `(mel frames * 160,)` float32 at 16 kHz on the CPU.
        """
        return mel_to_audio(10.0 ** (4.0 * features - 4.0), self.mel_settings, seed=seed)

    def _heard_samples(self, lengths: Tensor) -> Tensor:
        if int(lengths.max()) > self.max_samples:
            raise ValueError(
                f"{self.name} takes at most {self.max_samples / SAMPLE_RATE:g} s at a time, "
                f"got {int(lengths.max()) / SAMPLE_RATE:g} s"
            )
        wanted = (lengths + _TRAILING_SILENCE).clamp_min(self.window_samples)
        whole_frames = ceil_divide(wanted, SAMPLES_PER_FRAME) * SAMPLES_PER_FRAME
        return whole_frames.clamp_max(self.max_samples)

    def _convolve(self, mels: Tensor, counts: Tensor) -> Tensor:
        """Two convolutions, with zeros behind each example's `counts` as if it were alone."""
        real = frame_mask(counts, mels.shape[1])
        sound = zero_outside(mels.to(self.dtype), real).transpose(1, 2)
        sound = functional.gelu(self.stack.conv1(sound)).transpose(1, 2)
        sound = zero_outside(sound, real).transpose(1, 2)
        return functional.gelu(self.stack.conv2(sound)).transpose(1, 2)

    def _attend(self, hidden: Tensor, counts: Tensor) -> Tensor:
        """Add positions and run the layers; nobody attends to frames past an example's `counts`."""
        heard = frame_mask(counts, hidden.shape[1])
        # no mask at all lets the faster attention kernels run
        attended = None if bool(heard.all()) else heard[:, None, None, :]
        hidden = hidden + self.stack.embed_positions.weight[: hidden.shape[1]]
        for layer in self.stack.layers:
            hidden = layer(hidden, attended)
        return self.stack.layer_norm(hidden)


def build(config: EncoderConfig, folder: Path | None) -> WhisperEncoder:
    """A Whisper encoder from a hub-layout folder, or with random weights.

    Raises:
        WeightsError: If the folder is incomplete or its tensors do not fit its `config.json`.
    """
    sizes = _hub_config(folder) if folder else _random_config(config.architecture)
    if folder is None:
        return WhisperEncoder(config.name, WhisperStack(sizes), config.window_seconds)
    stack = built_on_meta(lambda: WhisperStack(sizes))
    tensors = read_tensors(folder, _PREFIXES, "conv1.weight")
    load_strictly(stack, tensors, config.name)
    return WhisperEncoder(config.name, stack, config.window_seconds)


def _random_config(architecture: Any) -> WhisperConfig:
    return WhisperConfig(**architecture, attn_implementation="sdpa")


def _hub_config(folder: Path) -> WhisperConfig:
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{folder} holds no config.json; fetch the component again")
    return WhisperConfig.from_pretrained(folder, attn_implementation="sdpa")
