"""Answers on disk as they come, so that a run that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ConfigError

Row = dict[str, Any]


class Ledger:
    """Rows by who answered and which example, in a file of one JSON object a line.

    The first line holds the settings that the rows depend on; a file with others starts over. Every
    other line carries a sum: one that is damaged, or gone, is asked again.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Open or begin the file.

        Args:
            path: The file.
            settings: Checkpoint, manifest and whatever else changes an answer.

        Raises:
            ConfigError: If it cannot be written.
        """
        self.path = path
        self._rows: dict[tuple[str, str], Row] = {}
        first = json.dumps(settings, sort_keys=True)
        lines = self._lines()
        kept = [line for line in lines[1:] if self._take(line)] if lines[:1] == [first] else []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in (first, *kept)), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error}") from error

    def _lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        return self.path.read_text(encoding="utf-8", errors="replace").splitlines()

    def _take(self, line: str) -> bool:
        try:
            entry = json.loads(line)
            by, row = entry["by"], entry["row"]
            if line != _line(by, row):
                return False
        except (ValueError, KeyError, TypeError):  # among them a line that was being written
            return False
        self._rows[by, row["id"]] = row
        return True

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, by: str, identity: str) -> Row | None:
        """The row of an example, if it has been answered."""
        return self._rows.get((by, identity))

    def add(self, by: str, row: Row) -> None:
        """Write one row down."""
        self._rows[by, row["id"]] = row
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(by, row) + "\n")

    def remove(self) -> None:
        """Delete the file: the run is complete."""
        self.path.unlink(missing_ok=True)


def _line(by: str, row: Row) -> str:
    entry = {"by": by, "row": row}
    digest = hashlib.sha256(json.dumps(entry).encode()).hexdigest()
    return json.dumps({**entry, "sha256": digest})
