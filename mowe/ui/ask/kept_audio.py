"""What conversations keep of recordings: one budget of bytes over all visitors.

What a recording is called and what was done to it stays with its conversation. What was heard in it
and its samples may be let go, those of the visitor who has been idle longest first, when others
need the room.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from mowe.audio import Recording, Treatment
from mowe.errors import AudioError, ConfigError

MAX_KEPT_BYTES = 512_000_000  # bytes of samples and of what was heard, over all conversations


class Kept(Protocol):
    """What a conversation keeps as long as there is room."""

    @property
    def bytes_held(self) -> int:
        """Bytes that it holds."""

    def let_go(self) -> None:
        """Hold none."""


@dataclass(eq=False)
class KeptRecording:
    """A recording of a conversation; only an `AudioBudget` gives and takes its samples."""

    name: str
    seconds: float
    content_hash: str
    treatment: Treatment
    path: Path | None
    compact: Recording | None = None  # None once it was let go

    @property
    def bytes_held(self) -> int:
        """Bytes of its samples."""
        return self.compact.bytes_held if self.compact else 0

    def let_go(self) -> None:
        """Hold no samples."""
        self.compact = None


class AudioBudget:
    """Keeps recordings in the compact form, for as long as there is room for them.

    It holds no conversation alive: what ends with a session, a Clear or a restart frees its share
    by being gone, however that came about.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        """Begin with nothing.

        Args:
            max_bytes: Bytes that all conversations may keep together.

        Raises:
            ConfigError: If that is nothing.
        """
        if max_bytes <= 0:
            raise ConfigError(f"kept audio needs more than 0 bytes, found {max_bytes}")
        self.max_bytes = max_bytes
        self._last_use: WeakKeyDictionary[Kept, int] = WeakKeyDictionary()
        self._answering: list[Kept] = []
        self._clock = itertools.count()
        self._lock = threading.Lock()

    @property
    def bytes_held(self) -> int:
        """Bytes of all that is kept now."""
        return sum(one.bytes_held for one in list(self._last_use))

    def keep(self, recording: Recording) -> KeptRecording:
        """Keep one more recording, and let go of others where it needs their room."""
        kept = KeptRecording(
            recording.name, recording.seconds, recording.content_hash, recording.treatment,
            recording.path,
        )  # fmt: skip
        self.restore(kept, recording)
        return kept

    def restore(self, kept: KeptRecording, recording: Recording) -> None:
        """Give a recording that was let go its samples again."""
        compact = recording.compact()
        with self._lock:
            kept.compact = compact
        self.use([kept])

    def use(self, kept: Sequence[Kept]) -> None:
        """Note that the conversation that keeps these is in use now; the first goes first."""
        with self._lock:
            for one in kept:
                self._last_use[one] = next(self._clock)
            self._make_room()

    @contextmanager
    def answering(self, kept: Sequence[Kept]) -> Iterator[None]:
        """Let go of none of these for as long as the block lasts."""
        with self._lock:
            self._answering += kept
        try:
            yield
        finally:
            with self._lock:
                for one in kept:
                    self._answering.remove(one)
            self.use(kept)

    def _make_room(self) -> None:
        excess = self.bytes_held - self.max_bytes
        for one, _ in sorted(self._last_use.items(), key=lambda use: use[1]):
            if excess <= 0:
                return
            if one not in self._answering:
                excess -= one.bytes_held
                one.let_go()


def require(recordings: Sequence[KeptRecording]) -> tuple[Recording, ...]:
    """The samples of all of these.

    Raises:
        AudioError: If some were let go; one sentence that says what to do.
    """
    gone = [one.name for one in recordings if one.compact is None]
    if gone:
        raise AudioError(
            f"{' and '.join(dict.fromkeys(gone))} had to make room for other recordings; attach"
            " the same file again to go on, or press Clear to start anew."
        )
    return tuple(one.compact for one in recordings if one.compact)
