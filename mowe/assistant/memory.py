"""What was heard in one visitor's recordings, kept by content within a budget of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MAX_BYTES = 64_000_000  # of what was heard in one conversation: some two hours of sound


class HeardMemory:
    """Values by key; what was not used for longest goes first. Safe from several threads.

    Whoever talks to an assistant for several people holds one for each of them: it ends with their
    conversation, and nobody's questions push out what another asks about.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Keep at most `max_bytes`."""
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    @property
    def bytes_held(self) -> int:
        """Bytes of all values."""
        return self._bytes

    def let_go(self) -> None:
        """Keep nothing of what was heard so far."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def get(self, key: Hashable) -> Any:
        """The value, None where there is none (any more)."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of `size` bytes; one that is larger than all there is room for is not."""
        with self._lock:
            if key in self._kept:
                self._bytes -= self._kept.pop(key)[1]
            if size > self.max_bytes:
                return
            self._kept[key] = (value, size)
            self._bytes += size
            while self._bytes > self.max_bytes:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
