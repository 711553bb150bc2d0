"""How long an answer took, and where the time went."""

import time
from dataclasses import dataclass, field


@dataclass
class Stopwatch:
    """Timings of one answer, filled as it goes."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    pieces: int = 0
    first: float | None = None

    def lap(self, name: str) -> None:
        """Note the time since the last lap under a name."""
        self.seconds[name] = time.perf_counter() - self.started - sum(self.seconds.values())

    def piece(self) -> None:
        """Note one piece of text."""
        self.pieces += 1
        if self.first is None:
            self.first = time.perf_counter()

    def read(self) -> dict[str, float]:
        """Everything noted so far, with the time in total."""
        now = time.perf_counter()
        timings = {"decode": 0.0, "encoders": 0.0, "prefill": 0.0} | self.seconds
        if self.first is not None:
            timings["first_token"] = self.first - self.started
            timings["prefill"] = timings["first_token"] - sum(self.seconds.values())
            if self.pieces > 1:
                timings["tokens_per_second"] = (self.pieces - 1) / (now - self.first)
        return timings | {"total": now - self.started}
