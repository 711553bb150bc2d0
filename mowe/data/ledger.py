"""Answers on disk as they come, so that a run that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ConfigError, MoweError
from mowe.files import replace_file

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
            replace_file(path, "".join(f"{line}\n" for line in (first, *kept)).encode())
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error}") from error

    def _lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        return self.path.read_text(encoding="utf-8", errors="replace").splitlines()

    def _take(self, line: str) -> bool:
        entry = _entry(line)
        if entry is None:
            return False
        by, row = entry
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


def read_ledger(path: Path, error: type[MoweError]) -> tuple[Row, list[Row]]:
    """The settings and the rows of a file that is kept as a result.

    Raises:
        MoweError: Of the kind asked for, if it cannot be read or a line is damaged.
    """
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        settings = json.loads(first)
    except OSError as found:
        raise error(f"{path.name} cannot be read: {found.strerror}") from found
    except ValueError as found:  # empty, not UTF-8 or not JSON
        raise error(f"{path.name} does not begin with the settings of its rows") from found
    entries = [_entry(line) for line in lines]
    if None in entries:
        raise error(
            f"{path.name} line {entries.index(None) + 2} is damaged; run what wrote it again, which"
            " keeps the other lines"
        )
    return settings, [entry[1] for entry in entries if entry is not None]


def _entry(line: str) -> tuple[str, Row] | None:
    """Who answered and the row; None for a line that is not as it was written."""
    try:
        entry = json.loads(line)
        by, row = entry["by"], entry["row"]
        whole = line == _line(by, row) and "id" in row
    except (ValueError, KeyError, TypeError):  # among them a line that was being written
        return None
    return (by, row) if whole else None


def _line(by: str, row: Row) -> str:
    entry = {"by": by, "row": row}
    digest = hashlib.sha256(json.dumps(entry).encode()).hexdigest()
    return json.dumps({**entry, "sha256": digest})
