"""Plain text for people: tables, safe names, and lines that are not results."""

import sys
from collections.abc import Sequence


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart, under a ruled header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruled = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in ruled
    )


def printable(text: str) -> str:
    """Text that is safe on a terminal: file names may hold its control codes."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def tell(line: str) -> None:
    """Print a line for people, which is never a result."""
    print(line, file=sys.stderr)
