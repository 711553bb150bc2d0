"""From the base encoder's log-mel input to the data-dependent router, with gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mowe.encoders.base import AudioEncoder, frame_mask
from mowe.encoders.mel import MelSettings
from mowe.encoders.whisper import WhisperEncoder
from mowe.errors import ConfigError
from mowe.model import MoWEModel
from mowe.model.routing import pool_frames

WINDOW_SECONDS = 30.0
FRAMES_AT_ONCE = 3200  # mel frames in one batch; backward passes through more fill the memory


class RouterPath:
    """What decides a routing: the log-mel as the network reads it, and the router's logits.

    The same weights and the same arithmetic as `MoWEModel.listen`; only the door differs.
    """

    def __init__(
        self,
        base: AudioEncoder,
        router: nn.Module,
        names: Sequence[str],
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        """Join a base encoder and a router.

        Args:
            base: Of the Whisper family.
            router: From pooled base frames, `(batch, base_dim)`, to logits, `(batch, encoders)`.
            names: Of the weak encoders, in the order of the logits.
            window_seconds: How much is heard at once, s.

        Raises:
            ConfigError: If the base encoder reads no log-mel.
        """
        if not isinstance(base, WhisperEncoder):
            raise ConfigError(
                f"the base encoder {base.name} reads no log-mel; only one of the Whisper family "
                "can be looked into"
            )
        self.base, self.router, self.names = base, router, tuple(names)
        self.window_seconds = window_seconds

    @classmethod
    def of(cls, model: MoWEModel) -> "RouterPath":
        """The path of a mixture with a data-dependent router over at least two weak encoders.

        Raises:
            ConfigError: If there is no such router, or the base encoder reads no log-mel.
        """
        preset = model.config.preset
        if model.router is None or model.router.dependent is None or len(model.encoder_names) < 2:
            raise ConfigError(
                f"{preset} has no data-dependent router over two or more weak encoders, "
                "so no recording drives a choice"
            )
        window_seconds = model.config.window_seconds
        return cls(model.base_encoder, model.router.dependent, model.encoder_names, window_seconds)

    @property
    def settings(self) -> MelSettings:
        """How the log-mel is made."""
        return self.base.mel_settings

    def place(self, encoder: str) -> int:
        """Where an encoder is in the pool.

        Raises:
            ConfigError: If there is none of this name.
        """
        if encoder not in self.names:
            raise ConfigError(f"no weak encoder {encoder!r}; there are {', '.join(self.names)}")
        return self.names.index(encoder)

    @torch.no_grad()
    def features(self, samples: np.ndarray) -> Tensor:
        """The log-mel of a sound and of the silence that the base encoder puts behind it.

        Args:
            samples: At most one window, `(samples,)` float32 at the base encoder's rate.

        Returns:
            `(1, mel frames, mels)` float32 on the model's device.
        """
        device = next(self.base.parameters()).device
        waveform = torch.from_numpy(np.ascontiguousarray(samples))[None].to(device)
        return self.base.features(waveform, torch.tensor([len(samples)], device=device))

    def logits(self, features: Tensor, samples: int) -> Tensor:
        """The router's logits.

        Args:
            features: `(batch, mel frames, mels)`.
            samples: Length of the sound that each example stands for.

        Returns:
            `(batch, encoders)` float32.
        """
        logits: Tensor = self.router(self.pooled(features, samples))
        return logits.float()

    def pooled(self, features: Tensor, samples: int) -> Tensor:
        """What the router reads, `(batch, base_dim)`; see `logits`."""
        lengths = torch.full((len(features),), samples, device=features.device)
        frames, counts = self.base.encode_features(features, lengths)
        return pool_frames(frames, frame_mask(counts, frames.shape[1]))

    @torch.no_grad()
    def probabilities(self, features: Tensor, samples: int) -> np.ndarray:
        """`(batch, encoders)`; see `logits`."""
        parts = features.split(self.batch(features.shape[1]))
        logits = torch.cat([self.logits(part, samples) for part in parts])
        shares: np.ndarray = logits.softmax(dim=-1).cpu().numpy()
        return shares

    def named(self, shares: np.ndarray) -> dict[str, float]:
        """One row of `probabilities` by encoder."""
        return dict(zip(self.names, shares.tolist(), strict=True))

    @staticmethod
    def batch(mel_frames: int) -> int:
        """How many inputs of this length fit into one batch."""
        return max(1, min(8, FRAMES_AT_ONCE // mel_frames))
