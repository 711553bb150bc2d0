"""What a recording may be at most, and the sentences said when it is more."""

from dataclasses import dataclass

from mowe.errors import AudioError, ConfigError


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """The largest recording that is accepted. Every limit is a setting."""

    max_seconds: float = 1800.0  # s of audio
    max_bytes: int = 200_000_000  # bytes of the encoded file
    max_channels: int = 32
    # samples of all channels, seconds x rate x channels: 30 min of 8 channels at 48 kHz, or of
    # stereo at 192 kHz; a recording takes time to decode for each of them
    max_samples: int = 700_000_000
    min_sample_rate: int = 1_000  # Hz; below this a header is more likely wrong than meant
    max_sample_rate: int = 192_000  # Hz
    kept_rate: int = 44_100  # Hz; what is recorded at more is resampled to this while it is decoded
    max_decode_seconds: float = 90.0  # s of waiting for one file

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"{name} must be above 0, found {value}")
        if self.max_sample_rate < self.min_sample_rate:
            raise ConfigError(
                f"max_sample_rate must be {self.min_sample_rate} or more,"
                f" found {self.max_sample_rate}"
            )

    def check_size(self, name: str, size: int) -> None:
        """Refuse an empty or too large file.

        Raises:
            AudioError: If `size` bytes are none, or more than `max_bytes`.
        """
        if size == 0:
            raise AudioError(f"{name} is empty (0 bytes); a recording with sound is needed.")
        if size > self.max_bytes:
            found, allowed = _size(size), _size(self.max_bytes)
            raise AudioError(f"{name} is {_more(found, allowed)}; at most {allowed} is allowed.")

    def check_format(self, name: str, sample_rate: int, channels: int) -> None:
        """Refuse a sample rate (Hz) or a number of channels outside what is allowed.

        Raises:
            AudioError: If either is outside.
        """
        if not self.min_sample_rate <= sample_rate <= self.max_sample_rate:
            raise AudioError(
                f"{name} has a sample rate of {sample_rate} Hz;"
                f" {self.min_sample_rate} to {self.max_sample_rate} Hz is allowed."
            )
        if not 1 <= channels <= self.max_channels:
            raise AudioError(
                f"{name} has {channels} channels; 1 to {self.max_channels} are allowed."
            )

    def check_length(self, name: str, seconds: float, *, so_far: bool = False) -> None:
        """Refuse a recording that lasts, or says that it lasts, too long.

        Args:
            name: What to call it.
            seconds: Its length, s.
            so_far: There is more of it.

        Raises:
            AudioError: If `seconds` is more than `max_seconds`.
        """
        if seconds > self.max_seconds:
            allowed = duration(self.max_seconds)
            found = _more(allowed if so_far else duration(seconds), allowed)
            raise AudioError(f"{name} lasts {found}; at most {allowed} is allowed.")

    def check_samples(self, name: str, samples: int, *, so_far: bool = False) -> None:
        """Refuse more samples, over all channels, than decoding should take on.

        Args:
            name: What to call it.
            samples: Seconds x rate x channels.
            so_far: There is more of it.

        Raises:
            AudioError: If there are more than `max_samples`.
        """
        if samples > self.max_samples:
            allowed = _millions(self.max_samples)
            found = _more(allowed if so_far else _millions(samples), allowed)
            raise AudioError(
                f"{name} has {found} samples in all its channels; at most {allowed} are allowed."
            )


def duration(seconds: float) -> str:
    """A length of time as people say it: `2 ms`, `0.4 s`, `12.3 s`, `4 min 10 s`, `3 h 0 min`."""
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 60:
        return f"{float(f'{seconds:.3g}'):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _size(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size >= 100_000 else f"{size} bytes"


def _millions(count: int) -> str:
    return f"{count / 1e6:.4g} million"


def _more(found: str, allowed: str) -> str:
    """What was found, where rounding makes it look like what is allowed."""
    return f"more than {allowed}" if found == allowed else found
