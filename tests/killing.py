"""A process that dies at a file operation, as the operation that it would have been says."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")


class Killed(BaseException):
    """The end of a process: nothing that catches errors catches it."""


class Watch:
    """Counts what changes files below a folder, and ends the run at one of these operations.

    Python tells its audit hooks of every operation before it happens, whoever asks for it.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hear)  # there is no way to take one away again

    @contextmanager
    def changes(self, folder: Path, die_at: int | None = None) -> Iterator[list[str]]:
        """Watch for as long as the block lasts; yields the names of what happened.

        Args:
            folder: Only what happens below it counts.
            die_at: The operation, from 0, before which the process ends; none by default. Every
                later one fails too, since a dead process cleans nothing up.
        """
        self.folder, self.seen, self.die_at = folder, [], die_at
        try:
            yield self.seen
        finally:
            self.folder = None

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.folder is None or not self._is_change(event, arguments):
            return
        self.seen.append(event)
        if self.die_at is not None and len(self.seen) > self.die_at:
            raise Killed(f"before {event} of {arguments[0]}")

    def _is_change(self, event: str, arguments: tuple) -> bool:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in CHANGES) or isinstance(arguments[0], int):
            return False
        path = Path(os.fsdecode(arguments[0]))
        # where a folder is emptied through its descriptor, the path is a name alone
        alone = event in ("os.remove", "os.rmdir") and not path.is_absolute()
        return alone or self.folder in path.parents
